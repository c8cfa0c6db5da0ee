package offer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// errEarly reports an input that ends before the offer does.
var errEarly = fmt.Errorf("it ends early: %w", io.ErrUnexpectedEOF)

// readJSON reads an offer in JSON to its end.
func readJSON(r io.Reader, c *collector) error {
	in := &bounded{r: r}
	s := &jsonStream{in: in, dec: json.NewDecoder(in)}
	products, terms := false, false
	err := s.members(func(key string) error {
		switch key {
		case "offerCode":
			return s.value(&c.about.code)
		case "version":
			return s.value(&c.about.version)
		case "publicationDate":
			return s.value(&c.about.published)
		case "products":
			if terms {
				return s.error(errors.New("the products come after the terms: AWS writes them before"))
			}
			products = true
			return s.members(func(sku string) error { return readProduct(s, c, sku) })
		case "terms":
			terms = true
			return s.members(func(kind string) error {
				if kind != "OnDemand" {
					return s.skip()
				}
				return s.members(func(sku string) error { return readTerms(s, c.bySKU[sku]) })
			})
		}
		return s.skip()
	})
	switch {
	case err != nil:
		return err
	case !products || !terms:
		return errors.New(`it lacks "products" or "terms": is it the offer file of EC2, and not an index of such files?`)
	}
	return s.finish()
}

// readProduct reads one product.
func readProduct(s *jsonStream, c *collector, sku string) error {
	var v struct {
		ProductFamily string
		Attributes    product
	}
	if err := s.value(&v); err != nil {
		return err
	}
	p := v.Attributes
	p.sku, p.family = sku, v.ProductFamily
	return c.add(p)
}

// readTerms reads the on-demand terms of one SKU. found is nil for a product that did not pass the filter.
func readTerms(s *jsonStream, found *candidate) error {
	if found == nil {
		return s.value(&s.skipped)
	}
	var terms map[string]struct {
		PriceDimensions map[string]struct {
			Unit         string
			PricePerUnit map[string]string
		}
	}
	if err := s.value(&terms); err != nil {
		return err
	}
	for _, term := range slices.Sorted(maps.Keys(terms)) {
		dimensions := terms[term].PriceDimensions
		for _, key := range slices.Sorted(maps.Keys(dimensions)) {
			found.price(dimensions[key].Unit, dimensions[key].PricePerUnit)
		}
	}
	return nil
}

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

// jsonStream reads JSON with no more than one value of maxValue bytes in memory. Objects whose members are read one by one
// may have any size.
type jsonStream struct {
	in      *bounded
	dec     *json.Decoder
	skipped json.RawMessage
}

// error adds the position to an error.
func (s *jsonStream) error(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errEarly
	}
	return fmt.Errorf("byte %d: %w", s.dec.InputOffset(), err)
}

func (s *jsonStream) token() (json.Token, error) {
	s.in.left = maxValue
	t, err := s.dec.Token()
	if err != nil {
		return nil, s.error(err)
	}
	return t, nil
}

// value decodes the next value as a whole.
func (s *jsonStream) value(into any) error {
	s.in.left = maxValue
	if err := s.dec.Decode(into); err != nil {
		return s.error(err)
	}
	return nil
}

// members calls member with the key of each member of the next object. member must consume the value.
func (s *jsonStream) members(member func(key string) error) error {
	open, err := s.token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return s.error(fmt.Errorf("%.50v where '{' should be", open))
	}
	for {
		t, err := s.token()
		if err != nil {
			return err
		}
		key, more := t.(string)
		if !more {
			return nil
		}
		if err := member(key); err != nil {
			return err
		}
	}
}

// skip passes over the next value. Only its members must fit into maxValue bytes.
func (s *jsonStream) skip() error {
	open, err := s.token()
	if _, nested := open.(json.Delim); err != nil || !nested {
		return err
	}
	for s.dec.More() {
		if open == json.Delim('{') {
			if _, err := s.token(); err != nil {
				return err
			}
		}
		if err := s.value(&s.skipped); err != nil {
			return err
		}
	}
	_, err = s.token()
	return err
}

// finish checks that nothing follows but white space.
func (s *jsonStream) finish() error {
	s.in.left = maxValue
	switch t, err := s.dec.Token(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return s.error(err)
	default:
		return s.error(fmt.Errorf("%.50v after the end", t))
	}
}
