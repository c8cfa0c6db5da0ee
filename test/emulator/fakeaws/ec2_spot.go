package fakeaws

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// spotPricesPerPage is DescribeSpotPriceHistory's largest page.
const spotPricesPerPage = 1000

// linux is the product whose spot prices an account has unless its Config says otherwise.
const linux = "Linux/UNIX"

// A SpotPrice is the price of an instance type in a zone as spot, in the currency of the region. Types without one have no
// history, like types that a zone does not offer.
type SpotPrice struct {
	InstanceType string  `json:"instanceType"`
	Zone         string  `json:"zone"`
	PerHour      float64 `json:"perHour"`
	Product      string  `json:"product,omitempty"` // default Linux/UNIX

	since time.Time
}

// key distinguishes prices, and orders a pool's by age.
func (p SpotPrice) key() string {
	return fmt.Sprintf("%s/%s/%s/%020d", p.InstanceType, p.Zone, p.Product, math.MaxInt64-p.since.UnixNano())
}

func (p SpotPrice) samePool(o SpotPrice) bool {
	return p.InstanceType == o.InstanceType && p.Zone == o.Zone && p.Product == o.Product
}

type (
	ec2SpotPrice struct {
		InstanceType string `xml:"instanceType"`
		Product      string `xml:"productDescription"`
		SpotPrice    string `xml:"spotPrice"`
		Timestamp    string `xml:"timestamp"`
		Zone         string `xml:"availabilityZone"`
	}
	ec2SpotPrices struct {
		ec2Header
		Prices    items[ec2SpotPrice] `xml:"spotPriceHistorySet"`
		NextToken string              `xml:"nextToken"` // present and empty on the last page, as with EC2
	}
)

// SetSpotPrice changes a pool's price from now on. Earlier prices stay in its history.
func (s *Server) SetSpotPrice(p SpotPrice) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.setSpotPrice(p, time.Now())
}

func (a *account) setSpotPrice(p SpotPrice, since time.Time) {
	p.Product, p.since = first(p.Product, linux), since
	i, _ := slices.BinarySearchFunc(a.spotPrices, p.key(), func(x SpotPrice, key string) int { return cmp.Compare(x.key(), key) })
	a.spotPrices = slices.Insert(a.spotPrices, i, p)
}

func (a *account) describeSpotPriceHistory(r *request) (any, error) {
	limit, err := ec2Page(r.form, 1, spotPricesPerPage, spotPricesPerPage)
	if err != nil {
		return nil, err
	}
	filters, err := ec2Filters(r.form, "availability-zone", "instance-type", "product-description")
	if err != nil {
		return nil, err
	}
	// Unlike the filter, the parameter fails as a whole for one type that the region lacks.
	if unknown := a.unknownTypes(r.form.list("InstanceType")); len(unknown) > 0 {
		return nil, &apiError{Code: "InvalidParameterValue", Message: fmt.Sprintf("Invalid instance type: %v", unknown)}
	}
	var from time.Time
	if start := r.form.get("StartTime"); start != "" {
		if from, err = time.Parse(time.RFC3339Nano, start); err != nil {
			return nil, &apiError{Code: "InvalidParameterValue", Message: fmt.Sprintf("Value (%s) for parameter StartTime is invalid.", start)}
		}
	}
	found, next, ok := page(a.spotPricesSince(filters, from), SpotPrice.key, r.form.get("NextToken"), limit)
	if !ok {
		return nil, ec2BadToken
	}
	out := &ec2SpotPrices{NextToken: next}
	for _, p := range found {
		out.Prices.Item = append(out.Prices.Item, p.ec2Shape())
	}
	return out, nil
}

// spotPricesSince are the prices that hold at some time since a moment.
func (a *account) spotPricesSince(filters []ec2Filter, from time.Time) []SpotPrice {
	var found []SpotPrice
	for i, p := range a.spotPrices { // of one pool, the newest first
		superseded := i > 0 && a.spotPrices[i-1].samePool(p) && !a.spotPrices[i-1].since.After(from)
		if !superseded && allHold(filters, p.field) {
			found = append(found, p)
		}
	}
	return found
}

func (p SpotPrice) field(name string) string {
	switch name {
	case "availability-zone":
		return p.Zone
	case "instance-type":
		return p.InstanceType
	}
	return p.Product
}

func (p SpotPrice) ec2Shape() ec2SpotPrice {
	price := strconv.FormatFloat(p.PerHour, 'f', 6, 64)
	return ec2SpotPrice{InstanceType: p.InstanceType, Product: p.Product, SpotPrice: price, Timestamp: timestamp(p.since), Zone: p.Zone}
}
