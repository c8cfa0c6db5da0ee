package pricefile

import (
	"fmt"
	"os"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Read reads a price file as pricing.ParseTerms describes it. Errors name the file and, if it could be read, the line.
func Read(path string) (*pricing.Terms, error) {
	text, err := content(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

// content returns the file without the byte order mark of some editors.
func content(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read price file: %w", err)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), nil
}

func parse(path, text string) (*pricing.Terms, error) {
	terms, err := pricing.ParseTerms(text)
	if err != nil {
		return nil, fmt.Errorf("price file %q: %w", path, err)
	}
	return terms, nil
}
