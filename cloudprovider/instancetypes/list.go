package instancetypes

import (
	"encoding/json"
	"fmt"
	"time"
)

const dateLayout = "2006-01-02"

// parse reads the built-in list. A fact that a type lacks is zero: none, or not known.
func parse(list string) (*Catalogue, error) {
	var read struct {
		Source, Date string
		Types        []Type
	}
	if err := json.Unmarshal([]byte(list), &read); err != nil {
		return nil, err
	}
	date, err := time.Parse(dateLayout, read.Date)
	if err != nil {
		return nil, err
	}
	for i := range read.Types {
		if err := read.Types[i].validate(); err != nil {
			return nil, err
		}
		read.Types[i].Source = read.Source + ", " + read.Date
	}
	sortTypes(read.Types)
	return &Catalogue{types: read.Types, source: read.Source, date: date}, nil
}

func (t Type) validate() error {
	if t.Name == "" || t.VCPU < 1 || t.MemoryBytes < mib {
		return fmt.Errorf("type %.50q: %d vCPU and %d bytes of memory are not a machine", t.Name, t.VCPU, t.MemoryBytes)
	}
	if min(t.GPU.Count, t.NeuronDevices, t.NeuronCores, t.EFAInterfaces, t.MaxENIs, t.IPv4PerENI) < 0 || min(t.GPU.MemoryBytes, t.LocalNVMeBytes) < 0 {
		return fmt.Errorf("type %.50q: a count or an amount below zero", t.Name)
	}
	return nil
}
