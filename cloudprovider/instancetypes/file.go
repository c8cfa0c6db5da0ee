package instancetypes

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
)

// ReadFile reads a user's list, as ParseDump does. The source of a type is the file's name, and the day on which the file was written.
func ReadFile(path string) ([]Type, error) {
	text, unread := os.ReadFile(path)
	info, err := os.Stat(path)
	if err = cmp.Or(err, unread); err != nil {
		return nil, fmt.Errorf("read instance types: %w", err)
	}
	types, err := ParseDump(bytes.TrimPrefix(text, []byte("\ufeff")))
	if err != nil {
		return nil, fmt.Errorf("instance types of %q: %w", path, err)
	}
	for i := range types {
		types[i].Source = dumpSource + " in " + filepath.Base(path) + ", " + info.ModTime().UTC().Format(dateLayout)
	}
	return types, nil
}

// WithFile returns the embedded catalogue with the types of the file at path, unless that is "", laid over it.
func WithFile(path string) (*Catalogue, error) {
	if path == "" {
		return Embedded(), nil
	}
	newer, err := ReadFile(path)
	return Embedded().With(newer...), err
}
