package offer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// OS is an operating system. Its licence, where it needs one, is part of the price.
type OS string

const (
	Linux   OS = "linux"
	Windows OS = "windows"
	RHEL    OS = "rhel"
)

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
	Region string // code, such as cn-northwest-1
	OS     OS     // one of Systems
	Source string // where the offer was read, for the head of the list
}

// Prices holds the prices of an offer for one region.
type Prices struct {
	List *pricing.List
	// LeftOut are the types that passed the filter and have no clear price nevertheless, by name, each with the reason.
	LeftOut []string
}

// Bounds on an offer, far above a real one's.
const (
	maxValue      = 1 << 20 // bytes of a value of JSON
	maxCandidates = 100_000
	maxPerHour    = 1e6
	maxSource     = 500 // bytes of the text about the source in the head of a list
)

type product struct {
	ProductFamily string
	Attributes    struct {
		RegionCode, LocationType, InstanceType, Tenancy, OperatingSystem, PreInstalledSw, CapacityStatus, MarketOption, LicenseModel, Operation string
	}
}

// candidate is a product that passed the filter, with its price.
type candidate struct {
	instanceType string
	dedicated    bool
	perHour      float64 // 0 without a price
	fault        string  // of a price, which leaves the type out
}

// reader reads an offer as a stream, with no more than one value in memory.
type reader struct {
	Options
	in      io.Reader
	left    int // bytes that the next value may have
	dec     *json.Decoder
	skipped json.RawMessage

	code, version, published string
	bySKU                    map[string]*candidate
	products, terms          bool // whether they have come
}

// Read reads an offer to its end and returns the prices of the region. It fails if the offer is cut short, is not for EC2, or has
// no price for the region. Besides the prices it keeps, it needs a few megabytes, whatever the size of the offer.
func Read(in io.Reader, o Options) (Prices, error) {
	buffered := bufio.NewReaderSize(in, 1<<16)
	r := &reader{Options: o, in: buffered, bySKU: map[string]*candidate{}}
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		plain, err := gzip.NewReader(buffered)
		if err != nil {
			return Prices{}, fmt.Errorf("read offer: %w", err)
		}
		r.in = plain
	}
	r.dec = json.NewDecoder(r)
	if err := r.readAll(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Prices{}, fmt.Errorf("read offer: byte %d: %w", r.dec.InputOffset(), err)
	}
	prices, err := r.result()
	if err != nil {
		return Prices{}, fmt.Errorf("read offer: %w", err)
	}
	return prices, nil
}

// Read is for the decoder alone. It ends the reading of a value that is too long, for example one whose quote never closes.
func (r *reader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, fmt.Errorf("a value is longer than %d bytes", maxValue)
	}
	n, err := r.in.Read(p)
	r.left -= n
	return n, err
}

func (r *reader) value(into any) error {
	r.left = maxValue
	return r.dec.Decode(into)
}

func (r *reader) skip(string) error { return r.value(&r.skipped) }

func (r *reader) token() (json.Token, error) {
	r.left = maxValue
	return r.dec.Token()
}

// members calls member with the key of each member of the next object. member must consume the value.
func (r *reader) members(member func(key string) error) error {
	open, err := r.token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("%.50v where '{' should be", open)
	}
	for {
		t, err := r.token()
		key, more := t.(string)
		if err != nil || !more {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
}

// readAll reads to the end, behind which is nothing but white space.
func (r *reader) readAll() error {
	if err := r.members(r.readMember); err != nil {
		return err
	}
	if !r.products || !r.terms {
		return errors.New(`it lacks "products" or "terms": is it the offer file of EC2, and not an index of such files?`)
	}
	if t, err := r.token(); err == nil {
		return fmt.Errorf("%.50v after the end", t)
	} else if err != io.EOF {
		return err
	}
	return nil
}

func (r *reader) readMember(key string) error {
	switch key {
	case "offerCode":
		return r.value(&r.code)
	case "version":
		return r.value(&r.version)
	case "publicationDate":
		return r.value(&r.published)
	case "products":
		if r.terms {
			return errors.New("the products come after the terms: AWS writes them before")
		}
		r.products = true
		return r.members(r.readProduct)
	case "terms":
		r.terms = true
		return r.members(func(kind string) error {
			if kind != "OnDemand" {
				return r.members(r.skip)
			}
			return r.members(r.readTerms)
		})
	}
	return r.skip(key)
}

// readProduct keeps a product if it passes the filter. Offers of some partitions and years lack some attributes. A missing attribute
// excludes nothing.
func (r *reader) readProduct(sku string) error {
	var p product
	if err := r.value(&p); err != nil {
		return err
	}
	a := &p.Attributes
	is := func(value string, allowed ...string) bool { return slices.Contains(allowed, value) }
	_, size, _ := strings.Cut(a.InstanceType, ".")
	metal := strings.HasPrefix(size, "metal") || strings.HasSuffix(p.ProductFamily, "(bare metal)")
	if a.RegionCode != r.Region || !pricing.ValidType(a.InstanceType) || a.OperatingSystem != systems[r.OS].name || a.CapacityStatus != "Used" ||
		a.Tenancy != "Shared" && !(a.Tenancy == "Dedicated" && metal) || !is(a.Operation, "", systems[r.OS].operation) ||
		!is(a.PreInstalledSw, "", "NA") || !is(a.MarketOption, "", "OnDemand") || !is(a.LocationType, "", "AWS Region") ||
		!is(a.LicenseModel, "", "NA", "No License required") || p.ProductFamily != "" && !strings.HasPrefix(p.ProductFamily, "Compute Instance") {
		return nil
	}
	if len(r.bySKU) == maxCandidates {
		return fmt.Errorf("more than %d products that pass the filter", maxCandidates)
	}
	r.bySKU[sku] = &candidate{instanceType: a.InstanceType, dedicated: a.Tenancy == "Dedicated"}
	return nil
}

func (r *reader) readTerms(sku string) error {
	found := r.bySKU[sku]
	if found == nil {
		return r.skip(sku)
	}
	var terms map[string]struct {
		PriceDimensions map[string]struct {
			Unit         string
			PricePerUnit map[string]string
		}
	}
	if err := r.value(&terms); err != nil {
		return err
	}
	for _, term := range slices.Sorted(maps.Keys(terms)) {
		dimensions := terms[term].PriceDimensions
		for _, key := range slices.Sorted(maps.Keys(dimensions)) {
			if amount, sold := dimensions[key].PricePerUnit[string(r.currency())]; sold {
				found.price(dimensions[key].Unit, amount)
			}
		}
	}
	return nil
}

// price takes one price. Some products have one of 0 beside others for the same type.
func (c *candidate) price(unit, amount string) {
	perHour, err := strconv.ParseFloat(amount, 64)
	switch {
	case !strings.EqualFold(unit, "Hrs"):
		c.fault = fmt.Sprintf("a price per %.20q, not per hour", unit)
	case err != nil || !(perHour >= 0 && perHour <= maxPerHour): // not < 0 ||, which would let NaN pass
		c.fault = fmt.Sprintf("%.20q, which is no price up to %.0f", amount, maxPerHour)
	case c.perHour > 0 && perHour != c.perHour:
		c.fault = fmt.Sprintf("several prices, %v and %v", c.perHour, perHour)
	default:
		c.perHour = perHour
	}
}

func (r *reader) currency() pricing.Currency {
	if strings.HasPrefix(r.Region, "cn-") {
		return "CNY"
	}
	return "USD"
}

func (r *reader) result() (p Prices, err error) {
	if r.code != "AmazonEC2" {
		return p, fmt.Errorf("it is of %.50q, not of AmazonEC2", r.code)
	}
	date, err := time.Parse(time.RFC3339, r.published)
	if err != nil {
		return p, fmt.Errorf("publication date %.50q is not of the form %s", r.published, time.RFC3339)
	}
	types := map[string][]*candidate{}
	for _, sku := range slices.Sorted(maps.Keys(r.bySKU)) {
		found := r.bySKU[sku]
		types[found.instanceType] = append(types[found.instanceType], found)
	}
	perHour := map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		price, reason := decide(types[name])
		if reason != "" {
			p.LeftOut = append(p.LeftOut, name+": "+reason)
			continue
		}
		perHour[name] = price
	}
	if len(perHour) == 0 {
		return p, fmt.Errorf("it has no price of %s on demand, without further software, for any of %d types of region %q", systems[r.OS].name, len(types), r.Region)
	}
	p.List, err = pricing.NewList(pricing.Origin{Region: r.Region, Date: date.UTC(), Source: r.source()}, r.currency(), perHour)
	return p, err
}

// decide takes products in shared tenancy before those in dedicated tenancy, which is dearer. They must agree.
func decide(several []*candidate) (perHour float64, reason string) {
	for _, dedicated := range []bool{false, true} {
		for _, c := range several {
			switch {
			case c.dedicated != dedicated:
			case c.fault != "":
				return 0, c.fault
			case perHour > 0 && c.perHour > 0 && c.perHour != perHour:
				return 0, fmt.Sprintf("several prices, %v and %v", perHour, c.perHour)
			default:
				perHour = max(perHour, c.perHour)
			}
		}
		if perHour > 0 {
			return perHour, ""
		}
	}
	return 0, "no on-demand price in the region's currency above 0"
}

func (r *reader) source() string {
	text := fmt.Sprintf("AWS price list AmazonEC2 version %s, %s, from %s", r.version, systems[r.OS].name, r.Source)
	text = strings.Join(strings.FieldsFunc(strings.Join(strings.Fields(text), " "), unicode.IsControl), "")
	return strings.ToValidUTF8(text[:min(len(text), maxSource)], "")
}
