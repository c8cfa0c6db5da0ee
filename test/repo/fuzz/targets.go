package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A target is one fuzz function.
type target struct {
	Package string // import path
	Name    string // of the function
}

// findTargets returns the fuzz targets of the packages that match the pattern, in the order of the go command and the files.
// dir is a directory of the module.
func findTargets(ctx context.Context, dir, pattern string) ([]target, error) {
	list := exec.CommandContext(ctx, "go", "list", "-json=Dir,ImportPath,TestGoFiles,XTestGoFiles", pattern)
	list.Dir, list.Stderr = dir, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", pattern, err)
	}
	var targets []target
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var listed struct {
			Dir, ImportPath           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			return targets, nil
		} else if err != nil {
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		for _, name := range append(listed.TestGoFiles, listed.XTestGoFiles...) {
			names, err := fuzzFunctions(filepath.Join(listed.Dir, name))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				targets = append(targets, target{listed.ImportPath, name})
			}
		}
	}
}

// fuzzFunctions returns the names of the fuzz functions of a test file, by the go command's own rule: the name begins with Fuzz,
// and there is one parameter.
func fuzzFunctions(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, declared := range file.Decls {
		f, ok := declared.(*ast.FuncDecl)
		if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") && f.Type.Params.NumFields() == 1 {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}
