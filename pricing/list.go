package pricing

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// List holds the on-demand prices of one region, by instance type. It never changes. The zero List is empty.
type List struct {
	origin    Origin
	currency  Currency
	rows      []row // sorted by instance type, which is unique
	unchecked bool  // its types need not be known to anyone else
}

// row is one price, a spot price in one zone or in all zones that have no row of their own.
type row struct {
	instanceType string
	zone         string // empty for all
	perHour      float64
	line         int // of the table it was read from
	spot         bool
}

func (l *List) Lookup(instanceType string) (Price, bool) {
	i, ok := slices.BinarySearchFunc(l.rows, row{instanceType: instanceType}, byPool)
	if !ok {
		return Price{}, false
	}
	return Price{
		InstanceType: l.rows[i].instanceType,
		Amount:       Amount{PerHour: l.rows[i].perHour, Currency: l.currency},
		Origin:       l.origin,
	}, true
}

func (l *List) Origin() Origin { return l.origin }

func (l *List) Currency() Currency { return l.currency }

func (l *List) Len() int { return len(l.rows) }

// Types returns the instance types that the list has a price for, sorted.
func (l *List) Types() []string {
	names := make([]string, len(l.rows))
	for i, r := range l.rows {
		names[i] = r.instanceType
	}
	return names
}

// NewList makes a list of AWS's own offers. Its head says "types: unchecked", so a type newer than the catalogue is no error where a user
// takes the list for their own prices. perHour is by instance type. Its errors are Parse's for the same list as a table.
func NewList(origin Origin, currency Currency, perHour map[string]float64) (*List, error) {
	l := &List{origin: origin, currency: currency, unchecked: true, rows: make([]row, 0, len(perHour))}
	for instanceType, amount := range perHour {
		l.rows = append(l.rows, row{instanceType: instanceType, perHour: amount})
	}
	return Parse(l.Format())
}

var (
	//go:embed data/cn-north-1.csv
	cnNorth1 string
	//go:embed data/us-east-1.csv
	usEast1 string
	//go:embed data/us-gov-east-1.csv
	usGovEast1 string
	//go:embed data/us-gov-west-1.csv
	usGovWest1 string
)

// embedded are the lists that ship with this binary, by region.
var embedded = map[string]func() *List{
	"cn-north-1":    lazily(cnNorth1),
	"us-east-1":     lazily(usEast1),
	"us-gov-east-1": lazily(usGovEast1),
	"us-gov-west-1": lazily(usGovWest1),
}

func lazily(table string) func() *List {
	return sync.OnceValue(func() *List {
		l, err := Parse(table)
		if err != nil {
			panic(fmt.Sprintf("pricing: embedded list: %v", err)) // the build is broken, and its tests with it
		}
		return l
	})
}

// Embedded returns the list for a region that ships with this binary, parsed at its first use. A region without one gets the
// nearest list of its partition, which says by its origin whose prices it has. A region of a partition without lists gets an
// empty one. It never returns nil.
func Embedded(region string) *List {
	for _, of := range []string{region, nearest(region)} {
		if list, ok := embedded[of]; ok {
			return list()
		}
	}
	return &List{}
}

// nearest returns the region whose embedded list has the currency of a region and first stands in for its own, or "". In the
// public partition it is the region where most types are sold, in China the only known one, in GovCloud the one with more types.
// The isolated and sovereign partitions publish no prices. Their names have one part more than a public region's.
func nearest(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "cn-north-1"
	case strings.HasPrefix(region, "us-gov-"):
		return "us-gov-west-1"
	case strings.Count(region, "-") == 2:
		return worldwide
	}
	return ""
}
