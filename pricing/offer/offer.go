package offer

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// OS is an operating system. Its licence, where it needs one, is part of the price.
type OS string

// Operating systems.
const (
	Linux   OS = "linux"
	Windows OS = "windows"
	RHEL    OS = "rhel"
)

// Systems are all of them.
var Systems = []OS{Linux, Windows, RHEL}

// systems maps an operating system to its name in an offer, and to the operation that bills it without further software or
// options (EC2 User Guide, "AMI billing information fields", read 2026-08).
var systems = map[OS]struct{ name, operation string }{
	Linux:   {"Linux", "RunInstances"},
	Windows: {"Windows", "RunInstances:0002"},
	RHEL:    {"RHEL", "RunInstances:0010"},
}

// Options select the prices to take from an offer.
type Options struct {
	Regions []string // codes, such as cn-northwest-1, at least one, none twice
	OS      OS       // "" is Linux
	Source  string   // where the offer was read, one line, for the head of the lists
}

// Prices holds the prices of an offer for one region.
type Prices struct {
	List *pricing.List
	// LeftOut are the types without a clear price, by name.
	LeftOut []LeftOut
}

// LeftOut is an instance type that passed the filter, and why it has no price nevertheless.
type LeftOut struct {
	InstanceType string
	Reason       string
}

// maxSource bounds the text about the source in the head of a list.
const maxSource = 500

// Read reads an offer to its end and returns the prices of the requested regions, in that order. It fails if the offer is cut
// short, is not for EC2, or has no price for one of the regions. A truncated offer is an io.ErrUnexpectedEOF. Besides the
// prices it keeps, it needs a few megabytes, whatever the size of the offer.
func Read(r io.Reader, o Options) ([]Prices, error) {
	o.OS = cmp.Or(o.OS, Linux)
	if _, ok := systems[o.OS]; !ok {
		return nil, fmt.Errorf("operating system %q is none of %q", o.OS, Systems)
	}
	if len(o.Regions) == 0 {
		return nil, errors.New("no region to take the prices of")
	}
	in, err := plain(r)
	if err != nil {
		return nil, fmt.Errorf("read offer: %w", err)
	}
	c := &collector{options: o, bySKU: map[string]*candidate{}, seen: map[string]int{}}
	first, err := in.Peek(1)
	switch {
	case err != nil:
		err = errors.New("it is empty")
	case first[0] == '{':
		err = readJSON(in, c)
	default:
		err = errors.New("it is no JSON as AWS writes it")
	}
	if err != nil {
		return nil, fmt.Errorf("read offer: %w", err)
	}
	return c.result()
}

// plain unpacks gzip, and skips a byte order mark and leading white space.
func plain(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		text, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(text, 1<<16)
	}
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte{0xef, 0xbb, 0xbf}) {
		_, _ = in.Discard(len(mark))
	}
	for {
		b, err := in.ReadByte()
		if err == io.EOF {
			return in, nil
		}
		if err != nil {
			return nil, err
		}
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return in, in.UnreadByte()
		}
	}
}

// about is the head of an offer.
type about struct {
	code, version, published string
}

// date is the day of publication.
func (a about) date() (time.Time, error) {
	published, err := time.Parse(time.RFC3339, a.published)
	if err != nil {
		return time.Time{}, fmt.Errorf("publication date %.50q is not of the form %s", a.published, time.RFC3339)
	}
	return published.UTC(), nil
}

// source is one line on where the prices are from.
func (a about) source(o Options) string {
	text := "AWS price list AmazonEC2"
	if a.version != "" {
		text += " version " + a.version
	}
	text += ", " + systems[o.OS].name
	if o.Source != "" {
		text += ", from " + o.Source
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
	return strings.ToValidUTF8(text[:min(len(text), maxSource)], "")
}
