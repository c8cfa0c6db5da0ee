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

// pricer knows the prices that the autoscaler counts with.
type pricer interface {
	Price(instanceType, capacityType string, zones []string) (pricing.Price, bool)
}

// PricesOf lists the prices of a region, for one capacity type, of the named types, sorted, or of all in known without names. A name may be a
// pattern such as g4dn.*. Unknown are the names that match nothing with a price, in their order.
func PricesOf(p pricer, region string, known []string, capacityType string, names []string) (list Prices, unknown []string) {
	list = Prices{Version: Version, Region: region, Prices: []Price{}}
	found := map[string]Price{}
	if len(names) == 0 {
		match(p, known, capacityType, "*", found)
	}
	for _, name := range names {
		if !match(p, append([]string{name}, known...), capacityType, name, found) {
			unknown = append(unknown, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list.Prices, list.Currency = append(list.Prices, found[name]), found[name].Currency
	}
	return list, unknown
}

// match adds the prices of the candidates that a pattern matches, and reports whether there are any.
func match(p pricer, candidates []string, capacityType, pattern string, found map[string]Price) bool {
	matched := false
	for _, name := range candidates {
		if matches, err := path.Match(pattern, name); name != pattern && (err != nil || !matches) {
			continue
		}
		if price, ok := p.Price(name, capacityType, nil); ok {
			found[name], matched = priceFrom(price, capacityType), true
		}
	}
	return matched
}

func priceFrom(p pricing.Price, capacityType string) Price {
	return Price{
		InstanceType: p.InstanceType, CapacityType: capacityType, Amount: rounded(p.Amount.PerHour), Currency: string(p.Amount.Currency), Unit: "hour",
		DiscountPercent: rounded(100 * p.Discount), Exact: p.Exact(), Basis: p.Basis, Date: p.Date.UTC().Format(time.DateOnly), Source: p.Source,
	}
}

// rounded rounds to nine decimals, for smaller differences come from binary arithmetic.
func rounded(figure float64) float64 {
	out, _ := strconv.ParseFloat(strconv.FormatFloat(figure, 'f', 9, 64), 64)
	return out
}

// Table returns the list for people.
func (l Prices) Table() string {
	rows := make([][]string, 0, len(l.Prices))
	for _, p := range l.Prices {
		rows = append(rows, []string{
			p.InstanceType, p.CapacityType, figure(p.Amount), p.Currency, p.Unit, discount(p.DiscountPercent), standing(p.Exact), p.Basis, p.Date, p.Source,
		})
	}
	header := []string{"TYPE", "CAPACITY", "AMOUNT", "CURRENCY", "PER", "DISCOUNT", "STANDING", "BASIS", "DATE", "SOURCE"}
	return Columns(header, rows) + "\nRegion: " + Clean(l.Region) + "\n"
}

func figure(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func discount(percent float64) string {
	if percent == 0 {
		return ""
	}
	return figure(percent) + "%"
}

func standing(exact bool) string {
	if exact {
		return "exact"
	}
	return "estimate"
}
