package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
)

// A documented is a key of values.yaml that has a comment.
type documented struct{ key, meaning string }

var (
	meaningLine = regexp.MustCompile(`^ *# -- (.+)$`)
	keyLine     = regexp.MustCompile(`^( *)([A-Za-z]+):`)
)

// documentedKeys returns the keys of values.yaml with a comment "# -- meaning" in the line above, in order.
func documentedKeys(t *testing.T) []documented {
	raw, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	require.NoError(t, err)
	var (
		found   []documented
		parents []string // the keys above, by depth
		meaning string
	)
	for line := range strings.Lines(string(raw)) {
		if m := meaningLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			meaning = m[1]
			continue
		}
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		depth := len(m[1]) / 2
		if depth > len(parents) {
			continue // inside a list
		}
		parents = append(parents[:depth], m[2])
		if meaning != "" {
			found = append(found, documented{strings.Join(parents, "."), meaning})
		}
		meaning = ""
	}
	return found
}

func at(values map[string]any, key string) any {
	first, rest, nested := strings.Cut(key, ".")
	if !nested {
		return values[first]
	}
	inner, _ := values[first].(map[string]any)
	return at(inner, rest)
}

// The table of the chart's README comes from values.yaml. Rewrite it by: go test ./test/repo/chart -run README -update
func TestREADMEHasTheTableOfValues(t *testing.T) {
	values := readValues(t, filepath.Join(chartDir, "values.yaml"))
	var table strings.Builder
	table.WriteString("| key | default | meaning |\n|---|---|---|\n")
	for _, d := range documentedKeys(t) {
		standard, err := json.Marshal(at(values, d.key))
		require.NoError(t, err)
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", d.key, standard, d.meaning)
	}
	path := filepath.Join(chartDir, "README.md")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(raw), "| key | default |")
	_, after, ended := strings.Cut(rest, "\n\n")
	require.True(t, found && ended, "the README has no table of values")
	want := before + table.String() + "\n" + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	assert.Empty(t, cmp.Diff(want, string(raw)), "README.md (-want +got)")
}

// Nobody else takes what the program has put on nodes off them.
func TestUninstallNamesWhatStaysOnNodes(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(chartDir, "README.md"))
	require.NoError(t, err)
	_, uninstall, found := strings.Cut(string(raw), "## Uninstall\n")
	require.True(t, found)
	for _, taint := range []string{"ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler", interruption.Taint, move.Taint} {
		assert.Containsf(t, uninstall, "| `"+taint+"` |", "a taint")
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	explained := map[string]bool{}
	for _, d := range documentedKeys(t) {
		explained[d.key] = true
	}
	for _, key := range keys(readValues(t, filepath.Join(chartDir, "values.yaml")), "") {
		assert.Truef(t, explained[key], "values.yaml has no comment above %s", key)
	}
}

// The schema has each key, so that its type is checked.
func TestEveryKeyIsInTheSchema(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	require.NoError(t, err)
	type schema struct{ Properties map[string]json.RawMessage }
	for _, key := range keys(readValues(t, filepath.Join(chartDir, "values.yaml")), "") {
		level := raw
		for name := range strings.SplitSeq(key, ".") {
			var s schema
			require.NoError(t, json.Unmarshal(level, &s))
			if level = s.Properties[name]; level == nil {
				t.Errorf("values.schema.json lacks %s", key)
				break
			}
		}
	}
}
