package translation

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

const root = "../../.."

var (
	row    = regexp.MustCompile(`(?m)^\|.*\|$`)
	bullet = regexp.MustCompile(`(?m)^- `)
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

func partsOf(page document.Page) parts {
	p := parts{Code: page.Spans()}
	p.Headings, _ = page.Headings()
	for _, b := range page.Blocks {
		p.Blocks = append(p.Blocks, b.Language+"\n"+b.Text)
	}
	for _, found := range row.FindAllString(page.Prose, -1) {
		p.Columns = append(p.Columns, strings.Count(strings.ReplaceAll(found, `\|`, ""), "|"))
	}
	p.Bullets = len(bullet.FindAllString(page.Prose, -1))
	for _, link := range page.Links() {
		p.Links = append(p.Links, strings.Replace(link, document.Translated, ".md", 1))
	}
	slices.Sort(p.Links)
	slices.Sort(p.Code)
	p.Code = slices.Compact(p.Code)
	return p
}

// extra are links that help the readers of a translation alone.
var extra = map[string][]string{"README.zh-CN.md": {"docs/recipes/china.md", "docs/recipes/gpu-spot-china.md"}}

func TestTranslationsFollowTheirOriginals(t *testing.T) {
	pages := document.Pages(t, root)
	for _, name := range []string{"README", "docs/recipes/gpu-spot-china"} {
		path, original := name+document.Translated, name+".md"
		translation := document.Of(t, pages, path)
		want, got := partsOf(document.Of(t, pages, original)), partsOf(translation)
		want.Links = append(want.Links, extra[path]...)
		slices.Sort(want.Links)
		assert.Emptyf(t, cmp.Diff(want, got), "%s differs from %s (-original +translation)", path, original)
		for i, line := range strings.Split(translation.Prose, "\n") {
			assert.Truef(t, len([]rune(line)) <= 100 || strings.HasPrefix(line, "|") || strings.Contains(line, "<img"),
				"%s: line %d outside its blocks has %d characters, want at most 100", path, i+1, len([]rune(line)))
		}
	}
}
