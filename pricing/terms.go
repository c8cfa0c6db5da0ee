package pricing

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// Terms are a user's own prices for one region, discounts, and a spot ratio for pools without a spot price. Each part may be
// missing. They never change.
type Terms struct {
	list      *List // on-demand, with the origin and currency of all the Terms
	spot      []spotRow
	discounts map[string]discountRow // by instance type, family, or everything
	spotRatio float64                // spot price by on-demand list price, 0 where the user does not state it
	lines     headLines
}

// spotRow is the spot price of a type in one zone, or in all that have no row of their own.
type spotRow struct {
	instanceType string
	zone         string // empty for all
	perHour      float64
	line         int
}

// everything stands for a discount on all instance types.
const everything = "all"

// OnDemand returns the list of the user's own on-demand prices, undiscounted. It may be empty.
func (t *Terms) OnDemand() *List { return t.list }

// SpotPrices is how many spot prices the user states.
func (t *Terms) SpotPrices() int { return len(t.spot) }

// Discounts is how many discounts the user states.
func (t *Terms) Discounts() int { return len(t.discounts) }

// SpotRatio returns the user's ratio of spot prices to on-demand list prices, or 0.
func (t *Terms) SpotRatio() float64 { return t.spotRatio }

// discount returns the discount on the on-demand list price of a type, as a ratio: the type's own, or else its family's, or
// else the general one. They do not add up.
func (t *Terms) discount(instanceType string) float64 {
	if t == nil {
		return 0
	}
	for _, of := range [...]string{instanceType, family(instanceType)} {
		if d, ok := t.discounts[of]; ok {
			return d.off
		}
	}
	return t.discounts[everything].off
}

// spotIn returns the user's spot price in a zone.
func (t *Terms) spotIn(instanceType, zone string) (perHour float64, ok bool) {
	if t == nil {
		return 0, false
	}
	for _, z := range [...]string{zone, ""} {
		i, found := slices.BinarySearchFunc(t.spot, spotRow{instanceType: instanceType, zone: z}, byPool)
		if found {
			return t.spot[i].perHour, true
		}
	}
	return 0, false
}

func byPool(a, b spotRow) int {
	return cmp.Or(strings.Compare(a.instanceType, b.instanceType), strings.Compare(a.zone, b.zone))
}

// family is the part of an instance type before its size.
func family(instanceType string) string {
	name, _, _ := strings.Cut(instanceType, ".")
	return name
}

// spotOf are the user's spot prices of a type, that for all zones first.
func (t *Terms) spotOf(instanceType string) []spotRow {
	from, _ := slices.BinarySearchFunc(t.spot, spotRow{instanceType: instanceType}, byPool)
	to := from
	for to < len(t.spot) && t.spot[to].instanceType == instanceType {
		to++
	}
	return t.spot[from:to]
}

// ParseTerms reads a user's terms: a table, as Parse reads it. Beyond a list, it may have
//
//	# discount: all 10%          off every on-demand list price, the embedded ones included
//	# discount: g5 25%           the most specific of type, family and all counts, alone
//	# spot-ratio: 0.35           of the on-demand list price, where no spot price is known
//
// and the columns capacity_type (on-demand, which empty means, or spot) and, for spot, zone (empty: every zone without its own
// row). It need not have any prices.
//
// Instance types that are neither in known nor in any embedded list are errors, most likely typing errors, unless the head has
// "types: unchecked". The first error ends it and names the line. A text of more than MaxBytes is refused.
func ParseTerms(text string, known []string) (*Terms, error) {
	if err := checkSize(text); err != nil {
		return nil, err
	}
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("price list, line 1: there is nothing in it")
	}
	d, err := parseTable(text)
	if err != nil {
		return nil, err
	}
	if !d.list.unchecked {
		if err := d.checkTypes(known); err != nil {
			return nil, err
		}
	}
	return d.asTerms()
}
