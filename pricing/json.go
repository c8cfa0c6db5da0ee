package pricing

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// termsVersion is the version of the JSON form of a user's prices.
const termsVersion = "v1"

// The JSON form of a discount and of a price, with the meaning of the table's columns.
type (
	discountJSON struct {
		Of      string  `json:"of"`
		Percent float64 `json:"percent"`
	}
	priceJSON struct {
		InstanceType string  `json:"instanceType"`
		PerHour      float64 `json:"perHour"`
		CapacityType string  `json:"capacityType"`
		Zone         string  `json:"zone"`
	}
)

// parseJSON reads a user's terms as one JSON object: {"version": "v1", "region": …, "currency": …, "date": …, "source": …} with
// the optional "basis", "types", "spotRatio", "discounts" [{"of", "percent"}] and "prices" [{"instanceType", "perHour",
// "capacityType", "zone"}]. Unknown members are errors, so that a typing error is noticed.
func parseJSON(text string) (*draft, error) {
	r := &jsonReader{text: text, draft: &draft{list: &List{}}}
	var whole json.RawMessage
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			r.reach(int(syntax.Offset))
		}
		return nil, r.at(err)
	}
	r.decoder = json.NewDecoder(strings.NewReader(text))
	r.decoder.DisallowUnknownFields()
	if err := r.members(); err != nil {
		return nil, r.at(err)
	}
	if err := r.finish(); err != nil {
		return nil, r.at(err)
	}
	return r.draft, r.draft.finish()
}

// jsonReader walks over JSON that is known to be well-formed, and knows the line it is in.
type jsonReader struct {
	text    string
	decoder *json.Decoder
	draft   *draft
	offset  int // up to where lines are counted
	line    int // less 1
	prices  []pricedLine
}

// pricedLine is a price that waits for the region, which may come after it.
type pricedLine struct {
	priceJSON
	line int
}

// reach counts the lines up to an offset.
func (r *jsonReader) reach(offset int) {
	offset = min(max(offset, r.offset), len(r.text))
	r.line += strings.Count(r.text[r.offset:offset], "\n")
	r.offset = offset
}

// number is the line of the value that comes next.
func (r *jsonReader) number() int {
	next := int(r.decoder.InputOffset())
	next += len(r.text[next:]) - len(strings.TrimLeft(r.text[next:], " \t\r\n,:"))
	r.reach(next)
	return r.line + 1
}

func (r *jsonReader) at(err error) error {
	return fmt.Errorf("price list, line %d: %w", r.line+1, err)
}

// members reads the object.
func (r *jsonReader) members() error {
	if open, err := r.decoder.Token(); err != nil || open != json.Delim('{') {
		return errors.Join(errors.New("not a JSON object"), err)
	}
	seen := map[string]bool{}
	for r.decoder.More() {
		r.number()
		key, err := r.decoder.Token()
		if err != nil {
			return err
		}
		name := key.(string) // the text is well-formed, so this is a member's name
		if seen[name] {
			return fmt.Errorf("a second %.50q: there is one", name)
		}
		seen[name] = true
		r.number()
		if err := r.member(name); err != nil {
			return err
		}
	}
	if !seen["version"] {
		return fmt.Errorf(`the head lacks "version": %q`, termsVersion)
	}
	return nil
}

func (r *jsonReader) member(name string) error {
	switch name {
	case "version":
		version, err := next[string](r)
		if err == nil && version != termsVersion {
			err = fmt.Errorf("version %.50q is not %q", version, termsVersion)
		}
		return err
	case headRegion, headCurrency, headDate, headSource, headBasis, headTypes:
		value, err := next[string](r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return r.draft.fact(name, value, r.line+1)
	case "spotRatio":
		ratio, err := next[float64](r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return r.draft.ratio(ratio)
	case "discounts":
		return each(r, name, func(d discountJSON, line int) error { return r.draft.discount(d.Of, d.Percent, line) })
	case "prices":
		return each(r, name, func(p priceJSON, line int) error {
			r.prices = append(r.prices, pricedLine{p, line})
			return nil
		})
	}
	return fmt.Errorf("member %.50q does not exist", name)
}

// finish checks the head and takes the prices.
func (r *jsonReader) finish() error {
	if err := r.draft.complete(); err != nil {
		return err
	}
	for _, p := range r.prices {
		err := badType(p.InstanceType)
		if ValidType(p.InstanceType) {
			err = r.draft.price(p.InstanceType, p.CapacityType, p.Zone, p.PerHour, p.line)
		}
		if err != nil {
			r.line = p.line - 1
			return err
		}
	}
	return nil
}

// each reads a list and calls its function for each element.
func each[T any](r *jsonReader, name string, do func(element T, line int) error) error {
	if open, err := r.decoder.Token(); err != nil || open != json.Delim('[') {
		return errors.Join(fmt.Errorf("%q is not a list", name), err)
	}
	for r.decoder.More() {
		line := r.number()
		element, err := next[T](r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := do(element, line); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	return err
}

// next reads one value.
func next[T any](r *jsonReader) (T, error) {
	var value T
	err := r.decoder.Decode(&value)
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mismatch) && mismatch.Field != "":
		err = fmt.Errorf("%s cannot be a JSON %.50s", mismatch.Field, mismatch.Value)
	case errors.As(err, &mismatch):
		err = fmt.Errorf("cannot be a JSON %.50s", mismatch.Value)
	}
	return value, err
}
