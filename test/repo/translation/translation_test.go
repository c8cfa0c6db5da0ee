package translation

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root   = "../../.."
	suffix = ".zh-CN.md"
)

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	heading = regexp.MustCompile(`(?m)^#+ `)
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	span    = regexp.MustCompile("`[^`]+`")
	row     = regexp.MustCompile(`(?m)^\|.*\|$`)
	bullet  = regexp.MustCompile(`(?m)^- `)
)

// A document's parts must be the same in every language.
type parts struct {
	Headings []string // the signs before each heading
	Blocks   []string
	Columns  []int // of each row of a table
	Bullets  int
	Links    []string // sorted
	Code     []string // sorted, each once
}

func partsOf(text string) parts {
	p := parts{Blocks: fence.FindAllString(text, -1)}
	prose := fence.ReplaceAllString(text, "")
	p.Headings = heading.FindAllString(prose, -1)
	for _, found := range row.FindAllString(prose, -1) {
		p.Columns = append(p.Columns, strings.Count(strings.ReplaceAll(found, `\|`, ""), "|"))
	}
	p.Bullets = len(bullet.FindAllString(prose, -1))
	for _, found := range link.FindAllStringSubmatch(prose, -1) {
		p.Links = append(p.Links, strings.Replace(found[1], suffix, ".md", 1))
	}
	for _, found := range span.FindAllString(prose, -1) {
		p.Code = append(p.Code, strings.Join(strings.Fields(found), " "))
	}
	slices.Sort(p.Links)
	slices.Sort(p.Code)
	p.Code = slices.Compact(p.Code)
	return p
}

// extra are links that help the readers of a translation alone.
var extra = map[string][]string{"README.zh-CN.md": {"docs/recipes/china.md", "docs/recipes/gpu-spot-china.md"}}

func TestTranslationsFollowTheirOriginals(t *testing.T) {
	for _, path := range []string{"README" + suffix, "docs/recipes/gpu-spot-china" + suffix} {
		original := strings.TrimSuffix(path, suffix) + ".md"
		text := func(path string) string {
			content, err := os.ReadFile(filepath.Join(root, path))
			require.NoError(t, err)
			return string(content)
		}
		want, got := partsOf(text(original)), partsOf(text(path))
		want.Links = append(want.Links, extra[path]...)
		slices.Sort(want.Links)
		assert.Emptyf(t, cmp.Diff(want, got), "%s differs from %s (-original +translation)", path, original)
		for i, line := range strings.Split(fence.ReplaceAllString(text(path), ""), "\n") {
			assert.Truef(t, len([]rune(line)) <= 100 || strings.HasPrefix(line, "|") || strings.Contains(line, "<img"),
				"%s: line %d outside its blocks has %d characters, want at most 100", path, i+1, len([]rune(line)))
		}
	}
}
