package options

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

const (
	sectionOurs   = "Flags of ours"
	sectionUnset  = "Stock flags with another value here"
	sectionOther  = "Flags of other stock releases"
	sectionStock  = "Stock flags"
	sectionInert  = "Flags that do nothing here"
	sectionAbsent = "" // flags of packages that are linked by accident
)

type texts struct {
	Head                    string
	Sections, Others, Units map[string]string
}

// unit returns the unit or the form of a flag's values, "" for a number without one in testdata/flags.yaml.
func (x texts) unit(f *pflag.Flag) string {
	if named, ok := x.Units[f.Name]; ok {
		return named
	}
	switch kind := f.Value.Type(); kind {
	case "bool":
		return "true, false"
	case "duration":
		return "duration"
	case "string", "severity", "traceLocation", "pattern=N,...":
		return "text"
	case "stringSlice":
		return "list"
	case "MultiStringFlag":
		return "text, may be repeated"
	case "mapStringBool":
		return "name=true, ..."
	case "quantity":
		return "bytes"
	case "Level":
		return "level"
	default:
		return ""
	}
}

func (x texts) section(t *testing.T, f *pflag.Flag) string {
	stock, other := readLines(t, "stock_flags.txt"), readLines(t, "other_flags.txt")
	in := func(lines []string) bool {
		return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "--"+f.Name+" ") })
	}
	switch {
	case foreign(f.Name):
		return sectionAbsent
	case x.why(f) != "":
		return sectionInert
	case in(other):
		return sectionOther
	case !in(stock):
		return sectionOurs
	default:
		return sectionStock
	}
}

// why returns the reason why a flag does nothing, "" if it does something.
func (x texts) why(f *pflag.Flag) string {
	if i := slices.IndexFunc(inert, func(i Inert) bool { return i.Name == f.Name }); i >= 0 {
		return inert[i].Why
	}
	return x.Others[f.Name]
}

// usage returns the help of a flag without the list of all feature gates.
func usage(f *pflag.Flag) string {
	text, _, listed := strings.Cut(f.Usage, "Options are:\n")
	if listed {
		text += "`--help` lists them."
	}
	return text
}

func flagsDocument(t *testing.T) string {
	t.Helper()
	fs, _ := register(t)
	raw, err := os.ReadFile("testdata/flags.yaml")
	require.NoError(t, err)
	var x texts
	require.NoError(t, yaml.UnmarshalStrict(raw, &x))
	rows := map[string][][]string{}
	fs.VisitAll(func(f *pflag.Flag) {
		name, standard := document.Code("--"+f.Name), document.Code(strings.TrimSuffix(f.DefValue, "[]"))
		switch where := x.section(t, f); where {
		case sectionAbsent:
		case sectionInert:
			rows[where] = append(rows[where], []string{name, document.Text(x.why(f))})
		default:
			assert.Truef(t, x.unit(f) != "", "--%s is a %s: name its unit in testdata/flags.yaml", f.Name, f.Value.Type())
			rows[where] = append(rows[where], []string{name, standard, x.unit(f), document.Text(usage(f))})
		}
	})
	for _, u := range unset {
		f := fs.Lookup(u.name)
		rows[sectionUnset] = append(rows[sectionUnset], []string{document.Code("--" + u.name), document.Code(f.DefValue), document.Text(fmt.Sprint(u.value)), document.Text(u.why)})
	}
	text := x.Head
	for _, s := range []string{sectionOurs, sectionUnset, sectionOther, sectionInert, sectionStock} {
		head := []string{"flag", "default", "unit", "meaning"}
		switch s {
		case sectionInert:
			head = []string{"flag", "why"}
		case sectionUnset:
			head = []string{"flag", "stock", "here", "why"}
		}
		text += "\n## " + s + "\n\n" + x.Sections[s] + "\n\n" + document.Table(head, rows[s])
	}
	return text
}

// Each value in docs/migration.md brings back what another stock does, so it is none that counts here without it.
func TestOldBehaviourNeedsItsFlags(t *testing.T) {
	fs, _ := register(t)
	page := document.Of(t, document.Pages(t, "../../.."), "docs/migration.md")
	_, section, found := strings.Cut(page.Prose, "\n## What differs, and how to get the old behaviour\n")
	require.True(t, found, "the section of what differs")
	section, _, _ = strings.Cut(section, "\n## ")
	given := map[string]string{}
	for _, row := range strings.Split(section, "\n") {
		columns := strings.Split(strings.Trim(row, "| "), " | ")
		page.Prose = columns[len(columns)-1]
		for _, span := range page.Spans() {
			for _, word := range strings.Fields(span) {
				if name, value, isFlag := strings.Cut(strings.TrimPrefix(word, "--"), "="); isFlag && strings.HasPrefix(word, "--") {
					given[name] = value
				}
			}
		}
	}
	require.Contains(t, given, "blocking-system-pod-distruption-timeout")
	for name, value := range given {
		f := fs.Lookup(name)
		require.NotNilf(t, f, "--%s is no flag", name)
		t.Cleanup(func() { _ = f.Value.Set(f.DefValue) }) // the core's flags are the process's
		require.NoErrorf(t, f.Value.Set(value), "--%s=%s", name, value)
		here := f.DefValue
		for _, u := range unset {
			if u.name == name {
				here = fmt.Sprint(u.value)
			}
		}
		assert.NotEqualf(t, here, f.Value.String(), "--%s=%s is the default", name, value)
	}
}

// make docs writes the document.
func TestFlagsDocument(t *testing.T) {
	document.Check(t, "../../..", "flags.md", flagsDocument(t), *update)
}
