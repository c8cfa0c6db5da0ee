package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

type options struct {
	dir, prices, source string
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "pricing/data", "folder of the lists")
	flag.StringVar(&o.prices, "prices", "", "CSV of prices to start from (default: the present lists)")
	flag.StringVar(&o.source, "source", "", "one line on where -prices comes from")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	tables, err := readTables(o)
	if err != nil {
		return err
	}
	for path, table := range tables {
		list, err := pricing.Parse(table)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if want := fileOf(o.dir, list.Origin().Region); path != want {
			return fmt.Errorf("%s: the list of %q belongs in %s", path, list.Origin().Region, want)
		}
		tables[path] = shared(list)
	}
	for path, table := range tables {
		if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// shared is the list as a table, with each bare-metal type at the price of the virtual type of its size where it has a higher one.
// The source has the prices of dedicated tenancy there, and a node group launches in shared tenancy.
func shared(list *pricing.List) string {
	table, catalogue := list.Format(), instancetypes.Embedded()
	for _, name := range list.Types() {
		metal, known := catalogue.Lookup(name)
		if !known || !metal.BareMetal {
			continue
		}
		dear, _ := list.Lookup(name)
		for _, other := range list.Types() {
			virtual, _ := catalogue.Lookup(other)
			alike := pricing.Kin(other)[0] == pricing.Kin(name)[0] && !virtual.BareMetal && virtual.VCPU == metal.VCPU &&
				virtual.MemoryBytes == metal.MemoryBytes && virtual.GPU.Count == metal.GPU.Count
			if price, _ := list.Lookup(other); alike && price.Amount.PerHour < dear.Amount.PerHour {
				line := func(perHour float64) string {
					return "\n" + name + "," + strconv.FormatFloat(perHour, 'f', -1, 64) + "\n"
				}
				table = strings.Replace(table, line(dear.Amount.PerHour), line(price.Amount.PerHour), 1)
			}
		}
	}
	return table
}

func fileOf(dir, region string) string { return filepath.Join(dir, region+".csv") }

// readTables returns the lists to write, by path, as text that need not have its final form.
func readTables(o options) (map[string]string, error) {
	if o.prices != "" {
		return composeTables(o)
	}
	paths, err := filepath.Glob(fileOf(o.dir, "*"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s has no lists", o.dir)
	}
	tables := map[string]string{}
	for _, path := range paths {
		table, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		tables[path] = string(table)
	}
	return tables, err
}

// composeTables makes one list of each region's lines in -prices. All of a region must be in one currency and of one date.
func composeTables(o options) (map[string]string, error) {
	if o.source == "" || strings.ContainsAny(o.source, "\r\n") {
		return nil, errors.New("-prices needs -source, one line for the heads of the lists")
	}
	f, err := os.Open(o.prices)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.prices, err)
	}
	wanted := []string{"region", "instance_type", "currency", "price_per_hour", "source_date"}
	if len(records) == 0 || !slices.Equal(records[0], wanted) {
		return nil, fmt.Errorf("%s: columns are not %q", o.prices, wanted)
	}
	tables, heads := map[string]string{}, map[string]string{}
	for i, r := range records[1:] {
		path := fileOf(o.dir, r[0])
		head := fmt.Sprintf("# region: %s\n# currency: %s\n# date: %s\n# source: %s\n", r[0], r[2], r[4], o.source)
		if heads[path] == "" {
			heads[path] = head
			tables[path] = head + "instance_type,price_per_hour\n"
		}
		if heads[path] != head {
			return nil, fmt.Errorf("%s, line %d: %s: a second currency or date for %q", o.prices, i+2, r[1], r[0])
		}
		tables[path] += r[1] + "," + r[3] + "\n"
	}
	return tables, nil
}
