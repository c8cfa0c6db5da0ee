package pricefile

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Read reads a price file as pricing.ParseTerms describes it. Errors name the file and, if it could be read, the line.
// Instance types that are neither in known nor in an embedded list are errors, unless the file says otherwise.
func Read(path string, known []string) (*pricing.Terms, error) {
	text, err := content(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text, known)
}

// content returns at most one byte more of the file than the limit, without the byte order mark of some editors.
func content(path string) (string, error) {
	info, err := os.Stat(path) // before the file is opened, for opening a pipe waits for its writer
	if err != nil {
		return "", fmt.Errorf("read price file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("read price file: %q is not a regular file but %v: name the file itself", path, info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read price file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, pricing.MaxBytes+1))
	if err != nil {
		return "", fmt.Errorf("read price file: %w", err)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), nil
}

func parse(path, text string, known []string) (*pricing.Terms, error) {
	terms, err := pricing.ParseTerms(text, known)
	if err != nil {
		return nil, fmt.Errorf("price file %q: %w", path, err)
	}
	return terms, nil
}
