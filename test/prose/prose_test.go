package prose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const (
	root = "../.."
	// mostWords bounds the words of a test's name. Its subtests are sentences.
	mostWords = 8
)

// sentenceEnd ends a sentence, or a clause that could be one.
var sentenceEnd = regexp.MustCompile(`[.!?:](\s+)`)

// eachFile calls do with every Go file of the module.
func eachFile(t *testing.T, do func(path string, set *token.FileSet, f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil && !ast.IsGenerated(f) {
			do(path, set, f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestComments(t *testing.T) {
	rules := []struct {
		name    string
		pattern *regexp.Regexp
		most    float64 // share of all sentences, 0 to 1
		found   []string
	}{
		{name: "that of, those of, those that", pattern: regexp.MustCompile(`(?i)\b(that of|those of|those that)\b`), most: 0.005},
		{name: "tell, told", pattern: regexp.MustCompile(`(?i)\b(tells?|told|telling)\b`), most: 0.01},
		{name: "semicolon", pattern: regexp.MustCompile(`;`), most: 0.03},
	}
	sentences := 0
	eachFile(t, func(_ string, set *token.FileSet, f *ast.File) {
		for _, group := range f.Comments {
			for _, sentence := range sentenceEnd.Split(strings.TrimSpace(group.Text()), -1) {
				words := strings.Fields(sentence)
				if len(words) < 3 {
					continue
				}
				sentences++
				for n := range rules {
					if r := &rules[n]; r.pattern.MatchString(sentence) {
						r.found = append(r.found, set.Position(group.Pos()).String()+": "+strings.Join(words, " "))
					}
				}
			}
		}
	})
	if sentences < 1000 {
		t.Fatalf("%d sentences found: the test proves nothing", sentences)
	}
	for _, r := range rules {
		if share := float64(len(r.found)) / float64(sentences); share > r.most {
			t.Errorf("%s: %.2f %% of %d sentences, want at most %.2f %%:\n%s", r.name, 100*share, sentences, 100*r.most, strings.Join(r.found, "\n"))
		}
	}
}

func TestTestNames(t *testing.T) {
	eachFile(t, func(path string, set *token.FileSet, f *ast.File) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			if name, ok := strings.CutPrefix(fn.Name.Name, "Test"); ok && words(name) > mostWords {
				t.Errorf("%s: %s has %d words, want at most %d", set.Position(fn.Pos()), fn.Name.Name, words(name), mostWords)
			}
		}
	})
}

// words counts the words of a name. Capitals in a row, as in EC2 or AWS, begin one.
func words(name string) (n int) {
	before := 'a'
	for _, r := range name {
		if unicode.IsUpper(r) && !unicode.IsUpper(before) {
			n++
		}
		before = r
	}
	return n
}
