package instancetypes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// columns of the built-in table, in their order. An empty field is zero: none, or not known.
const columns = "instance_type,vcpu,memory_mib,architecture,gpu_count,gpu_manufacturer,gpu_name,gpu_memory_mib_each,gpu_fraction," +
	"neuron_devices,neuron_cores,efa_interfaces,max_enis,ipv4_per_eni,pod_enis,bare_metal,local_nvme_gb,measured_memory_kib"

const dateLayout = "2006-01-02"

// parse reads comment lines "# source: …" and "# date: YYYY-MM-DD", the columns, and a line per type. The catalogue keeps slices of table.
func parse(table string) (*Catalogue, error) {
	c := &Catalogue{types: make([]Type, 0, strings.Count(table, "\n"))}
	for line := range strings.Lines(table) {
		line = strings.TrimSuffix(line, "\n")
		if source, ok := strings.CutPrefix(line, "# source: "); ok {
			c.source = source
		}
		if date, ok := strings.CutPrefix(line, "# date: "); ok {
			var err error
			if c.date, err = time.Parse(dateLayout, date); err != nil {
				return nil, err
			}
		}
		if strings.HasPrefix(line, "#") || line == columns {
			continue
		}
		t, err := parseRow(line)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		c.types = append(c.types, t)
	}
	sortTypes(c.types)
	for i := range c.types {
		c.types[i].Source = c.source + ", " + c.date.Format(dateLayout)
	}
	return c, nil
}

// row returns the fields of one line one by one, and remembers an error.
type row struct {
	fields []string
	err    error
}

func (r *row) text() string {
	field := r.fields[0]
	r.fields = r.fields[1:]
	return field
}

func (r *row) number() float64 {
	field := r.text()
	if field == "" {
		return 0
	}
	n, err := strconv.ParseFloat(field, 64)
	r.err = errors.Join(r.err, err)
	return n
}

func (r *row) count() int { return int(r.number()) }

func (r *row) bytes(unit int64) int64 { return int64(r.number()) * unit }

func parseRow(line string) (Type, error) {
	r := row{fields: strings.Split(line, ",")}
	if len(r.fields) != 1+strings.Count(columns, ",") {
		return Type{}, errors.New("a field too many or too few")
	}
	t := Type{
		Name:         r.text(),
		VCPU:         r.count(),
		MemoryBytes:  r.bytes(mib),
		Architecture: r.text(),
		GPU: GPU{
			Count:        r.count(),
			Manufacturer: r.text(),
			Name:         r.text(),
			MemoryBytes:  r.bytes(mib),
			Fraction:     r.number(),
		},
		NeuronDevices:       r.count(),
		NeuronCores:         r.count(),
		EFAInterfaces:       r.count(),
		MaxENIs:             r.count(),
		IPv4PerENI:          r.count(),
		PodENIs:             r.count(),
		BareMetal:           r.text() == "true",
		LocalNVMeBytes:      r.bytes(1e9),
		MeasuredMemoryBytes: r.bytes(kib),
	}
	return t, errors.Join(r.err, t.validate())
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
