package document

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Text returns a text as it stands in a cell of a table. Code between backticks stays code.
func Text(text string) string {
	parts := strings.Split(strings.Join(strings.Fields(text), " "), "`")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "|", `\|`)
		if i%2 == 0 {
			parts[i] = strings.NewReplacer("<", `\<`, "*", `\*`).Replace(parts[i])
		}
	}
	return strings.Join(parts, "`")
}

// Code returns a text as code in a cell of a table. An empty text stays empty.
func Code(text string) string {
	if text == "" {
		return ""
	}
	return Text("`" + text + "`")
}

// Table returns a table in Markdown. The cells are ready for it: made by Text or Code.
func Table(head []string, rows [][]string) string {
	var table strings.Builder
	line := func(cells []string) { table.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	table.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return table.String()
}

// Check fails the test unless the file called name, in the docs folder below root, has the content want. With update it writes
// the file first.
func Check(t *testing.T, root, name, want string, update bool) {
	path := filepath.Join(root, "docs", name)
	if update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(strings.Split(string(got), "\n"), strings.Split(want, "\n")), "docs/%s is stale, run: make docs (-file +code)", name)
}
