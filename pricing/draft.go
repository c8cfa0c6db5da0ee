package pricing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// draft is a list, or all the Terms of a user, while its text is being read. The errors of its methods address the writer of
// the text. The caller adds the line.
type draft struct {
	list      *List
	spot      []spotRow
	discounts []discountRow
	spotRatio float64
	lines     headLines
}

// headLines are the lines of the head that a Book may object to.
type headLines struct{ region, currency int }

type discountRow struct {
	of   string  // an instance type, a family, or everything
	off  float64 // as a ratio
	line int
}

func byLine(a, b discountRow) int { return cmp.Compare(a.line, b.line) }

// Members of the head.
const (
	headRegion   = "region"
	headCurrency = "currency"
	headDate     = "date"
	headSource   = "source"
	headBasis    = "basis"
	headTypes    = "types"
)

// typesUnchecked is the value of "types" in the head of a list made from AWS's offers, not by hand.
const typesUnchecked = "unchecked"

// fact reads one member of the head, in that line. It ignores unknown members.
func (d *draft) fact(key, value string, line int) error {
	repeated := false
	o := &d.list.origin
	switch key {
	case headRegion:
		repeated, o.Region = o.Region != "", value
		d.lines.region = line
	case headCurrency:
		repeated, d.list.currency = d.list.currency != "", Currency(value)
		d.lines.currency = line
	case headSource:
		repeated, o.Source = o.Source != "", value
	case headBasis:
		repeated, o.Basis = o.Basis != "", value
	case headDate:
		date, err := time.Parse(time.DateOnly, value)
		if err != nil {
			return fmt.Errorf("date %.50q is not of the form %s", value, time.DateOnly)
		}
		repeated, o.Date = !o.Date.IsZero(), date
	case headTypes:
		if value != typesUnchecked {
			return fmt.Errorf("types %.50q is not %q: leave it out to have the instance types checked", value, typesUnchecked)
		}
		repeated, d.list.unchecked = d.list.unchecked, true
	}
	if repeated {
		return fmt.Errorf("a second %s %.50q: a list has one", key, value)
	}
	return nil
}

// complete checks that the head says all it must.
func (d *draft) complete() error {
	o := d.list.origin
	for _, member := range []struct {
		name    string
		missing bool
	}{{headRegion, o.Region == ""}, {headDate, o.Date.IsZero()}, {headSource, o.Source == ""}} {
		if member.missing {
			return fmt.Errorf("the head lacks %q", member.name)
		}
	}
	if !validCurrency(d.list.currency) {
		return fmt.Errorf("currency %.50q is not a code of three capitals, such as USD", d.list.currency)
	}
	return nil
}

func validCurrency(c Currency) bool {
	return len(c) == 3 && strings.Trim(string(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// price adds the price of one instance type, whose name is checked. Without a capacity type it is on demand.
func (d *draft) price(instanceType, capacityType, zone string, perHour float64, line int) error {
	switch {
	case !validPrice(perHour):
		return badPrice(instanceType, strconv.FormatFloat(perHour, 'g', -1, 64))
	case capacityType == awsmessage.Spot:
		if zone != "" && !strings.HasPrefix(zone, d.list.origin.Region) {
			return fmt.Errorf("type %.50q: zone %.50q is not one of region %q", instanceType, zone, d.list.origin.Region)
		}
		d.spot = append(d.spot, spotRow{instanceType: instanceType, zone: zone, perHour: perHour, line: line})
		return nil
	case capacityType != "" && capacityType != awsmessage.OnDemand:
		return fmt.Errorf("type %.50q: capacity type %.50q is neither %q nor %q", instanceType, capacityType, awsmessage.OnDemand, awsmessage.Spot)
	case zone != "":
		return fmt.Errorf("type %.50q: on-demand prices are the same in every zone: leave zone %.50q out", instanceType, zone)
	}
	d.list.rows = append(d.list.rows, row{instanceType: instanceType, perHour: perHour, line: line})
	return nil
}

func badType(name string) error { return fmt.Errorf("%.50q is not an instance type", name) }

func badPrice(instanceType, price string) error {
	return fmt.Errorf("type %.50q: price %.50q is not a number above 0 and up to %.0f", instanceType, price, maxPerHour)
}

// discount adds a discount on the on-demand prices of a type, a family or everything.
func (d *draft) discount(of string, percent float64, line int) error {
	if of != everything && !ValidType(of) && !ValidType(of+".any") {
		return fmt.Errorf("discount on %.50q: neither %q nor a family nor an instance type", of, everything)
	}
	if !(percent >= 0 && percent < 100) { // not < 0 ||, which would let NaN pass
		return fmt.Errorf("discount on %.50q: %v is not a percentage from 0 to below 100", of, percent)
	}
	d.discounts = append(d.discounts, discountRow{of: of, off: percent / 100, line: line})
	return nil
}

// minSpotRatio keeps a slip of the pen from making spot instances cost nothing.
const minSpotRatio = 0.001

// ratio takes what spot costs by the on-demand list price.
func (d *draft) ratio(ratio float64) error {
	switch {
	case !(ratio >= minSpotRatio && ratio <= 1):
		return fmt.Errorf("spot ratio %v is not a number from %v to 1", ratio, minSpotRatio)
	case d.spotRatio != 0:
		return fmt.Errorf("a second spot ratio %v: there is one", ratio)
	}
	d.spotRatio = ratio
	return nil
}

// finish sorts the rows and refuses duplicates.
func (d *draft) finish() error {
	slices.SortStableFunc(d.list.rows, byType)
	for i, r := range tail(d.list.rows) {
		if first := d.list.rows[i]; first.instanceType == r.instanceType {
			return fmt.Errorf("price list, line %d: type %.50q is in line %d already", r.line, r.instanceType, first.line)
		}
	}
	slices.SortStableFunc(d.spot, byPool)
	for i, r := range tail(d.spot) {
		if first := d.spot[i]; byPool(first, r) == 0 {
			return fmt.Errorf("price list, line %d: spot price of %.50q in zone %.50q is in line %d already", r.line, r.instanceType, r.zone, first.line)
		}
	}
	slices.SortStableFunc(d.discounts, func(a, b discountRow) int { return strings.Compare(a.of, b.of) })
	for i, r := range tail(d.discounts) {
		if first := d.discounts[i]; first.of == r.of {
			return fmt.Errorf("price list, line %d: discount on %.50q is in line %d already", r.line, r.of, first.line)
		}
	}
	return nil
}

// tail is all but the first.
func tail[T any](rows []T) []T { return rows[min(1, len(rows)):] }

// asList is the draft as a list, which has prices and nothing else.
func (d *draft) asList() (*List, error) {
	switch {
	case len(d.spot) > 0 || len(d.discounts) > 0 || d.spotRatio > 0:
		return nil, errors.New("price list has discounts or spot prices, which only a user's own prices may have")
	case len(d.list.rows) == 0:
		return nil, errors.New("price list has no prices")
	}
	return d.list, nil
}

// asTerms returns the draft as a user's terms, which must state something.
func (d *draft) asTerms() (*Terms, error) {
	if len(d.list.rows) == 0 && len(d.spot) == 0 && len(d.discounts) == 0 && d.spotRatio == 0 {
		return nil, errors.New("price list has no prices, no discount and no spot ratio")
	}
	t := &Terms{list: d.list, spot: d.spot, spotRatio: d.spotRatio, lines: d.lines, discounts: make(map[string]discountRow, len(d.discounts))}
	for _, r := range d.discounts {
		t.discounts[r.of] = r
	}
	return t, nil
}

// checkTypes refuses instance types and families that are neither in known nor in any embedded list.
func (d *draft) checkTypes(known []string) error {
	types, families := map[string]bool{}, map[string]bool{everything: true}
	add := func(name string) { types[name], families[family(name)] = true, true }
	for _, name := range known {
		add(name)
	}
	for _, list := range embedded {
		for _, r := range list().rows {
			add(r.instanceType)
		}
	}
	var unknown []row
	check := func(name string, line int, known bool) {
		if !known {
			unknown = append(unknown, row{instanceType: name, line: line})
		}
	}
	for _, r := range d.list.rows {
		check(r.instanceType, r.line, types[r.instanceType])
	}
	for _, r := range d.spot {
		check(r.instanceType, r.line, types[r.instanceType])
	}
	for _, r := range d.discounts {
		check(r.of, r.line, types[r.of] || families[r.of])
	}
	if len(unknown) == 0 {
		return nil
	}
	first := slices.MinFunc(unknown, func(a, b row) int { return cmp.Compare(a.line, b.line) })
	return fmt.Errorf("price list, line %d: instance type or family %.50q is not known (%d such in all): correct the name; "+
		`if AWS sells it, state "%s: %s" in the head`, first.line, first.instanceType, len(unknown), headTypes, typesUnchecked)
}
