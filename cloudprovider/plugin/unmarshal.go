package plugin

import (
	"bytes"
	"errors"
)

// The most digits of a quantity, and of its exponent, with which resource.Quantity calculates in no time. It takes minutes and gigabytes for
// 1e-1000000000, even to parse it. A few digits more are a name or a hash.
const (
	mostDigits   = 1000
	mostExponent = 3
)

// unmarshal reads a Pod or a Node. It refuses quantities that nobody can calculate with.
func unmarshal(message []byte, into interface{ Unmarshal([]byte) error }) error {
	const first = 1<<3 | 2 // tag of a text in field 1, where a Quantity has it
	for at, tag := range message {
		if tag != first && tag != 0 { // a tag with superfluous bytes ends with 0
			continue
		}
		length, shift, rest := uint64(0), 0, message[at+1:]
		for more := true; more && len(rest) > 0; shift, rest = shift+7, rest[1:] {
			length |= uint64(rest[0]&0x7f) << shift
			more = rest[0] >= 0x80
		}
		if length <= uint64(len(rest)) && absurd(rest[:length]) {
			return errors.New("a quantity is absurd")
		}
	}
	return into.Unmarshal(message)
}

// absurd reports whether the text is a quantity with too many digits.
func absurd(text []byte) bool {
	suffix := bytes.TrimLeft(text, "+-.0123456789")
	exponent := bytes.TrimLeft(bytes.TrimLeft(suffix, "eE"), "+-")
	return len(text)-len(suffix) > mostDigits ||
		len(exponent) > mostExponent && len(exponent) < len(suffix) && len(bytes.TrimLeft(exponent, "0123456789")) == 0
}
