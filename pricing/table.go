package pricing

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const columns = "instance_type,price_per_hour"

// limits of what Parse accepts, far above any real list.
const (
	maxTableBytes = 8 << 20
	maxPerHour    = 1e6 // in any currency
)

// Parse reads a list as Format writes it: head lines "# region: …", "# currency: …", "# date: YYYY-MM-DD", "# source: …" and,
// if the prices are estimates, "# basis: …", each once; a line with the column names; then one line per instance type, in
// any order. Other lines that begin with # are notes. The first error ends it, naming the line. The list keeps slices
// of table.
func Parse(table string) (*List, error) {
	if len(table) > maxTableBytes {
		return nil, fmt.Errorf("price list of %d bytes is larger than %d", len(table), maxTableBytes)
	}
	l := &List{rows: make([]row, 0, strings.Count(table, "\n"))}
	inHead, number := true, 0
	for line := range strings.Lines(table) {
		number++
		line = strings.TrimRight(line, "\r\n")
		var err error
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			err = l.parseHead(line)
		case inHead:
			inHead = false
			err = l.endHead(line)
		default:
			var r row
			r, err = parseRow(line)
			r.line = number
			l.rows = append(l.rows, r)
		}
		if err != nil {
			return nil, fmt.Errorf("price list, line %d: %w", number, err)
		}
	}
	return l.finish()
}

// parseHead reads one line of the head, or passes over a note.
func (l *List) parseHead(line string) error {
	key, value, _ := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
	repeated := false
	switch key {
	case "region":
		repeated, l.origin.Region = l.origin.Region != "", value
	case "currency":
		repeated, l.currency = l.currency != "", Currency(value)
	case "source":
		repeated, l.origin.Source = l.origin.Source != "", value
	case "basis":
		repeated, l.origin.Basis = l.origin.Basis != "", value
	case "date":
		date, err := time.Parse(time.DateOnly, value)
		if err != nil {
			return fmt.Errorf("date %.50q is not of the form %s", value, time.DateOnly)
		}
		repeated, l.origin.Date = !l.origin.Date.IsZero(), date
	}
	if repeated {
		return fmt.Errorf("a second %s %.50q: a list has one", key, value)
	}
	return nil
}

// endHead checks that the head is complete where the line with the column names ends it.
func (l *List) endHead(line string) error {
	switch {
	case line != columns:
		return fmt.Errorf("column names %.50q are not %q", line, columns)
	case l.origin.Region == "" || l.origin.Source == "" || l.origin.Date.IsZero():
		return errors.New(`the lines above lack one of "# region: ", "# date: " and "# source: "`)
	case !validCurrency(l.currency):
		return fmt.Errorf(`currency %.50q is not a code of three capitals: write "# currency: USD" above`, l.currency)
	}
	return nil
}

func validCurrency(c Currency) bool {
	return len(c) == 3 && strings.Trim(string(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func parseRow(line string) (row, error) {
	instanceType, price, ok := strings.Cut(line, ",")
	if !ok || strings.Contains(price, ",") {
		return row{}, fmt.Errorf("%.50q does not have 2 fields", line)
	}
	if !validType(instanceType) {
		return row{}, fmt.Errorf("%.50q is not an instance type", instanceType)
	}
	perHour, err := strconv.ParseFloat(price, 64)
	if err != nil || !(perHour > 0 && perHour <= maxPerHour) { // not <= 0 ||, which would let NaN pass
		return row{}, fmt.Errorf("type %.50q: price %.50q is not a number above 0 and up to %.0f", instanceType, price, maxPerHour)
	}
	return row{instanceType: instanceType, perHour: perHour}, nil
}

// validType reports whether a name has the form of an instance type, family.size.
func validType(name string) bool {
	family, size, _ := strings.Cut(name, ".")
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return family != "" && size != "" && strings.Trim(family, letters) == "" && strings.Trim(size, letters) == ""
}

// finish sorts the rows and refuses duplicates and an empty list.
func (l *List) finish() (*List, error) {
	if len(l.rows) == 0 {
		return nil, errors.New("price list has no prices")
	}
	slices.SortStableFunc(l.rows, byType)
	for i, r := range l.rows[1:] {
		if first := l.rows[i]; first.instanceType == r.instanceType {
			return nil, fmt.Errorf("price list, line %d: type %.50q is in line %d already", r.line, r.instanceType, first.line)
		}
	}
	return l, nil
}

func byType(a, b row) int { return strings.Compare(a.instanceType, b.instanceType) }

// Format writes the list as a table that Parse reads, sorted by instance type.
func (l *List) Format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# region: %s\n# currency: %s\n# date: %s\n# source: %s\n",
		l.origin.Region, l.currency, l.origin.Date.Format(time.DateOnly), l.origin.Source)
	if l.origin.Basis != "" {
		fmt.Fprintf(&b, "# basis: %s\n", l.origin.Basis)
	}
	b.WriteString(columns + "\n")
	for _, r := range l.rows {
		b.WriteString(r.instanceType + "," + strconv.FormatFloat(r.perHour, 'f', -1, 64) + "\n")
	}
	return b.String()
}
