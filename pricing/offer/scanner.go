package offer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// limits of a JSON offer, far above a real one's.
const (
	maxText  = 64 << 10 // bytes of a key or of an attribute
	maxDepth = 64       // objects and arrays in one another
)

// errEarly is the end of the input before that of the offer.
var errEarly = fmt.Errorf("it ends early: %w", io.ErrUnexpectedEOF)

// scanner reads JSON as a stream. Unlike json.Decoder it can pass over a value without looking at more than its brackets
// and quotes, which is what happens to most of an offer, and it holds no value in memory but the last text.
type scanner struct {
	r      io.Reader
	buf    []byte // what was read; of it, pos to end is still to come
	pos    int
	end    int
	before int64  // bytes of the input before buf
	text   []byte // the last text
	open   []byte // brackets that skip has to find
}

func newScanner(r io.Reader) *scanner { return &scanner{r: r, buf: make([]byte, 1<<16)} }

// errorf says what is wrong and where.
func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: %w", s.before+int64(s.pos), fmt.Errorf(format, args...))
}

// fill reads on where everything read is used up.
func (s *scanner) fill() error {
	if s.pos < s.end {
		return nil
	}
	s.before += int64(s.end)
	s.pos, s.end = 0, 0
	for range 100 {
		n, err := s.r.Read(s.buf)
		s.end = n
		switch {
		case n > 0:
			return nil // err, if any, comes again
		case err == io.EOF:
			return s.errorf("%w", errEarly)
		case err != nil:
			return s.errorf("%w", err)
		}
	}
	return s.errorf("%w", io.ErrNoProgress)
}

// peek returns the next byte that is not white space, without using it up.
func (s *scanner) peek() (byte, error) {
	for {
		if err := s.fill(); err != nil {
			return 0, err
		}
		switch b := s.buf[s.pos]; b {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return b, nil
		}
	}
}

// expect uses up one byte, which must be this.
func (s *scanner) expect(want byte) error {
	got, err := s.peek()
	if err != nil {
		return err
	}
	if got != want {
		return s.errorf("%q where %q should be", got, want)
	}
	s.pos++
	return nil
}

// object calls member with the key of each member; it must use up the value. The key is good until it does.
func (s *scanner) object(member func(key []byte) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		b, err := s.peek()
		if err != nil {
			return err
		}
		if b == '}' {
			s.pos++
			return nil
		}
		if !first {
			if err := s.expect(','); err != nil {
				return err
			}
		}
		key, err := s.string()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
}

// string returns the text that comes next. It is good until the next one is read.
func (s *scanner) string() ([]byte, error) {
	if err := s.expect('"'); err != nil {
		return nil, err
	}
	s.text = append(s.text[:0], '"')
	escaped := false
	for {
		if err := s.fill(); err != nil {
			return nil, err
		}
		rest := s.buf[s.pos:s.end]
		i := bytes.IndexAny(rest, `"\`)
		if i < 0 {
			i = len(rest) - 1
		}
		if len(s.text)+i > maxText {
			return nil, s.errorf("a text is longer than %d bytes", maxText)
		}
		s.text = append(s.text, rest[:i+1]...)
		s.pos += i + 1
		switch rest[i] {
		case '"':
			if !escaped {
				return s.text[1 : len(s.text)-1], nil
			}
			var text string
			if err := json.Unmarshal(s.text, &text); err != nil {
				return nil, s.errorf("%w", err)
			}
			s.text = append(s.text[:0], text...)
			return s.text, nil
		case '\\':
			escaped = true
			if err := s.fill(); err != nil {
				return nil, err
			}
			s.text = append(s.text, s.buf[s.pos])
			s.pos++
		}
	}
}

// stringOr returns the text that comes next, or nothing where the next value is none.
func (s *scanner) stringOr() (string, error) {
	b, err := s.peek()
	if err != nil {
		return "", err
	}
	if b != '"' {
		return "", s.skip()
	}
	text, err := s.string()
	return string(text), err
}

// skip passes over the next value.
func (s *scanner) skip() error {
	b, err := s.peek()
	if err != nil {
		return err
	}
	switch b {
	case '"':
		s.pos++
		return s.skipText()
	case '{', '[':
		return s.skipNested()
	}
	return s.skipWord()
}

// skipText passes over the rest of a text.
func (s *scanner) skipText() error {
	for {
		if err := s.fill(); err != nil {
			return err
		}
		rest := s.buf[s.pos:s.end]
		i := bytes.IndexByte(rest, '"')
		j := bytes.IndexByte(rest[:max(i, 0)], '\\')
		if i < 0 {
			j = bytes.IndexByte(rest, '\\')
		}
		switch {
		case j >= 0: // what follows the backslash is no end
			s.pos += j + 1
			if err := s.fill(); err != nil {
				return err
			}
			s.pos++
		case i >= 0:
			s.pos += i + 1
			return nil
		default:
			s.pos = s.end
		}
	}
}

// structural are the bytes that open or close something.
var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true}

// skipNested passes over an object or an array.
func (s *scanner) skipNested() error {
	s.open = s.open[:0]
	for {
		if err := s.fill(); err != nil {
			return err
		}
		rest := s.buf[s.pos:s.end]
		i := 0
		for i < len(rest) && !structural[rest[i]] {
			i++
		}
		if s.pos += i; i == len(rest) {
			continue
		}
		b := rest[i]
		s.pos++
		switch b {
		case '"':
			if err := s.skipText(); err != nil {
				return err
			}
		case '{', '[':
			if len(s.open) == maxDepth {
				return s.errorf("more than %d objects and arrays in one another", maxDepth)
			}
			s.open = append(s.open, b+2) // '}' is '{'+2, and ']' is '['+2
		case '}', ']':
			if s.open[len(s.open)-1] != b {
				return s.errorf("%q where %q should be", b, s.open[len(s.open)-1])
			}
			if s.open = s.open[:len(s.open)-1]; len(s.open) == 0 {
				return nil
			}
		}
	}
}

// skipWord passes over a number, true, false or null.
func (s *scanner) skipWord() error {
	for length := 0; ; length++ {
		if err := s.fill(); err != nil {
			return err
		}
		if b := s.buf[s.pos]; bytes.IndexByte([]byte("+-.0123456789Eaeflnrstu"), b) < 0 {
			if length == 0 {
				return s.errorf("%q where a value should be", b)
			}
			return nil
		}
		s.pos++
	}
}

// finish checks that nothing follows but white space.
func (s *scanner) finish() error {
	b, err := s.peek()
	switch {
	case err == nil:
		return s.errorf("%q after the end", b)
	case errors.Is(err, errEarly):
		return nil
	}
	return err
}
