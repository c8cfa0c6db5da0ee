package offer

import (
	"fmt"
	"io"
)

// maxValue bounds one value of JSON, in bytes. It is far above a real offer's.
const maxValue = 1 << 20

// bounded ends the reading of a value that is too long, for example one whose quote never closes. Whoever reads through it
// sets left to maxValue before each value.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a value is longer than %d bytes", maxValue)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// maxExpansion bounds the bytes that each packed byte may become. The offers in testdata have 14 and 29, and gzip allows 1,000.
const maxExpansion = 100

// counted counts the bytes that are read through it.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// unpacked ends the reading of packed bytes that become too many.
type unpacked struct {
	counted
	packed *counted
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.counted.Read(p)
	if u.n > maxExpansion*u.packed.n {
		return 0, fmt.Errorf("it unpacks to more than %d times its size, which no offer of AWS does", maxExpansion)
	}
	return n, err
}
