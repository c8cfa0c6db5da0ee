package docs

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
)

const root = "../../.."

// codeOf returns the code spans of the prose and the lines of the code blocks.
func codeOf(p document.Page) []string {
	code := p.Spans()
	for _, b := range p.Blocks {
		code = append(code, strings.Split(b.Text, "\n")...)
	}
	return code
}

// anchorsOf returns the anchors of the headings, as GitHub makes them.
func anchorsOf(p document.Page) []string {
	var anchors []string
	_, texts := p.Headings()
	for _, text := range texts {
		anchors = append(anchors, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, text))
	}
	return anchors
}

func TestLinksExist(t *testing.T) {
	docs := document.Pages(t, root)
	for _, d := range docs {
		for _, link := range d.Links() {
			file, anchor, anchored := strings.Cut(link, "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := d.Path
			if file != "" {
				target = filepath.Join(filepath.Dir(d.Path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: link to %s: there is no %s", d.Path, link, target)
				continue
			}
			i := slices.IndexFunc(docs, func(other document.Page) bool { return other.Path == target })
			assert.Truef(t, !anchored || i >= 0 && slices.Contains(anchorsOf(docs[i]), anchor),
				"%s: link to %s: %s has no such heading", d.Path, link, target)
		}
	}
}

// Two headings of one name would have anchors that depend on their order.
func TestHeadingsOfADocumentDiffer(t *testing.T) {
	for _, d := range document.Pages(t, root) {
		if d.Path == "CHANGELOG.md" {
			continue // each version has the same headings
		}
		anchors := anchorsOf(d)
		slices.Sort(anchors)
		assert.Lenf(t, slices.Compact(slices.Clone(anchors)), len(anchors), "%s has a heading twice: %q", d.Path, anchors)
	}
}

var repositoryPath = regexp.MustCompile(`^(?:\./)?((?:build|cloudprovider|cmd|docs|expander|manifests|pricing|test)(?:/[^\s,;:)]*)+)`)

func TestPathsExist(t *testing.T) {
	for _, d := range document.Pages(t, root) {
		for _, code := range codeOf(d) {
			for _, word := range strings.Fields(code) {
				found := repositoryPath.FindStringSubmatch(word)
				if found == nil {
					continue
				}
				_, err := os.Stat(filepath.Join(root, strings.TrimSuffix(found[1], "/...")))
				assert.NoErrorf(t, err, "%s: there is no %s", d.Path, found[1])
			}
		}
	}
}

var makeTarget = regexp.MustCompile(`\bmake ([a-z0-9-]+)`)

func TestMakeTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	for _, d := range document.Pages(t, root) {
		for _, code := range codeOf(d) {
			for _, found := range makeTarget.FindAllStringSubmatch(code, -1) {
				assert.Containsf(t, string(makefile), "\n"+found[1]+":", "%s: %q: there is no such target", d.Path, found[0])
			}
		}
	}
}

var (
	chosenTests = regexp.MustCompile(`-(?:run|bench)[ =]'?(\w+)`)
	testedRoom  = regexp.MustCompile(`\./([\w/-]+)`)
)

func TestCommandsChooseTestsThatExist(t *testing.T) {
	for _, d := range document.Pages(t, root) {
		for _, code := range codeOf(d) {
			rooms := testedRoom.FindStringSubmatch(code)
			if !strings.HasPrefix(code, "go test ") || rooms == nil {
				continue
			}
			for _, chosen := range chosenTests.FindAllStringSubmatch(code, -1) {
				assert.Truef(t, hasTest(t, rooms[1], chosen[1]), "%s: %q: %s has no test of that name", d.Path, code, rooms[1])
			}
		}
	}
}

var testName = regexp.MustCompile(`\bTest[A-Z]\w+`)

// A document that names a test as the proof of a statement names one that exists.
func TestNamedTestsExist(t *testing.T) {
	var declared []byte
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		declared = append(declared, text...)
		return err
	}))
	named := 0
	for _, d := range document.Pages(t, root) {
		for _, name := range testName.FindAllString(d.Prose, -1) {
			assert.Truef(t, bytes.Contains(declared, []byte("func "+name+"(")), "%s: there is no %s", d.Path, name)
			named++
		}
	}
	assert.NotZero(t, named)
}

// hasTest reports whether the name of a test or a benchmark of the package has the part.
func hasTest(t *testing.T, room, part string) bool {
	declared := regexp.MustCompile(`(?m)^func (Test|Benchmark)\w*`)
	files, err := filepath.Glob(filepath.Join(root, room, "*_test.go"))
	require.NoError(t, err)
	return slices.ContainsFunc(files, func(file string) bool {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		return slices.ContainsFunc(declared.FindAllString(string(content), -1), func(name string) bool { return strings.Contains(name, part) })
	})
}

// The lists of all flags and of all metrics are generated.
func TestFlagsAndMetricsExist(t *testing.T) {
	docs := document.Pages(t, root)
	for _, kind := range []struct {
		name *regexp.Regexp
		list string
	}{
		{regexp.MustCompile(`(--(?:asg|aws)-[a-z-]*[a-z])`), "docs/flags.md"},
		{regexp.MustCompile(`((?:asg|cluster)_autoscaler_[a-z_]*[a-z])\b`), "docs/metrics.md"},
		{regexp.MustCompile("\\bmetric\\s+`([a-z_]+)"), "docs/metrics.md"},
	} {
		list := document.Of(t, docs, kind.list).Text
		for _, d := range docs {
			for _, found := range kind.name.FindAllStringSubmatch(d.Text, -1) {
				assert.Truef(t, strings.Contains(list, "| `"+found[1]+"` |"), "%s: %s is not in %s", d.Path, found[1], kind.list)
			}
		}
	}
}

var permission = regexp.MustCompile(`"((?:arc-zonal-shift|autoscaling|ec2|eks|sqs|ssm):\w+)"`)

func TestPermissionsAreExplained(t *testing.T) {
	docs := document.Pages(t, root)
	install := document.Of(t, docs, "docs/install.md").Text
	policies, err := filepath.Glob(filepath.Join(root, "manifests", "iam", "*-aws.json"))
	require.Truef(t, err == nil && len(policies) != 0, "no policies: %v", err)
	for _, policy := range policies {
		content, err := os.ReadFile(policy)
		require.NoError(t, err)
		for _, action := range permission.FindAllStringSubmatch(string(content), -1) {
			assert.Containsf(t, install, "`"+action[1]+"`", "docs/install.md does not say what %s needs %s for", policy, action[1])
		}
	}
}

var (
	decisionPath = regexp.MustCompile(`docs/adr/[\w-]+\.md`)
	packagesLine = regexp.MustCompile(`(?m)^Packages: (.+)\.$`)
)

// A reader of the code finds the decision in the package's doc.go, and a reader of the decision the package.
func TestDecisionsAndPackagesNameEachOther(t *testing.T) {
	said := map[string][]string{} // decisions by package
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "doc.go" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		room, err := filepath.Rel(root, filepath.Dir(path))
		for _, found := range decisionPath.FindAllString(string(content), -1) {
			said[found] = append(said[found], room)
		}
		return err
	})
	require.NoError(t, err)
	docs := document.Pages(t, root)
	index := document.Of(t, docs, "docs/adr/README.md").Text
	decisions := 0
	for _, d := range docs {
		if filepath.Dir(d.Path) != "docs/adr" || d.Path == "docs/adr/README.md" {
			continue
		}
		decisions++
		named := packagesLine.FindStringSubmatch(d.Text)
		if named == nil {
			t.Errorf("%s names no packages", d.Path)
			continue
		}
		packages := strings.Split(strings.ReplaceAll(named[1], "`", ""), ", ")
		slices.Sort(packages)
		slices.Sort(said[d.Path])
		assert.Truef(t, slices.Equal(packages, said[d.Path]), "%s names the packages %q, and it is named by %q", d.Path, packages, said[d.Path])
		assert.Truef(t, strings.Contains(index, "("+filepath.Base(d.Path)+")"), "docs/adr/README.md lacks %s", d.Path)
		delete(said, d.Path)
	}
	for path := range said {
		t.Errorf("there is no %s, which %q name", path, said[path])
	}
	assert.Truef(t, decisions >= 10, "found %d decisions: they are written in another way now", decisions)
}

// The table of the loop names our adapters in the order in which the wiring calls them.
func TestArchitectureFollowsTheWiring(t *testing.T) {
	docs := document.Pages(t, root)
	table := document.Of(t, docs, "docs/architecture.md").Text
	wiring, err := os.ReadFile(filepath.Join(root, "cmd", "cluster-autoscaler", "process", "testdata", "wiring.txt"))
	require.NoError(t, err)
	_, plain, _ := strings.Cut(string(wiring), "== all features off\n")
	plain, _, _ = strings.Cut(plain, "\n== ")
	found := 0
	for line := range strings.Lines(plain) {
		name := strings.TrimSpace(line)
		if !strings.HasPrefix(line, "  ") || name == "-" || strings.HasSuffix(name, "(core)") {
			continue
		}
		found++
		var named bool
		_, table, named = strings.Cut(table, "`"+name+"`")
		require.Truef(t, named, "docs/architecture.md lacks `%s` at its place in the loop", name)
	}
	assert.Truef(t, found >= 10, "found %d adapters: wiring.txt has another form now", found)
}

func TestFilesOnTheWayOfAPodAreFew(t *testing.T) {
	_, way, _ := strings.Cut(document.Of(t, document.Pages(t, root), "docs/architecture.md").Text, "## The way of one pending pod")
	way, _, _ = strings.Cut(way, "The plan of the scale-up")
	files := regexp.MustCompile("`[^`]+\\.go`").FindAllString(way, -1)
	assert.LessOrEqual(t, len(files), 45)
	assert.Contains(t, way, strconv.Itoa(len(files))+" files of ours")
	all := map[string]bool{}
	for _, room := range []string{"cloudprovider", "cmd", "expander"} {
		_ = filepath.WalkDir(filepath.Join(root, room), func(path string, _ fs.DirEntry, _ error) error {
			all[filepath.Base(path)] = true
			return nil
		})
	}
	for _, name := range files {
		assert.Truef(t, all[filepath.Base(strings.Trim(name, "`"))], "docs/architecture.md names %s, which no room has", name)
	}
}

func TestREADMEIsShort(t *testing.T) {
	docs := document.Pages(t, root)
	readme := document.Of(t, docs, "README.md")
	words := len(strings.Fields(readme.Text))
	assert.Truef(t, words <= 2050, "README.md has %d words, at most 2,050 are read", words)
}

// A reason is a word that a metric or an event shows, and for which an operator looks in the documents.
func TestReasonsAreExplained(t *testing.T) {
	var explained strings.Builder
	for _, d := range document.Pages(t, root) {
		if d.Path != "docs/metrics.md" {
			explained.WriteString(d.Text)
		}
	}
	found := 0
	err := filepath.WalkDir(filepath.Join(root, "cloudprovider"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			for name, value := range reasons(node) {
				found++
				assert.Truef(t, strings.Contains(explained.String(), "`"+value+"`"), "%s: no document explains `%s` (%s)", path, value, name)
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	assert.Truef(t, found >= 50, "found %d reasons: they are declared in another way now", found)
}

// reasons returns the constants of a declaration that are reasons, by name: those called so, and outcomes of interruptions.
func reasons(node ast.Node) map[string]string {
	spec, ok := node.(*ast.ValueSpec)
	if !ok || len(spec.Names) != len(spec.Values) {
		return nil
	}
	kind, _ := spec.Type.(*ast.Ident)
	found := map[string]string{}
	for i, name := range spec.Names {
		value, ok := spec.Values[i].(*ast.BasicLit)
		if !ok || value.Kind != token.STRING {
			continue
		}
		called := strings.HasPrefix(strings.ToLower(name.Name), "reason")
		if called || kind != nil && (kind.Name == "Reason" || kind.Name == "outcome") {
			found[name.Name], _ = strconv.Unquote(value.Value)
		}
	}
	return found
}
