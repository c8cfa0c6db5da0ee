package offer

import (
	"errors"
	"io"
)

// readJSON reads an offer in JSON to its end.
func readJSON(r io.Reader, c *collector) error {
	s := newScanner(r)
	products, terms := false, false
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "offerCode":
			c.about.code, err = s.stringOr()
		case "version":
			c.about.version, err = s.stringOr()
		case "publicationDate":
			c.about.published, err = s.stringOr()
		case "products":
			if terms {
				return s.errorf("the products come after the terms: AWS writes them before")
			}
			products = true
			return s.object(func(sku []byte) error { return readProduct(s, c, string(sku)) })
		case "terms":
			terms = true
			return readTerms(s, c)
		default:
			err = s.skip()
		}
		return err
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
func readProduct(s *scanner, c *collector, sku string) error {
	p := product{sku: sku}
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "productFamily":
			p.family, err = s.stringOr()
		case "attributes":
			return s.object(func(key []byte) (err error) {
				field := p.attribute(key)
				if field == nil {
					return s.skip()
				}
				*field, err = s.stringOr()
				return err
			})
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.add(p)
}

// attribute is the field for an attribute of a product, or nil.
func (p *product) attribute(key []byte) *string {
	switch string(key) {
	case "regionCode":
		return &p.region
	case "location":
		return &p.location
	case "locationType":
		return &p.locationType
	case "instanceType":
		return &p.instanceType
	case "tenancy":
		return &p.tenancy
	case "operatingSystem":
		return &p.os
	case "preInstalledSw":
		return &p.software
	case "capacitystatus":
		return &p.capacity
	case "marketoption":
		return &p.market
	case "licenseModel":
		return &p.licence
	case "operation":
		return &p.operation
	}
	return nil
}

// readTerms reads the on-demand terms, SKU by SKU, and passes over the others.
func readTerms(s *scanner, c *collector) error {
	return s.object(func(kind []byte) error {
		if string(kind) != "OnDemand" {
			return s.skip()
		}
		return s.object(func(sku []byte) error {
			found := c.bySKU[string(sku)]
			if found == nil {
				return s.skip()
			}
			return s.object(func([]byte) error { return readTerm(s, found) })
		})
	})
}

// readTerm reads the prices of one term.
func readTerm(s *scanner, found *candidate) error {
	return s.object(func(key []byte) error {
		if string(key) != "priceDimensions" {
			return s.skip()
		}
		return s.object(func([]byte) error { return readDimension(s, found) })
	})
}

// readDimension reads one price, which is stated in one currency or in several.
func readDimension(s *scanner, found *candidate) error {
	var unit string
	amounts := map[string]string{}
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "unit":
			unit, err = s.stringOr()
		case "pricePerUnit":
			return s.object(func(currency []byte) (err error) {
				if len(amounts) == maxCurrencies {
					return s.errorf("a price in more than %d currencies", maxCurrencies)
				}
				code := string(currency)
				amounts[code], err = s.stringOr()
				return err
			})
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	found.price(unit, amounts)
	return nil
}
