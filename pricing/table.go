package pricing

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The columns of a table. A list has the first two, a user's own prices may have all four.
const columns = "instance_type,price_per_hour"

var columnNames = strings.Split(columns+",capacity_type,zone", ",")

// MaxBytes bounds a text. A reader may stop a byte later.
const MaxBytes = 8 << 20

// Bounds on accepted input, far above anything real.
const (
	maxLineBytes = 4 << 10
	maxTypes     = 10_000 // that room is made for ahead
	minPerHour   = 1e-9   // Compare and String can distinguish it from 0
	maxPerHour   = 1e6    // in any currency
)

// Parse reads a list as Format writes it: head lines "# region: …", "# currency: …", "# date: YYYY-MM-DD", "# source: …" and,
// if the prices are estimates, "# basis: …", each once. Then comes a line with the column names, and one line per instance
// type, in any order. Other lines that begin with # are notes. The first error ends it and names the line. The list keeps
// slices of table. "# types: unchecked" means that the types come from AWS's offers, so ParseTerms accepts unknown ones.
func Parse(table string) (*List, error) {
	if err := checkSize(table); err != nil {
		return nil, err
	}
	d, err := parseTable(table)
	if err != nil {
		return nil, err
	}
	return d.asList()
}

// checkSize refuses a text that is too large, naming the line that is too long or where the limit is.
func checkSize(text string) error {
	if len(text) <= MaxBytes {
		return nil
	}
	number := 0
	for line := range strings.Lines(text[:MaxBytes]) {
		number++
		if len(line) > maxLineBytes {
			return fmt.Errorf("price list, line %d: longer than %d bytes, in a file larger than %d", number, maxLineBytes, MaxBytes)
		}
	}
	return fmt.Errorf("price list, line %d: the file is larger than %d bytes", number, MaxBytes)
}

// parseTable reads all that a table may say.
func parseTable(table string) (*draft, error) {
	lines := min(strings.Count(table, "\n"), maxTypes) // more would be empty lines or notes
	d := &draft{list: &List{rows: make([]row, 0, lines)}}
	width, number := 0, 0
	for line := range strings.Lines(table) {
		number++
		line = strings.TrimRight(line, "\r\n")
		var err error
		switch {
		case len(line) > maxLineBytes:
			err = fmt.Errorf("longer than %d bytes", maxLineBytes)
		case line == "":
		case strings.HasPrefix(line, "#"):
			err = d.parseHead(line, number)
		case width == 0:
			width, err = d.endHead(line)
		default:
			err = d.parseRow(line, width, number)
		}
		if err != nil {
			return nil, fmt.Errorf("price list, line %d: %w", number, err)
		}
	}
	if width == 0 && number > 0 {
		if err := d.complete(); err != nil {
			return nil, fmt.Errorf("price list, line %d: %w", number, err)
		}
	}
	return d, d.finish()
}

// parseHead reads one line of the head, or passes over a note. Spaces and capitals make no difference: a discount must not
// become a note by a slip of the pen.
func (d *draft) parseHead(line string, number int) error {
	key, value, _ := strings.Cut(strings.TrimPrefix(line, "#"), ":")
	key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
	switch key {
	case "discount":
		of, percent, _ := strings.Cut(value, " ")
		off, err := strconv.ParseFloat(strings.TrimSuffix(percent, "%"), 64)
		if err != nil || !strings.HasSuffix(percent, "%") {
			return fmt.Errorf(`discount %.50q is not of the form "all 10%%", "g5 25%%" or "g5.xlarge 25%%"`, value)
		}
		return d.discount(of, off, number)
	case "spot-ratio":
		ratio, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("spot ratio %.50q is not a number", value)
		}
		return d.ratio(ratio)
	}
	return d.fact(key, value, number)
}

// endHead checks that the head is complete where the line with the column names ends it, and returns how many columns those are.
func (d *draft) endHead(line string) (int, error) {
	width := strings.Count(line, ",") + 1
	if width < 2 || width > len(columnNames) || line != strings.Join(columnNames[:width], ",") {
		return 0, fmt.Errorf("column names %.50q are not %q, to which %q may be added", line, columns, columnNames[2:])
	}
	return width, d.complete()
}

func (d *draft) parseRow(line string, width, number int) error {
	if strings.Count(line, ",")+1 != width {
		return fmt.Errorf("%.50q does not have %d fields", line, width)
	}
	instanceType, rest, _ := strings.Cut(line, ",")
	price, rest, _ := strings.Cut(rest, ",")
	capacityType, zone, _ := strings.Cut(rest, ",")
	if !ValidType(instanceType) {
		return badType(instanceType)
	}
	perHour, err := strconv.ParseFloat(price, 64)
	if err != nil {
		return badPrice(instanceType, price)
	}
	return d.price(instanceType, capacityType, zone, perHour, number)
}

// validPrice reports whether a figure can be the price of an instance. NaN is not: it is above nothing.
func validPrice(perHour float64) bool { return perHour >= minPerHour && perHour <= maxPerHour }

// ValidType reports whether a name has the form of an instance type, family.size.
func ValidType(name string) bool {
	family, size, _ := strings.Cut(name, ".")
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return family != "" && size != "" && strings.Trim(family, letters) == "" && strings.Trim(size, letters) == ""
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
	if l.unchecked {
		fmt.Fprintf(&b, "# %s: %s\n", headTypes, typesUnchecked)
	}
	b.WriteString(columns + "\n")
	for _, r := range l.rows {
		b.WriteString(r.instanceType + "," + strconv.FormatFloat(r.perHour, 'f', -1, 64) + "\n")
	}
	return b.String()
}
