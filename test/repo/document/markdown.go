package document

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Translated ends the name of a translation.
const Translated = ".zh-CN.md"

// A Page is a Markdown document.
type Page struct {
	Path, Text string // the path is relative to the root
	Prose      string // the text with an empty line in place of each block
	Blocks     []Block
}

// A Block is the content of one fence.
type Block struct {
	Document       string // path from the root
	Line           int    // of its first line of content, from 1
	Language, Text string
}

func (b Block) String() string { return fmt.Sprintf("%s:%d", b.Document, b.Line) }

var (
	opening = regexp.MustCompile("^ *```+ *([^ `]*) *$")
	heading = regexp.MustCompile(`(?m)^(#+) +(.+)$`)
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	span    = regexp.MustCompile("`[^`]+`")
)

// Parse returns a page of the text. The indentation of a fence in a list goes from its lines.
func Parse(path, text string) (Page, error) {
	var (
		prose []string
		open  *Block
		inner int // columns of indentation
	)
	p := Page{Path: path, Text: text}
	for n, line := range strings.Split(text, "\n") {
		fence := opening.FindStringSubmatch(line)
		switch {
		case open == nil && fence != nil:
			open, inner = &Block{Document: path, Line: n + 2, Language: fence[1]}, len(line)-len(strings.TrimLeft(line, " "))
		case open == nil:
			prose = append(prose, line)
		case fence != nil:
			p.Blocks, prose, open = append(p.Blocks, *open), append(prose, ""), nil
		default:
			open.Text += line[min(inner, len(line)-len(strings.TrimLeft(line, " "))):] + "\n"
		}
	}
	if open != nil {
		return Page{}, fmt.Errorf("%s: the fence of line %d is never closed", path, open.Line-1)
	}
	p.Prose = strings.Join(prose, "\n")
	return p, nil
}

// Pages returns the documents at the top, and those below docs and manifests: README.md first, then by path.
func Pages(t *testing.T, root string) []Page {
	paths, err := filepath.Glob(filepath.Join(root, "*.md"))
	require.NoError(t, err)
	for _, dir := range []string{"docs", "manifests"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".md" {
				paths = append(paths, path)
			}
			return err
		}))
	}
	slices.Sort(paths)
	var pages []Page
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		name, err := filepath.Rel(root, path)
		require.NoError(t, err)
		page, err := Parse(filepath.ToSlash(name), string(text))
		require.NoError(t, err)
		if name == "README.md" {
			pages = slices.Insert(pages, 0, page)
		} else {
			pages = append(pages, page)
		}
	}
	return pages
}

// Of returns the page with a path.
func Of(t *testing.T, pages []Page, path string) Page {
	i := slices.IndexFunc(pages, func(p Page) bool { return p.Path == path })
	require.GreaterOrEqualf(t, i, 0, "there is no %s", path)
	return pages[i]
}

// In returns the texts of the blocks in a language.
func (p Page) In(language string) []string {
	var texts []string
	for _, b := range p.Blocks {
		if b.Language == language {
			texts = append(texts, b.Text)
		}
	}
	return texts
}

// Headings returns the headings, with the signs before each and its text.
func (p Page) Headings() (signs, texts []string) {
	for _, found := range heading.FindAllStringSubmatch(p.Prose, -1) {
		signs, texts = append(signs, found[1]), append(texts, strings.TrimSpace(found[2]))
	}
	return signs, texts
}

// Links returns the targets of the links.
func (p Page) Links() []string {
	var links []string
	for _, found := range link.FindAllStringSubmatch(p.Prose, -1) {
		links = append(links, found[1])
	}
	return links
}

// Spans returns the code spans of the prose, each on one line.
func (p Page) Spans() []string {
	var spans []string
	for _, found := range span.FindAllString(p.Prose, -1) {
		spans = append(spans, strings.Join(strings.Fields(strings.Trim(found, "`")), " "))
	}
	return spans
}
