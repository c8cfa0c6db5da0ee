package show

import (
	"maps"
	"math"
	"path"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
)

type Prices struct {
	Version  string  `json:"version"`
	Region   string  `json:"region"`
	Currency string  `json:"currency"` // of every amount, empty where no price is known
	Prices   []Price `json:"prices"`
}

type Price struct {
	InstanceType string  `json:"instanceType"`
	CapacityType string  `json:"capacityType"`
	Amount       float64 `json:"amount"` // to pay, the discount taken off
	Currency     string  `json:"currency"`
	Unit         string  `json:"unit"` // always "hour"
	// DiscountPercent is the user's discount on the listed price.
	DiscountPercent float64 `json:"discountPercent,omitempty"`
	// Exact distinguishes a published price from an estimate, whose Basis names its source.
	Exact  bool   `json:"exact"`
	Basis  string `json:"basis,omitempty"`
	Date   string `json:"date"` // YYYY-MM-DD, of the source
	Source string `json:"source"`
}

// PricesOf lists the prices of a region, for one capacity type, of the named types, sorted, or of all in known without names. A name may be a
// pattern such as g4dn.*. Unknown are the names that match nothing with a price, in their order.
func PricesOf(p *groupprice.Pricer, region string, known []string, capacityType string, names []string) (list Prices, unknown []string) {
	all, found := len(names) == 0, map[string]Price{}
	if all {
		names = []string{"*"}
	}
	for _, pattern := range names {
		matched := all
		for _, name := range append([]string{pattern}, known...) {
			if ok, err := path.Match(pattern, name); name != pattern && (err != nil || !ok) {
				continue
			}
			if price, ok := p.Price(name, capacityType, nil); ok {
				found[name], matched = Price{InstanceType: price.InstanceType, CapacityType: capacityType, Amount: rounded(price.Amount.PerHour),
					Currency: string(price.Amount.Currency), Unit: "hour", DiscountPercent: rounded(100 * price.Discount), Exact: price.Exact(),
					Basis: price.Basis, Date: price.Date.UTC().Format(time.DateOnly), Source: price.Source}, true
			}
		}
		if !matched {
			unknown = append(unknown, pattern)
		}
	}
	list = Prices{Version: Version, Region: region, Prices: []Price{}}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list.Prices, list.Currency = append(list.Prices, found[name]), found[name].Currency
	}
	return list, unknown
}

// rounded rounds to nine decimals, for smaller differences come from binary arithmetic.
func rounded(figure float64) float64 { return math.Round(figure*1e9) / 1e9 }

func (l Prices) Table() string {
	if len(l.Prices) == 0 {
		return ""
	}
	var rows [][]string
	for _, p := range l.Prices {
		discount, standing := "", "estimate"
		if p.DiscountPercent != 0 {
			discount = figure(p.DiscountPercent) + "%"
		}
		if p.Exact {
			standing = "exact"
		}
		rows = append(rows, []string{p.InstanceType, p.CapacityType, figure(p.Amount), p.Currency, p.Unit, discount, standing, p.Basis, p.Date, p.Source})
	}
	return Columns([]string{"TYPE", "CAPACITY", "AMOUNT", "CURRENCY", "PER", "DISCOUNT", "STANDING", "BASIS", "DATE", "SOURCE"}, rows) +
		"\nRegion: " + Clean(l.Region) + "\n"
}
