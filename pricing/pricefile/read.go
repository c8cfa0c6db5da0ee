package pricefile

import (
	"fmt"
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

// content returns the file without the byte order mark of some editors.
func content(path string) (string, error) {
	text, err := os.ReadFile(path)
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
