package fakeoffer

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
)

const disclaimer = "This pricing list is for informational purposes only. All prices are subject to the additional terms included in the " +
	"pricing pages on http://aws.amazon.com. All Free Tier prices are also subject to the terms included at https://aws.amazon.com/free/"

func (o Offer) code() string      { return cmp.Or(o.Code, "AmazonEC2") }
func (o Offer) published() string { return cmp.Or(o.Published, "2026-08-01T12:34:56Z") }

const version = "20260801123456"

// WriteJSON writes the offer as index.json.
func (o Offer) WriteJSON(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintf(b, "{\n  \"formatVersion\" : \"v1.0\",\n  \"disclaimer\" : %q,\n  \"offerCode\" : %q,\n  \"version\" : %q,\n  \"publicationDate\" : %q,\n  \"products\" : {",
		disclaimer, o.code(), version, o.published())
	first := true
	for p := range o.Products {
		comma(b, &first)
		p.writeJSON(b)
	}
	b.WriteString("\n  },\n  \"terms\" : {\n    \"OnDemand\" : {")
	first = true
	for p := range o.Products {
		if len(p.Prices) > 0 {
			comma(b, &first)
			fmt.Fprintf(b, "\n      %q : {", p.SKU)
			writeTerm(b, p, "JRTCKXETXF", p.Prices, false)
			b.WriteString("\n      }")
		}
	}
	b.WriteString("\n    },\n    \"Reserved\" : {")
	first = true
	for p := range o.Products {
		if p.Reserved > 0 {
			comma(b, &first)
			fmt.Fprintf(b, "\n      %q : {", p.SKU)
			for n := range p.Reserved {
				if n > 0 {
					b.WriteByte(',')
				}
				writeTerm(b, p, fmt.Sprintf("HU7G6KET%02d", n), []Price{{"Quantity", p.Currency, "2750"}, {"Hrs", p.Currency, "0.0104630000"}}, true)
			}
			b.WriteString("\n      }")
		}
	}
	b.WriteString("\n    }\n  }\n}\n")
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write offer: %w", err)
	}
	return nil
}

func comma(b *bufio.Writer, first *bool) {
	if !*first {
		b.WriteByte(',')
	}
	*first = false
}

func (p Product) writeJSON(b *bufio.Writer) {
	fmt.Fprintf(b, "\n    %q : {\n      \"sku\" : %q,\n      \"productFamily\" : %q,\n      \"attributes\" : {", p.SKU, p.SKU, p.Family)
	first := true
	for _, a := range p.attributes() {
		if a.value == "" {
			continue
		}
		comma(b, &first)
		for _, part := range [...]string{"\n        \"", a.name, "\" : \"", a.value, "\""} { // no attribute needs escaping
			b.WriteString(part)
		}
	}
	b.WriteString("\n      }\n    }")
}

func writeTerm(b *bufio.Writer, p Product, code string, prices []Price, reserved bool) {
	write := func(parts ...string) {
		for _, part := range parts {
			b.WriteString(part)
		}
	}
	write("\n        \"", p.SKU, ".", code, "\" : {\n          \"offerTermCode\" : \"", code, "\",\n          \"sku\" : \"", p.SKU,
		"\",\n          \"effectiveDate\" : \"2026-08-01T00:00:00Z\",\n          \"priceDimensions\" : {")
	for i, price := range prices {
		if i > 0 {
			b.WriteByte(',')
		}
		rate := p.rate(code, i)
		write("\n            \"", rate, "\" : {\n              \"rateCode\" : \"", rate, "\",\n              \"unit\" : \"", price.Unit,
			"\",\n              \"endRange\" : \"Inf\",\n              \"description\" : \"", describe(p, price),
			"\",\n              \"appliesTo\" : [ ],\n              \"beginRange\" : \"0\",\n              \"pricePerUnit\" : {\n                \"",
			price.Currency, "\" : \"", price.Amount, "\"\n              }\n            }")
	}
	write("\n          },\n          \"termAttributes\" : {")
	if reserved {
		write("\n            \"LeaseContractLength\" : \"3yr\",\n            \"OfferingClass\" : \"standard\",\n            \"PurchaseOption\" : \"Partial Upfront\"\n         ")
	}
	write(" }\n        }")
}

// rate makes up the code of a price dimension.
func (p Product) rate(term string, number int) string {
	return p.SKU + "." + term + ".6YS6EN2C" + strconv.Itoa(number) + "7"
}

func describe(p Product, price Price) string {
	return price.Currency + price.Amount + " per On Demand " + p.OS + " " + p.Type + " Instance Hour"
}
