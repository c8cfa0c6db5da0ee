package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

type options struct {
	table, types, measured string
	source, date           string
	dumps                  []string
	only                   bool
}

func main() {
	var o options
	flag.StringVar(&o.table, "table", "cloudprovider/instancetypes/data/instance_types.csv", "table to write")
	flag.StringVar(&o.types, "types", "", "CSV of hardware facts to start from (default: the present table)")
	flag.StringVar(&o.measured, "measured", "", "CSV of memory measured on real nodes to join in")
	flag.StringVar(&o.source, "source", "", "one line on where -types or -dump comes from")
	flag.StringVar(&o.date, "date", "", "day the facts of -types or -dump were read, as YYYY-MM-DD (default: the day the newest dump was written)")
	flag.Func("dump", "file of aws ec2 describe-instance-types --output json to lay over the table, more may follow as arguments", func(path string) error {
		o.dumps = append(o.dumps, path)
		return nil
	})
	flag.BoolVar(&o.only, "only", false, "with -dump: drop the types that the dumps lack")
	flag.Parse()
	o.dumps = append(o.dumps, flag.Args()...)
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	types, source, date, err := facts(o)
	if err != nil {
		return err
	}
	if o.measured != "" {
		if err := joinMeasured(types, o.measured); err != nil {
			return err
		}
	}
	table := instancetypes.Format(types, source, date)
	if _, err := instancetypes.Parse(table); err != nil {
		return fmt.Errorf("the new table does not parse: %w", err)
	}
	return os.WriteFile(o.table, []byte(table), 0o644)
}

// facts reads the types to write, and their source and date, from -dump, from -types, or else from the present table.
func facts(o options) ([]instancetypes.Type, string, time.Time, error) {
	switch {
	case len(o.dumps) > 0 && o.types != "":
		return nil, "", time.Time{}, errors.New("give -dump or -types, not both")
	case len(o.dumps) > 0:
		return fromDumps(o)
	case o.types == "":
		present, err := os.ReadFile(o.table)
		if err != nil {
			return nil, "", time.Time{}, err
		}
		c, err := instancetypes.Parse(string(present))
		if err != nil {
			return nil, "", time.Time{}, err
		}
		return c.Types(), c.Source(), c.Date(), nil
	}
	return fromTypes(o)
}

// fromTypes reads -types.
func fromTypes(o options) ([]instancetypes.Type, string, time.Time, error) {
	date, err := time.Parse(time.DateOnly, o.date)
	if err != nil || o.source == "" {
		return nil, "", time.Time{}, errors.New("-types needs -source and -date, for the head of the table")
	}
	var types []instancetypes.Type
	err = readCSV(o.types, func(r record) { types = append(types, r.hardware()) })
	return types, o.source, date, err
}

// fromDumps lays the dumps over the present table, a later one over an earlier.
func fromDumps(o options) ([]instancetypes.Type, string, time.Time, error) {
	fail := func(err error) ([]instancetypes.Type, string, time.Time, error) { return nil, "", time.Time{}, err }
	present, err := os.ReadFile(o.table)
	if err != nil {
		return fail(err)
	}
	catalogue, err := instancetypes.Parse(string(present))
	if err != nil {
		return fail(err)
	}
	told, newest := map[string]bool{}, time.Time{}
	for _, path := range o.dumps {
		dump, err := instancetypes.ReadFile(path)
		if err != nil {
			return fail(err)
		}
		for _, name := range dump.Names() {
			told[name] = true
		}
		if dump.Date().After(newest) {
			newest = dump.Date()
		}
		catalogue = catalogue.With(dump.Types()...)
	}
	if o.date != "" {
		if newest, err = time.Parse(time.DateOnly, o.date); err != nil {
			return fail(fmt.Errorf("-date: %w", err))
		}
	}
	types := catalogue.Types()
	if o.only {
		types = slices.DeleteFunc(types, func(t instancetypes.Type) bool { return !told[t.Name] })
	}
	return types, cmp.Or(o.source, "EC2 DescribeInstanceTypes"), newest, nil
}

// joinMeasured sets the measured memory of types from a CSV with the columns instance_type, and one or both of
// kubelet_capacity_memory_ki_2023_07 (KiB that kubelet reported) and overhead_mib_2023_08 (MiB missing to EC2's figure).
func joinMeasured(types []instancetypes.Type, path string) error {
	smallest := map[string]int64{}
	mib := map[string]int64{}
	for _, t := range types {
		mib[t.Name] = t.MemoryBytes >> 20
	}
	err := readCSV(path, func(r record) {
		name := r.text("instance_type")
		add := func(kib int64) {
			if old, ok := smallest[name]; !ok || kib < old {
				smallest[name] = kib
			}
		}
		if kib := r.number("kubelet_capacity_memory_ki_2023_07"); kib > 0 {
			add(kib)
		}
		if overhead := r.number("overhead_mib_2023_08"); overhead > 0 {
			add((mib[name] - overhead) << 10)
		}
	})
	for i := range types {
		types[i].MeasuredMemoryBytes = smallest[types[i].Name] << 10
	}
	return err
}

// record is one line of a CSV with a header. err keeps the first field that could not be read.
type record struct {
	fields map[string]string
	err    *error
}

func (r record) text(column string) string { return r.fields[column] }

// number reads a whole number. An empty field stands for "no source found" and is 0.
func (r record) number(column string) int64 {
	s := r.fields[column]
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && *r.err == nil {
		*r.err = fmt.Errorf("%s: column %s: %w", r.fields["instance_type"], column, err)
	}
	return n
}

// hardware reads the facts of one type. The strings below are the columns.
func (r record) hardware() instancetypes.Type {
	return instancetypes.Type{
		Name:         r.text("instance_type"),
		VCPU:         int(r.number("vcpu")),
		MemoryBytes:  r.number("memory_mib") << 20,
		Architecture: r.text("architecture"),
		GPU: instancetypes.GPU{
			Count:        int(r.number("gpu_count")),
			Manufacturer: r.text("gpu_manufacturer"),
			Name:         r.text("gpu_name"),
			MemoryBytes:  r.number("gpu_memory_mib_each") << 20,
		},
		NeuronDevices:  int(r.number("neuron_devices")),
		NeuronCores:    int(r.number("neuron_cores")),
		EFAInterfaces:  int(r.number("efa_interfaces")),
		MaxENIs:        int(r.number("max_enis")),
		IPv4PerENI:     int(r.number("ipv4_per_eni")),
		PodENIs:        int(r.number("pod_enis")),
		BareMetal:      r.text("bare_metal") == "true",
		LocalNVMeBytes: r.number("local_nvme_gb") * 1e9,
	}
}

// readCSV calls each for every line below the header of the file at path.
func readCSV(path string, each func(record)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := csv.NewReader(f)
	header, err := lines.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		var bad error
		r := record{fields: make(map[string]string, len(header)), err: &bad}
		for i, column := range header {
			r.fields[column] = line[i]
		}
		if each(r); bad != nil {
			return fmt.Errorf("%s: %w", path, bad)
		}
	}
}
