package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
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
