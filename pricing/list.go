package pricing

import "slices"

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
