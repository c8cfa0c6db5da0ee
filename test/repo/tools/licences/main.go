package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
)

// permitted are the licences under which a module may be linked, by SPDX identifier. MPL-2.0 obliges whoever changes the module's
// own files to publish them, and nothing here changes them.
var permitted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}

// packages are the product's binaries, and tags the build tags that the Makefile sets.
const (
	packages = "./cmd/..."
	tags     = "externalgrpc,grpcnotrace"
)

func main() {
	root := flag.String("root", ".", "`DIR` of the product's module")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	modules, err := linked(root)
	if err != nil {
		return err
	}
	texts, err := assets.DefaultClassifier()
	if err != nil {
		return err
	}
	var problems []error
	for _, m := range modules {
		problems = append(problems, m.classify(texts))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, m := range modules {
		fmt.Printf("| `%s` | %s | %s |\n", m.path, m.version, strings.Join(m.licences, ", "))
	}
	return nil
}

// A module is linked into a binary.
type module struct {
	path, version string
	files         []file
	licences      []string // SPDX identifiers, sorted
}

// A file holds a licence or a notice.
type file struct {
	name string // relative to the module's root
	text []byte
}

// linked returns the modules whose packages are linked, sorted by path, Go's standard library first. The product itself is left out.
func linked(root string) ([]*module, error) {
	const format = `{{with .Module}}{{if not .Main}}{{.Path}}	{{with .Replace}}{{.Version}}{{else}}{{.Version}}{{end}}	{{.Dir}}	{{$.Dir}}{{end}}{{end}}`
	list := exec.Command("go", "list", "-deps", "-tags="+tags, "-f", format, packages)
	list.Dir, list.Stderr = root, os.Stderr
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly") // the same on every machine
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	std := &module{path: "std", version: "of the build"}
	if err := std.read(strings.TrimSpace(string(goroot)), ""); err != nil {
		return nil, err
	}
	byPath := map[string]*module{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("go list: line %q", line)
		}
		path, version, root, dir := fields[0], fields[1], fields[2], fields[3]
		if byPath[path] == nil {
			byPath[path] = &module{path: path, version: version}
		}
		below, err := filepath.Rel(root, dir)
		if err != nil {
			return nil, err
		}
		for ; ; below = filepath.Dir(below) {
			if err := byPath[path].read(root, below); err != nil {
				return nil, err
			}
			if below == "." {
				break
			}
		}
	}
	modules := []*module{std}
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		modules = append(modules, byPath[path])
	}
	return modules, nil
}

var fileName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([-._].*)?$`)

// read adds the licence and notice files of one folder of the module. It adds no file twice.
func (m *module) read(root, below string) error {
	entries, err := os.ReadDir(filepath.Join(root, below))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join(below, entry.Name())
		if filepath.Ext(name) == ".go" || filepath.Ext(name) == ".docs" { // code, and the licence of documents, which are not linked
			continue
		}
		known := slices.ContainsFunc(m.files, func(f file) bool { return f.name == name })
		if known || !entry.Type().IsRegular() || !fileName.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		m.files = append(m.files, file{name, text})
	}
	return nil
}

// isNotice reports whether the file holds attributions rather than a licence.
func (f file) isNotice() bool {
	return strings.HasPrefix(strings.ToLower(filepath.Base(f.name)), "notice")
}

// classify finds the licences of the module's files. Its error names the module and the remedy.
func (m *module) classify(texts *classifier.Classifier) error {
	for _, f := range m.files {
		if f.isNotice() {
			continue
		}
		found := 0
		for _, match := range texts.Match(f.text).Matches {
			if match.MatchType != "License" {
				continue
			}
			if !slices.Contains(permitted, match.Name) {
				return fmt.Errorf("%s %s: %s is under %s, which is not permitted: do without the module, or add the licence to permitted "+
					"in test/repo/tools/licences with the reason", m.path, m.version, f.name, match.Name)
			}
			found++
			if !slices.Contains(m.licences, match.Name) {
				m.licences = append(m.licences, match.Name)
			}
		}
		if found == 0 {
			return fmt.Errorf("%s %s: the licence in %s is not recognised: read it, and do without the module if it is not permitted", m.path, m.version, f.name)
		}
	}
	if len(m.licences) == 0 {
		return fmt.Errorf("%s %s has no licence file: do without the module", m.path, m.version)
	}
	slices.Sort(m.licences)
	return nil
}
