package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"sigs.k8s.io/yaml"
)

// Version is the "version" member of the JSON and YAML output of every command. It changes when a member changes its meaning or
// goes. New members may come without a change.
const Version = "v1"

// Format is one of Table, JSON and YAML. It is a flag value.
type Format string

const (
	Table Format = "table"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

func (f *Format) String() string { return string(*f) }

func (f *Format) Type() string { return "table|json|yaml" }

func (f *Format) Set(value string) error {
	if !slices.Contains([]Format{Table, JSON, YAML}, Format(value)) {
		return fmt.Errorf("want table, json or yaml")
	}
	*f = Format(value)
	return nil
}

// controls are the control characters that JSON permits in strings. A terminal may obey them, and YAML refuses them.
var controls = regexp.MustCompile(`[\x{7f}-\x{9f}]`)

func Print(w io.Writer, f Format, result any, table func() string) error {
	if f != JSON && f != YAML {
		_, err := io.WriteString(w, table())
		return err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(result); err != nil {
		return err
	}
	text := controls.ReplaceAllFunc(b.Bytes(), func(c []byte) []byte { return fmt.Appendf(nil, `\u%04x`, []rune(string(c))[0]) })
	if f == YAML {
		var err error
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
	}
	_, err := w.Write(text)
	return err
}

// below returns a table that stands below another, or nothing where it has no row.
func below(header []string, rows [][]string) string {
	if len(rows) == 0 {
		return ""
	}
	return "\n" + Columns(header, rows)
}

// figure writes a number without an exponent.
func figure(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// Count returns a number of things, or nothing for none.
func Count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
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
	return strings.Map(harmless, s)
}

// Lines is Clean for the steps of a remedy, each of which keeps its line.
func Lines(s, indent string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.Map(harmless, lines[i])
	}
	return strings.Join(lines, "\n"+indent)
}

func harmless(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return '\ufffd'
	}
	return r
}

// Terminal is where text from outside may be written in lines, such as errors. It replaces the other control characters.
type Terminal struct{ io.Writer }

func (t Terminal) Write(text []byte) (int, error) {
	_, err := t.Writer.Write(bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return harmless(r)
	}, text))
	return len(text), err
}
