package offer

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxPreamble bounds the records before the column names.
const maxPreamble = 20

// columns maps the columns that are read, in lower case, to whether an offer must have them.
var columns = map[string]bool{
	"sku": true, "termtype": true, "unit": true, "priceperunit": true, "currency": true,
	"instance type": true, "tenancy": true, "operating system": true, "pre installed s/w": true, "capacitystatus": true, "region code": true,
	"product family": false, "location": false, "location type": false, "license model": false, "marketoption": false, "operation": false,
}

// readCSV reads an offer in CSV to its end.
func readCSV(r io.Reader, c *collector) error {
	in := &bounded{r: r, unit: "line"}
	records := csv.NewReader(in)
	records.ReuseRecord, records.FieldsPerRecord = true, -1
	at, err := readHead(records, in, c)
	if err != nil {
		return err
	}
	for {
		record, err := in.next(records)
		switch {
		case err == io.EOF && in.last != '\n': // or else a cut inside the last field of a line would pass
			return fmt.Errorf("%w: its last line has no end", errEarly)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if record[at["termtype"]] != "OnDemand" {
			continue
		}
		if err := readRecord(record, at, c); err != nil {
			return err
		}
	}
}

// readHead reads the lines before the first term, and returns the position of each column. A missing optional column has none.
func readHead(records *csv.Reader, in *bounded, c *collector) (map[string]int, error) {
	for range maxPreamble {
		record, err := in.next(records)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(record, func(name string) bool { return columnName(name) == "sku" }) {
			records.FieldsPerRecord = len(record)
			return findColumns(record)
		}
		value := strings.Clone(record[min(1, len(record)-1)]) // a spreadsheet adds empty fields
		switch record[0] {
		case "OfferCode":
			c.about.code = value
		case "Version":
			c.about.version = value
		case "Publication Date":
			c.about.published = value
		}
	}
	return nil, errors.New("it has no line with the column names")
}

func columnName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func findColumns(record []string) (map[string]int, error) {
	at := map[string]int{}
	for i, name := range record {
		name = columnName(name)
		if _, wanted := columns[name]; wanted {
			if _, again := at[name]; again {
				return nil, fmt.Errorf("it has two columns %.50q", name)
			}
			at[name] = i
		}
	}
	for name, needed := range columns {
		if _, have := at[name]; needed && !have {
			return nil, fmt.Errorf("it has no column %q (capitals aside): is it the offer file of EC2?", name)
		}
	}
	return at, nil
}

// readRecord takes the product and the price of a line.
func readRecord(record []string, at map[string]int, c *collector) error {
	field := func(name string) string {
		if i, have := at[name]; have {
			return record[i]
		}
		return ""
	}
	sku := field("sku")
	if c.bySKU[sku] == nil {
		err := c.add(product{
			sku: sku, family: field("product family"), Region: field("region code"), Location: field("location"),
			LocationType: field("location type"), InstanceType: field("instance type"), Tenancy: field("tenancy"),
			OS: field("operating system"), Software: field("pre installed s/w"), Capacity: field("capacitystatus"),
			Market: field("marketoption"), Licence: field("license model"), Operation: field("operation"),
		})
		if err != nil {
			return err
		}
	}
	if found := c.bySKU[sku]; found != nil {
		found.price(field("unit"), map[string]string{field("currency"): field("priceperunit")})
	}
	return nil
}

// next reads one record.
func (b *bounded) next(records *csv.Reader) ([]string, error) {
	b.left = maxRecord
	record, err := records.Read()
	if err == nil || err == io.EOF {
		return record, err
	}
	b.left = maxRecord
	if _, then := records.Read(); then == io.EOF {
		err = fmt.Errorf("%w in its last line: %w", errEarly, err)
	}
	return nil, err
}
