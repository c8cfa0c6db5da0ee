package pricing

import "slices"

// List holds the on-demand prices of one region, by instance type. It never changes. The zero List is empty.
type List struct {
	origin   Origin
	currency Currency
	rows     []row // sorted by instance type, which is unique
}

// row is one line of a list.
type row struct {
	instanceType string
	perHour      float64
	line         int // of the table it was read from
}

// Lookup returns the price of an instance type, and whether the list has it.
func (l *List) Lookup(instanceType string) (Price, bool) {
	i, ok := slices.BinarySearchFunc(l.rows, row{instanceType: instanceType}, byType)
	if !ok {
		return Price{}, false
	}
	return Price{
		InstanceType: l.rows[i].instanceType,
		Amount:       Amount{PerHour: l.rows[i].perHour, Currency: l.currency},
		Origin:       l.origin,
	}, true
}

// Origin is that of every price in the list.
func (l *List) Origin() Origin { return l.origin }

// Currency is that of every price in the list.
func (l *List) Currency() Currency { return l.currency }

// Len returns how many prices the list has.
func (l *List) Len() int { return len(l.rows) }

// standIn is the list as an estimate for another region.
func (l *List) standIn(region string) *List {
	other := *l
	other.origin.Region = region
	other.origin.Basis = "list price of " + l.origin.Region
	return &other
}
