package pricing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Terms are a user's own prices for one region, discounts, and a spot ratio for pools without a spot price. Each part may be
// missing. They never change.
type Terms struct {
	list      *List               // on-demand, with the origin and currency of all the Terms
	spot      []row               // sorted by instance type and zone
	discounts map[string]discount // by instance type, family, or everything
	spotRatio float64             // spot price by on-demand list price, 0 where the user does not state it
	lines     map[string]int      // of the members of the head
}

type discount struct {
	off  float64 // as a ratio
	line int
}

const everything = "all"

// OnDemand returns the list of the user's own on-demand prices, undiscounted. It may be empty.
func (t *Terms) OnDemand() *List { return t.list }

func (t *Terms) SpotPrices() int { return len(t.spot) }

func (t *Terms) Discounts() int { return len(t.discounts) }

func (t *Terms) SpotRatio() float64 { return t.spotRatio }

// discount returns the discount on the on-demand list price of a type, as a ratio: the type's own, or else its family's, or
// else the general one. They do not add up.
func (t *Terms) discount(instanceType string) float64 {
	for _, of := range [...]string{instanceType, family(instanceType)} {
		if d, ok := t.discounts[of]; ok {
			return d.off
		}
	}
	return t.discounts[everything].off
}

func (t *Terms) origin() Origin {
	o := t.list.Origin()
	o.Own = true
	return o
}

func family(instanceType string) string {
	name, _, _ := strings.Cut(instanceType, ".")
	return name
}

// spotOf are the user's spot prices of a type, that for all zones first.
func (t *Terms) spotOf(instanceType string) []row {
	from, _ := slices.BinarySearchFunc(t.spot, row{instanceType: instanceType}, byPool)
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
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("price list, line 1: there is nothing in it")
	}
	t, err := parse(text)
	if err == nil && !t.list.unchecked {
		err = t.checkTypes(known)
	}
	switch {
	case err != nil:
		return nil, err
	case len(t.list.rows) == 0 && len(t.spot) == 0 && len(t.discounts) == 0 && t.spotRatio == 0:
		return nil, errors.New("price list has no prices, no discount and no spot ratio")
	}
	return t, nil
}

func (t *Terms) parseDiscount(value string, line int) error {
	of, text, _ := strings.Cut(value, " ")
	percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	switch first, twice := t.discounts[of]; {
	case err != nil || !strings.HasSuffix(text, "%"):
		return fmt.Errorf(`discount %.50q is not of the form "all 10%%", "g5 25%%" or "g5.xlarge 25%%"`, value)
	case of != everything && !ValidType(of) && !ValidType(of+".any"):
		return fmt.Errorf("discount on %.50q: neither %q nor a family nor an instance type", of, everything)
	case !(percent >= 0 && percent < 100): // not < 0 ||, which would let NaN pass
		return fmt.Errorf("discount on %.50q: %v is not a percentage from 0 to below 100", of, percent)
	case twice:
		return fmt.Errorf("discount on %.50q is in line %d already", of, first.line)
	}
	t.discounts[of] = discount{off: percent / 100, line: line}
	return nil
}

// minSpotRatio keeps a slip of the pen from making spot instances cost nothing.
const minSpotRatio = 0.001

func (t *Terms) parseRatio(value string) error {
	ratio, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil:
		return fmt.Errorf("spot ratio %.50q is not a number", value)
	case !(ratio >= minSpotRatio && ratio <= 1):
		return fmt.Errorf("spot ratio %v is not a number from %v to 1", ratio, minSpotRatio)
	case t.spotRatio != 0:
		return fmt.Errorf("a second spot ratio %v: there is one", ratio)
	}
	t.spotRatio = ratio
	return nil
}

// checkTypes refuses instance types and families that are neither in known nor in any embedded list.
func (t *Terms) checkTypes(known []string) error {
	for _, list := range embedded {
		known = append(slices.Clip(known), list().Types()...)
	}
	names := map[string]bool{}
	for _, name := range known {
		names[name], names[family(name)] = true, true
	}
	unknown := slices.DeleteFunc(slices.Concat(t.list.rows, t.spot), func(r row) bool { return names[r.instanceType] })
	for of, d := range t.discounts {
		if of != everything && !names[of] {
			unknown = append(unknown, row{instanceType: of, line: d.line})
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	first := slices.MinFunc(unknown, func(a, b row) int { return cmp.Compare(a.line, b.line) })
	return fmt.Errorf("price list, line %d: instance type or family %.50q is not known (%d such in all): correct the name; "+
		`if AWS sells it, state "%s: %s" in the head`, first.line, first.instanceType, len(unknown), headTypes, typesUnchecked)
}
