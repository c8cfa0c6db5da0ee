package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

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
	text := withoutControls(b.String())
	if f == YAML {
		var err error
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
	}
	_, err := w.Write(text)
	return err
}

// withoutControls escapes the control characters that JSON permits in strings, for a terminal may obey them, and
// YAML refuses them.
func withoutControls(document string) []byte {
	var b bytes.Buffer
	b.Grow(len(document))
	for _, r := range document {
		if r >= 0x7f && r < 0xa0 {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.Bytes()
}
