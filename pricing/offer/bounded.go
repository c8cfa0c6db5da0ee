package offer

import (
	"fmt"
	"io"
)

// maxRecord bounds one line of CSV and one value of JSON, in bytes. It is far above a real offer's.
const maxRecord = 1 << 20

// bounded ends the reading of a line or value that is too long, for example one whose quote never closes. Whoever reads
// through it sets left to maxRecord before each line or value.
type bounded struct {
	r    io.Reader
	unit string // "line" or "value"
	left int
	last byte
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a %s is longer than %d bytes", b.unit, maxRecord)
	}
	n, err := b.r.Read(p)
	if b.left -= n; n > 0 {
		b.last = p[n-1]
	}
	return n, err
}
