package instancetypes

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed data/instance_types.json
var embeddedList string

// Catalogue is an immutable set of instance types by name.
type Catalogue struct{ types map[string]Type }

// Embedded returns the catalogue that ships with this binary, parsed at the first call. It never returns nil.
var Embedded = sync.OnceValue(func() *Catalogue {
	c, err := parse(embeddedList)
	if err != nil {
		panic(fmt.Sprintf("instancetypes: embedded list: %v", err)) // the build is broken, and its tests with it
	}
	return c
})

func (c *Catalogue) Lookup(name string) (Type, bool) {
	t, ok := c.types[name]
	return t, ok
}

func (c *Catalogue) Names() []string { return slices.Sorted(maps.Keys(c.types)) }

func (c *Catalogue) Types() []Type {
	return slices.SortedFunc(maps.Values(c.types), func(a, b Type) int { return strings.Compare(a.Name, b.Name) })
}

// With returns a catalogue with the facts of newer added, or in the place of older facts of the same name. Facts that EC2 does
// not publish survive where newer lacks them: a measured memory, the Neuron cores and the pod interfaces of the same hardware.
// The last of several with one name counts.
func (c *Catalogue) With(newer ...Type) *Catalogue {
	if len(newer) == 0 {
		return c
	}
	types := make(map[string]Type, len(c.types)+len(newer))
	maps.Copy(types, c.types)
	for _, t := range newer {
		types[t.Name] = t.completedBy(c.types[t.Name])
	}
	return &Catalogue{types}
}

// completedBy returns t with the facts it lacks and EC2 does not publish, from older facts of the same type, if there are any.
func (t Type) completedBy(old Type) Type {
	if t.MeasuredMemoryBytes == 0 && t.MemoryBytes == old.MemoryBytes {
		t.MeasuredMemoryBytes = old.MeasuredMemoryBytes
	}
	if t.NeuronCores == 0 && t.NeuronDevices == old.NeuronDevices {
		t.NeuronCores = old.NeuronCores
	}
	t.PodENIs = cmp.Or(t.PodENIs, old.PodENIs)
	return t
}

// parse reads the built-in list. A fact that a type lacks is zero: none, or not known.
func parse(list string) (*Catalogue, error) {
	var read struct {
		Source, Date string
		Types        []Type
	}
	if err := json.Unmarshal([]byte(list), &read); err != nil {
		return nil, err
	}
	types := make(map[string]Type, len(read.Types))
	for _, t := range read.Types {
		if err := t.validate(); err != nil {
			return nil, err
		}
		t.Source = read.Source + ", " + read.Date
		types[t.Name] = t
	}
	return &Catalogue{types}, nil
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
