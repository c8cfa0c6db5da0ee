package pricing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// The columns of a table. A list has the first two, a user's own prices may have all four.
const columns = "instance_type,price_per_hour"

var columnNames = strings.Split(columns+",capacity_type,zone", ",")

const MaxBytes = 8 << 20

// Bounds on accepted input, far above anything real.
const (
	maxLineBytes = 4 << 10
	maxTypes     = 10_000 // that room is made for ahead
	minPerHour   = 1e-9   // Compare and String can distinguish it from 0
	maxPerHour   = 1e6    // in any currency
)

// The member of the head that says that the list was made from AWS's offers, not by hand.
const (
	headTypes      = "types"
	typesUnchecked = "unchecked"
)

// Parse reads a list as Format writes it: head lines "# region: …", "# currency: …", "# date: YYYY-MM-DD", "# source: …" and,
// if the prices are estimates, "# basis: …", each once. Then comes a line with the column names, and one line per instance
// type, in any order. Other lines that begin with # are notes. The first error ends it and names the line. The list keeps
// slices of table. "# types: unchecked" means that the types come from AWS's offers, so ParseTerms accepts unknown ones.
func Parse(table string) (*List, error) {
	t, err := parse(table)
	switch {
	case err != nil:
		return nil, err
	case len(t.spot) > 0 || len(t.discounts) > 0 || t.spotRatio > 0:
		return nil, errors.New("price list has discounts or spot prices, which only a user's own prices may have")
	case len(t.list.rows) == 0:
		return nil, errors.New("price list has no prices")
	}
	return t.list, nil
}

func parse(table string) (*Terms, error) {
	lines := min(strings.Count(table, "\n"), maxTypes) // more would be empty lines or notes
	t := &Terms{list: &List{rows: make([]row, 0, lines)}, discounts: map[string]discount{}, lines: map[string]int{}}
	width, number := 0, 0
	for line := range strings.Lines(table[:min(len(table), MaxBytes)]) {
		number++
		line = strings.TrimRight(line, "\r\n")
		var err error
		switch {
		case len(line) > maxLineBytes:
			err = fmt.Errorf("longer than %d bytes", maxLineBytes)
		case line == "":
		case strings.HasPrefix(line, "#"):
			err = t.parseHead(line, number)
		case width == 0:
			width = strings.Count(line, ",") + 1
			if width < 2 || width > len(columnNames) || line != strings.Join(columnNames[:width], ",") {
				err = fmt.Errorf("column names %.50q are not %q, to which %q may be added", line, columns, columnNames[2:])
			} else {
				err = t.complete()
			}
		default:
			err = t.parseRow(line, width, number)
		}
		if err != nil {
			return nil, fmt.Errorf("price list, line %d: %w", number, err)
		}
	}
	if len(table) > MaxBytes {
		return nil, fmt.Errorf("price list, line %d: the file is larger than %d bytes", number, MaxBytes)
	}
	if width == 0 && number > 0 {
		if err := t.complete(); err != nil {
			return nil, fmt.Errorf("price list, line %d: %w", number, err)
		}
	}
	return t, errors.Join(sorted(t.list.rows), sorted(t.spot))
}

func sorted(rows []row) error {
	slices.SortStableFunc(rows, byPool)
	for i := 1; i < len(rows); i++ {
		first, r := rows[i-1], rows[i]
		if byPool(first, r) != 0 {
			continue
		}
		what := fmt.Sprintf("type %.50q", r.instanceType)
		if r.spot {
			what = fmt.Sprintf("spot price of %.50q in zone %.50q", r.instanceType, r.zone)
		}
		return fmt.Errorf("price list, line %d: %s is in line %d already", r.line, what, first.line)
	}
	return nil
}

// parseHead reads one line of the head, or passes over a note. Spaces and capitals make no difference: a discount must not
// become a note by a slip of the pen.
func (t *Terms) parseHead(line string, number int) (err error) {
	key, value, _ := strings.Cut(strings.TrimPrefix(line, "#"), ":")
	key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
	o := &t.list.origin
	switch key {
	case "region":
		o.Region = value
	case "currency":
		t.list.currency = Currency(value)
	case "source":
		o.Source = value
	case "basis":
		o.Basis = value
	case "date":
		if o.Date, err = time.Parse(time.DateOnly, value); err != nil {
			return fmt.Errorf("date %.50q is not of the form %s", value, time.DateOnly)
		}
	case headTypes:
		if t.list.unchecked = value == typesUnchecked; !t.list.unchecked {
			return fmt.Errorf("types %.50q is not %q: leave it out to have the instance types checked", value, typesUnchecked)
		}
	case "discount":
		return t.parseDiscount(value, number)
	case "spot-ratio":
		return t.parseRatio(value)
	default:
		// Such a word with a figure behind it is meant to count.
		if (strings.HasPrefix(key, "discount") || strings.HasPrefix(key, "spot")) && strings.ContainsAny(line, "0123456789") {
			return fmt.Errorf(`%.50q is neither "discount: g5 25%%" nor "spot-ratio: 0.35": begin a note with another word`, line)
		}
		return nil
	}
	if t.lines[key] > 0 {
		return fmt.Errorf("a second %s %.50q: a list has one", key, value)
	}
	t.lines[key] = number
	return nil
}

// complete checks that the head states what every list must.
func (t *Terms) complete() error {
	o := t.list.origin
	for _, member := range []struct {
		name    string
		missing bool
	}{{"region", o.Region == ""}, {"date", o.Date.IsZero()}, {"source", o.Source == ""}} {
		if member.missing {
			return fmt.Errorf("the head lacks %q", member.name)
		}
	}
	if c := t.list.currency; len(c) != 3 || strings.Trim(string(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("currency %.50q is not a code of three capitals, such as USD", c)
	}
	return nil
}

// parseRow reads the price of one instance type. Without a capacity type it is on demand.
func (t *Terms) parseRow(line string, width, number int) error {
	if strings.Count(line, ",")+1 != width {
		return fmt.Errorf("%.50q does not have %d fields", line, width)
	}
	instanceType, rest, _ := strings.Cut(line, ",")
	price, rest, _ := strings.Cut(rest, ",")
	capacityType, zone, _ := strings.Cut(rest, ",")
	perHour, err := strconv.ParseFloat(price, 64)
	r := row{instanceType: instanceType, zone: zone, perHour: perHour, line: number, spot: capacityType == awsmessage.Spot}
	switch {
	case !ValidType(instanceType):
		return fmt.Errorf("%.50q is not an instance type", instanceType)
	case err != nil || !validPrice(perHour):
		return fmt.Errorf("type %.50q: price %.50q is not a number above 0 and up to %.0f", instanceType, price, maxPerHour)
	case r.spot && zone != "" && !strings.HasPrefix(zone, t.list.origin.Region):
		return fmt.Errorf("type %.50q: zone %.50q is not one of region %q", instanceType, zone, t.list.origin.Region)
	case r.spot:
		t.spot = append(t.spot, r)
		return nil
	case capacityType != "" && capacityType != awsmessage.OnDemand:
		return fmt.Errorf("type %.50q: capacity type %.50q is neither %q nor %q", instanceType, capacityType, awsmessage.OnDemand, awsmessage.Spot)
	case zone != "":
		return fmt.Errorf("type %.50q: on-demand prices are the same in every zone: leave zone %.50q out", instanceType, zone)
	}
	t.list.rows = append(t.list.rows, r)
	return nil
}

// validPrice reports whether a figure can be the price of an instance. NaN is not: it is above nothing.
func validPrice(perHour float64) bool { return perHour >= minPerHour && perHour <= maxPerHour }

// ValidType reports whether a name has the form of an instance type, family.size.
func ValidType(name string) bool {
	family, size, _ := strings.Cut(name, ".")
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return family != "" && size != "" && strings.Trim(family, letters) == "" && strings.Trim(size, letters) == ""
}

func byPool(a, b row) int {
	return cmp.Or(strings.Compare(a.instanceType, b.instanceType), strings.Compare(a.zone, b.zone))
}

// Format writes the list as a table that Parse reads, sorted by instance type.
func (l *List) Format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# region: %s\n# currency: %s\n# date: %s\n# source: %s\n",
		l.origin.Region, l.currency, l.origin.Date.Format(time.DateOnly), l.origin.Source)
	if l.origin.Basis != "" {
		fmt.Fprintf(&b, "# basis: %s\n", l.origin.Basis)
	}
	if l.unchecked {
		fmt.Fprintf(&b, "# %s: %s\n", headTypes, typesUnchecked)
	}
	b.WriteString(columns + "\n")
	for _, r := range l.rows {
		b.WriteString(r.instanceType + "," + strconv.FormatFloat(r.perHour, 'f', -1, 64) + "\n")
	}
	return b.String()
}
