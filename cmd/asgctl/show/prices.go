package show

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Prices are what asgctl prices prints.
type Prices struct {
	Version  string  `json:"version"`
	Region   string  `json:"region"`
	Currency string  `json:"currency"` // of every amount, empty where no price is known
	Prices   []Price `json:"prices"`
}

// Price is what one instance costs.
type Price struct {
	InstanceType string  `json:"instanceType" table:"TYPE"`
	CapacityType string  `json:"capacityType" table:"CAPACITY"`
	Amount       float64 `json:"amount"` // to pay, the discount taken off
	Currency     string  `json:"currency"`
	Unit         string  `json:"unit" table:"PER"` // always "hour"
	// DiscountPercent is the user's discount on the listed price.
	DiscountPercent Percent `json:"discountPercent,omitempty" table:"DISCOUNT"`
	// Exact distinguishes a published price from an estimate, whose Basis names its source.
	Exact  bool   `json:"exact" table:"STANDING,exact|estimate"`
	Basis  string `json:"basis,omitempty"`
	Date   string `json:"date"` // YYYY-MM-DD, of the source
	Source string `json:"source"`
}

// pricer knows the prices that the autoscaler counts with.
type pricer interface {
	Price(instanceType, capacityType string, zones []string) (pricing.Price, bool)
}

// PricesOf lists the prices of a region, for one capacity type, of the named types, sorted, or of all in known without names. A name may be a
// pattern such as g4dn.*. Unknown are the names that match nothing with a price, in their order.
func PricesOf(p pricer, region string, known []string, capacityType string, names []string) (list Prices, unknown []string) {
	list = Prices{Version: Version, Region: region}
	list.Prices, unknown = matching(names, known, func(name string) (Price, bool) {
		price, ok := p.Price(name, capacityType, nil)
		return priceFrom(price, capacityType), ok
	})
	for _, price := range list.Prices {
		list.Currency = price.Currency
	}
	return list, unknown
}

func priceFrom(p pricing.Price, capacityType string) Price {
	return Price{
		InstanceType: p.InstanceType, CapacityType: capacityType, Amount: rounded(p.Amount.PerHour), Currency: string(p.Amount.Currency), Unit: "hour",
		DiscountPercent: Percent(rounded(100 * p.Discount)), Exact: p.Exact(), Basis: p.Basis, Date: p.Date.UTC().Format(time.DateOnly), Source: p.Source,
	}
}

// rounded rounds to nine decimals, for smaller differences come from binary arithmetic.
func rounded(figure float64) float64 {
	out, _ := strconv.ParseFloat(strconv.FormatFloat(figure, 'f', 9, 64), 64)
	return out
}

// matching returns the values of the names that match one of the patterns, sorted by name, or of all known names without a pattern. A
// pattern may be a name that is not known. Unknown are the patterns without a value, in their order.
func matching[T any](patterns, known []string, look func(name string) (T, bool)) (values []T, unknown []string) {
	all := len(patterns) == 0
	if all {
		patterns = []string{"*"}
	}
	found := map[string]T{}
	for _, pattern := range patterns {
		matched := all
		for _, name := range append([]string{pattern}, known...) {
			if ok, err := path.Match(pattern, name); name != pattern && (err != nil || !ok) {
				continue
			}
			if value, ok := look(name); ok {
				found[name], matched = value, true
			}
		}
		if !matched {
			unknown = append(unknown, pattern)
		}
	}
	values = []T{} // not null in JSON
	for _, name := range slices.Sorted(maps.Keys(found)) {
		values = append(values, found[name])
	}
	return values, unknown
}

// Table returns the list for people.
func (l Prices) Table() string { return Rows(l.Prices) + "\nRegion: " + Clean(l.Region) + "\n" }

// Percent is a figure in percent.
type Percent float64

// String returns for example "12.5%", and nothing for none.
func (p Percent) String() string {
	if p == 0 {
		return ""
	}
	return figure(float64(p)) + "%"
}
