package instancetypes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Columns of the table, in their order. An empty field is zero: none, or not known.
var columns = []string{
	"instance_type", "vcpu", "memory_mib", "architecture",
	"gpu_count", "gpu_manufacturer", "gpu_name", "gpu_memory_mib_each", "gpu_fraction",
	"neuron_devices", "neuron_cores", "efa_interfaces", "max_enis", "ipv4_per_eni", "pod_enis",
	"bare_metal", "local_nvme_gb", "measured_memory_kib",
}

const dateLayout = "2006-01-02"

// Bounds on the input of Parse, far above any real table, so that arithmetic on the facts cannot overflow.
const (
	maxTableBytes = 8 << 20
	maxCount      = 1 << 20
	maxBytes      = 1 << 60
)

// Parse reads a table like the embedded one: comment lines "# source: …" and "# date: YYYY-MM-DD", a header line with
// the column names, then one line per type. Lines may be in any order. The first error ends it, naming the line. The
// catalogue keeps slices of table.
func Parse(table string) (*Catalogue, error) {
	if len(table) > maxTableBytes {
		return nil, fmt.Errorf("instance type table of %d bytes is larger than %d", len(table), maxTableBytes)
	}
	c := &Catalogue{types: make([]Type, 0, strings.Count(table, "\n"))}
	header, number := false, 0
	for line := range strings.Lines(table) {
		number++
		line = strings.TrimRight(line, "\r\n")
		var err error
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			err = c.parseComment(line)
		case !header:
			header = true
			if line != strings.Join(columns, ",") {
				err = fmt.Errorf("header %.200q is not %q", line, strings.Join(columns, ","))
			}
		default:
			var t Type
			t, err = parseRow(line)
			c.types = append(c.types, t)
		}
		if err != nil {
			return nil, fmt.Errorf("instance type table, line %d: %w", number, err)
		}
	}
	return c.finish()
}

// finish sorts the parsed types, stamps their source and refuses duplicates and an empty table.
func (c *Catalogue) finish() (*Catalogue, error) {
	if len(c.types) == 0 {
		return nil, errors.New("instance type table has no rows")
	}
	sortTypes(c.types)
	for i := range c.types {
		if i > 0 && c.types[i].Name == c.types[i-1].Name {
			return nil, fmt.Errorf("instance type table has %q twice", c.types[i].Name)
		}
	}
	c.stamp()
	return c, nil
}

// stamp gives each type the source and date of the catalogue.
func (c *Catalogue) stamp() {
	source := c.source
	if !c.date.IsZero() {
		source += ", " + c.date.Format(dateLayout)
	}
	for i := range c.types {
		c.types[i].Source = source
	}
}

func (c *Catalogue) parseComment(line string) (err error) {
	if v, ok := strings.CutPrefix(line, "# source: "); ok {
		c.source = v
	}
	if v, ok := strings.CutPrefix(line, "# date: "); ok {
		c.date, err = time.Parse(dateLayout, v)
	}
	return err
}

// row returns the fields of one line one by one, and remembers the first error.
type row struct {
	rest   string
	column int
	err    error
}

// text returns the next field. Calling it for more fields than there are columns is a mistake of the caller.
func (r *row) text() string {
	field, rest, more := strings.Cut(r.rest, ",")
	if last := r.column == len(columns)-1; more == last && r.err == nil {
		r.err = fmt.Errorf("line does not have %d fields", len(columns))
	}
	r.rest = rest
	r.column++
	return field
}

// number reads a whole number from 0 to limit. An empty field is 0.
func (r *row) number(limit int64) int64 {
	field := r.text()
	if field == "" {
		return 0
	}
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil || n < 0 || n > limit {
		if r.err == nil {
			r.err = fmt.Errorf("column %q has %.50q, not a whole number from 0 to %d", columns[r.column-1], field, limit)
		}
		return 0
	}
	return n
}

func (r *row) count() int { return int(r.number(maxCount)) }

// bytes reads an amount given in unit bytes.
func (r *row) bytes(unit int64) int64 { return r.number(maxBytes/unit) * unit }

// fraction reads a share between 0 and 1. An empty field is 0.
func (r *row) fraction() float64 {
	field := r.text()
	if field == "" {
		return 0
	}
	f, err := strconv.ParseFloat(field, 64)
	if err != nil || !(f > 0 && f < 1) {
		if r.err == nil {
			r.err = fmt.Errorf("column %q has %.50q, not a number between 0 and 1", columns[r.column-1], field)
		}
		return 0
	}
	return f
}

// flag reads "true" or, for false, an empty field.
func (r *row) flag() bool {
	field := r.text()
	if field != "" && field != "true" && field != "false" && r.err == nil {
		r.err = fmt.Errorf("column %q has %.50q, not true or false", columns[r.column-1], field)
	}
	return field == "true"
}

func parseRow(line string) (Type, error) {
	r := row{rest: line}
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
			Fraction:     r.fraction(),
		},
		NeuronDevices:       r.count(),
		NeuronCores:         r.count(),
		EFAInterfaces:       r.count(),
		MaxENIs:             r.count(),
		IPv4PerENI:          r.count(),
		PodENIs:             r.count(),
		BareMetal:           r.flag(),
		LocalNVMeBytes:      r.bytes(1e9),
		MeasuredMemoryBytes: r.bytes(kib),
	}
	if r.err != nil {
		return Type{}, fmt.Errorf("type %.50q: %w", t.Name, r.err)
	}
	return t, t.validate()
}

// check is validate for facts that did not come through the table's columns, and so may be beyond their limits.
func (t Type) check() error {
	for _, n := range []int{t.VCPU, t.GPU.Count, t.NeuronDevices, t.NeuronCores, t.EFAInterfaces, t.MaxENIs, t.IPv4PerENI, t.PodENIs} {
		if n < 0 || n > maxCount {
			return fmt.Errorf("type %.50q: a count of %d", t.Name, n)
		}
	}
	for _, n := range []int64{t.MemoryBytes, t.GPU.MemoryBytes, t.LocalNVMeBytes} {
		if n < 0 || n > maxBytes {
			return fmt.Errorf("type %.50q: an amount of %d bytes", t.Name, n)
		}
	}
	return t.validate()
}

// validate refuses facts that no instance type can have and every user of the catalogue would trip over.
func (t Type) validate() error {
	switch {
	case t.Name == "":
		return errors.New("a type without a name")
	case strings.ContainsAny(t.Name+t.GPU.Manufacturer+t.GPU.Name, ",\r\n#"):
		return fmt.Errorf("type %.50q: a name with a comma, a line end or #", t.Name)
	case t.VCPU < 1 || t.MemoryBytes < mib:
		return fmt.Errorf("type %.50q: %d vCPU and %d bytes of memory are not a machine", t.Name, t.VCPU, t.MemoryBytes)
	case t.Architecture != ArchitectureAMD64 && t.Architecture != ArchitectureARM64:
		return fmt.Errorf("type %.50q: architecture %.50q is neither amd64 nor arm64", t.Name, t.Architecture)
	case t.MeasuredMemoryBytes > t.MemoryBytes:
		return fmt.Errorf("type %.50q: measured memory is above EC2's", t.Name)
	}
	return nil
}
