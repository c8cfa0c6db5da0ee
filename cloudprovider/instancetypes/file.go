package instancetypes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ReadFile reads a user's list of instance types: a table as Parse reads it, or the AWS CLI's output of
// describe-instance-types. It holds only the types of the file. Errors name the file, the line and the fault. The source of a
// dump is the file's name, and its date the day the file was written.
func ReadFile(path string) (*Catalogue, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read instance types: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read instance types: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxDumpBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read instance types: %w", err)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	c, err := parseAny(text)
	if err != nil {
		return nil, fmt.Errorf("instance types of %q: %w", path, err)
	}
	if c.source == dumpSource {
		c.source = dumpSource + " in " + filepath.Base(path)
	}
	if c.date.IsZero() {
		c.date = info.ModTime().UTC().Truncate(24 * time.Hour)
	}
	c.stamp()
	return c, nil
}

// WithFile returns the embedded catalogue with the types of the file at path, unless that is "", laid over it.
func WithFile(path string) (*Catalogue, error) {
	if path == "" {
		return Embedded(), nil
	}
	newer, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Embedded().With(newer.Types()...), nil
}

// parseAny distinguishes a dump from a table by its first character.
func parseAny(text []byte) (*Catalogue, error) {
	begin := bytes.TrimLeft(text, " \t\r\n")
	switch {
	case len(begin) == 0:
		return nil, errors.New("the file is empty")
	case begin[0] == '{' || begin[0] == '[':
		return ParseDump(text)
	}
	return Parse(string(text))
}
