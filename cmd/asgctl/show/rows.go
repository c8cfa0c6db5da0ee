package show

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

// hump is where a new word begins in a name.
var hump = regexp.MustCompile(`([a-z])([A-Z])`)

// Rows returns a table of structs, under a header. As in JSON, each exported field is a column, and so are the fields of an embedded
// struct. A column's title is the field's name, such as IN-SERVICE for InService. A tag changes that: `table:"BASIS"` states another
// title, `table:"-"` leaves the field out, and `table:",yes|no"` states the words for true and false.
func Rows[T any](rows []T) string {
	var header []string
	cells := make([][]string, len(rows))
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		title, words, _ := strings.Cut(field.Tag.Get("table"), ",")
		if field.Anonymous || !field.IsExported() || title == "-" {
			continue
		}
		header = append(header, cmp.Or(title, strings.ToUpper(hump.ReplaceAllString(field.Name, "$1-$2"))))
		for at, row := range rows {
			cells[at] = append(cells[at], cell(reflect.ValueOf(row).FieldByIndex(field.Index).Interface(), words))
		}
	}
	return Columns(header, cells)
}

// below returns a table that stands below another, or nothing where it has no row.
func below[T any](rows []T) string {
	if len(rows) == 0 {
		return ""
	}
	return "\n" + Rows(rows)
}

// cell is a value in words. A type with words of its own has the method String.
func cell(value any, words string) string {
	switch v := value.(type) {
	case bool:
		yes, no, _ := strings.Cut(words, "|")
		if v {
			return yes
		}
		return no
	case float64:
		return figure(v)
	}
	return fmt.Sprint(value)
}

// figure writes a number without an exponent.
func figure(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// Count is a number of things. Its cell is empty for none.
type Count int

// String returns the number, or nothing for none.
func (n Count) String() string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// Columns returns aligned rows under a header. Text from outside cannot break a row.
func Columns(header []string, rows [][]string) string {
	var b strings.Builder // no write to it fails
	tw := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Clean(cell)
		}
		fmt.Fprintln(tw, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	_ = tw.Flush()
	return b.String()
}

// Clean replaces control characters, so that text from outside can move no cursor and end no line. "-" stands for nothing.
func Clean(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}
