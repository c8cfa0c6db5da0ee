package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// A target is one fuzz function.
type target struct {
	Package string // import path
	Name    string // of the function
}

// testFiles has the go command print the import path and the path of each test file.
const testFiles = `{{range .TestGoFiles}}{{$.ImportPath}} {{$.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$.ImportPath}} {{$.Dir}}/{{.}}
{{end}}`

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)

// findTargets returns the fuzz targets of the packages that match the pattern, in the order of the go command and the files.
// dir is a directory of the module.
func findTargets(ctx context.Context, dir, pattern string) ([]target, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f="+testFiles, pattern)
	list.Dir, list.Stderr = dir, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", pattern, err)
	}
	var targets []target
	for line := range strings.Lines(string(out)) {
		room, path, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, found := range fuzzFunction.FindAllStringSubmatch(string(text), -1) {
			targets = append(targets, target{room, found[1]})
		}
	}
	return targets, nil
}
