package offer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Bounds on the parts of an offer that are kept, far above a real one's.
const (
	maxCandidates = 100_000
	maxRegions    = 200
	maxName       = 100 // bytes of a SKU, of a place, of a type
	maxCurrencies = 10
	maxPerHour    = 1e6
)

// product is one product of an offer, in AWS's words.
type product struct {
	sku, family  string
	Region       string `json:"regionCode"`
	Location     string `json:"location"`
	LocationType string `json:"locationType"`
	InstanceType string `json:"instanceType"`
	Tenancy      string `json:"tenancy"`
	OS           string `json:"operatingSystem"`
	Software     string `json:"preInstalledSw"`
	Capacity     string `json:"capacitystatus"`
	Market       string `json:"marketoption"`
	Licence      string `json:"licenseModel"`
	Operation    string `json:"operation"`
}

// candidate is a product that passed the filter, with its prices.
type candidate struct {
	sku, region, location, instanceType string
	rank                                int // of two for the same type, the lower counts
	currency                            pricing.Currency
	prices                              []float64 // different ones, per hour
	fault                               string    // the fault of a price, which leaves the type out
	lack                                string    // why a price did not count, which matters where no other does
}

// collector keeps the candidates of an offer.
type collector struct {
	options Options
	about   about
	bySKU   map[string]*candidate
	seen    map[string]int // products with an instance type, by region code, for the regions asked for and others
}

// add keeps a product if it passes the filter. It copies the texts, which may share memory with the next ones.
func (c *collector) add(p product) error {
	if p.InstanceType == "" || p.Region == "" || len(p.Region) > maxName {
		return nil
	}
	if n, known := c.seen[p.Region]; known {
		c.seen[p.Region] = n + 1
	} else if len(c.seen) < maxRegions {
		c.seen[strings.Clone(p.Region)] = 1
	}
	rank, ok := c.options.rank(p)
	if !ok || c.bySKU[p.sku] != nil {
		return nil
	}
	if len(c.bySKU) == maxCandidates {
		return fmt.Errorf("more than %d products that pass the filter", maxCandidates)
	}
	if len(p.sku) > maxName || len(p.Location) > maxName {
		return fmt.Errorf("SKU %.50q or its location is longer than %d bytes", p.sku, maxName)
	}
	sku := strings.Clone(p.sku)
	c.bySKU[sku] = &candidate{
		sku: sku, region: strings.Clone(p.Region), location: strings.Clone(p.Location), instanceType: strings.Clone(p.InstanceType),
		rank: rank, currency: currencyOf(p.Region),
	}
	return nil
}

// rank reports whether a product passes the filter, and how well it fits. Offers of some partitions and years lack some
// attributes. A missing attribute excludes nothing.
func (o Options) rank(p product) (rank int, ok bool) {
	is := func(value string, allowed ...string) bool { return slices.Contains(allowed, value) }
	_, size, _ := strings.Cut(p.InstanceType, ".")
	metal := strings.HasPrefix(size, "metal") || strings.HasSuffix(p.family, "(bare metal)")
	if !slices.Contains(o.Regions, p.Region) || len(p.InstanceType) > maxName || !pricing.ValidType(p.InstanceType) ||
		p.OS != systems[o.OS].name || p.Capacity != "Used" ||
		!is(p.Tenancy, "Shared", "Dedicated") || p.Tenancy == "Dedicated" && !metal ||
		!is(p.Software, "", "NA") || !is(p.Market, "", "OnDemand") || !is(p.LocationType, "", "AWS Region") ||
		!is(p.Licence, "", "NA", "No License required") || p.family != "" && !strings.HasPrefix(p.family, "Compute Instance") {
		return 0, false
	}
	if p.Tenancy == "Dedicated" { // which is dearer, and counts where a metal type has no other price
		rank += 2
	}
	if !is(p.Operation, "", systems[o.OS].operation) {
		rank++
	}
	return rank, true
}

// currencyOf is the currency in which AWS sells a region.
func currencyOf(region string) pricing.Currency {
	if strings.HasPrefix(region, "cn-") {
		return "CNY"
	}
	return "USD"
}

// price takes one price, stated per unit in one currency or several.
func (c *candidate) price(unit string, amounts map[string]string) {
	amount, have := amounts[string(c.currency)]
	perHour, err := strconv.ParseFloat(amount, 64)
	switch {
	case len(amounts) > maxCurrencies:
		c.fault = fmt.Sprintf("a price in more than %d currencies", maxCurrencies)
	case !strings.EqualFold(unit, "Hrs"):
		c.fault = fmt.Sprintf("a price per %.20q, not per hour", unit)
	case !have:
		c.lack = fmt.Sprintf("no price in %s, but in %.50q", c.currency, slices.Sorted(maps.Keys(amounts)))
	case err != nil || !(perHour >= 0 && perHour <= maxPerHour): // not < 0 ||, which would let NaN pass
		c.fault = fmt.Sprintf("%.20q, which is no price up to %.0f", amount, maxPerHour)
	case perHour == 0:
		c.lack = "a price of 0"
	case !slices.Contains(c.prices, perHour) && len(c.prices) < 3: // a second one is reported, a third is not needed
		c.prices = append(c.prices, perHour)
	}
}

// result makes the lists.
func (c *collector) result() ([]Prices, error) {
	if code := cmp.Or(c.about.code, "AmazonEC2"); code != "AmazonEC2" {
		return nil, fmt.Errorf("read offer: it is of %.50q, not of AmazonEC2", code)
	}
	byRegion := map[string][]*candidate{}
	for _, found := range c.bySKU {
		byRegion[found.region] = append(byRegion[found.region], found)
	}
	var all []Prices
	for _, region := range c.options.Regions {
		prices, err := c.list(region, byRegion[region])
		if err != nil {
			return nil, fmt.Errorf("read offer: %w", err)
		}
		all = append(all, prices)
	}
	return all, nil
}

// list makes the list of one region.
func (c *collector) list(region string, found []*candidate) (Prices, error) {
	if len(found) == 0 {
		return Prices{}, c.nothing(region)
	}
	date, err := c.about.date()
	if err != nil {
		return Prices{}, err
	}
	var p Prices
	perHour := map[string]float64{}
	types := map[string][]*candidate{}
	for _, f := range ofRegionItself(found) {
		types[f.instanceType] = append(types[f.instanceType], f)
	}
	for instanceType, several := range types {
		price, reason := decide(several)
		if reason != "" {
			p.LeftOut = append(p.LeftOut, LeftOut{instanceType, reason})
			continue
		}
		perHour[instanceType] = price
	}
	slices.SortFunc(p.LeftOut, func(a, b LeftOut) int { return strings.Compare(a.InstanceType, b.InstanceType) })
	if len(perHour) == 0 {
		first := p.LeftOut[0]
		return Prices{}, fmt.Errorf("no price for any of the %d types of %q: the first, %s, has %s", len(p.LeftOut), region, first.InstanceType, first.Reason)
	}
	origin := pricing.Origin{Region: region, Date: date, Source: c.about.source(c.options)}
	p.List, err = pricing.NewList(origin, currencyOf(region), perHour)
	return p, err
}

// nothing explains why a region has no products that pass the filter.
func (c *collector) nothing(region string) error {
	switch n := c.seen[region]; {
	case n > 0:
		return fmt.Errorf("none of the %d products for instances in %q is one of %s on demand, without further software, in the tenancy wanted",
			n, region, systems[c.options.OS].name)
	case len(c.seen) == 0:
		return errors.New("it has no products for instances with a region code")
	}
	return fmt.Errorf("it has nothing for region %q, only for %.500q", region, strings.Join(slices.Sorted(maps.Keys(c.seen)), ", "))
}

// ofRegionItself leaves out the products of Local and Wavelength Zones that only the name of their location distinguishes from
// their region's. The region itself sells the most types.
func ofRegionItself(found []*candidate) []*candidate {
	count := map[string]int{}
	for _, f := range found {
		count[f.location]++
	}
	itself := slices.MaxFunc(slices.Sorted(maps.Keys(count)), func(a, b string) int { return cmp.Compare(count[a], count[b]) })
	return slices.DeleteFunc(found, func(f *candidate) bool { return f.location != itself })
}

// decide returns the price of a type, or the reason why it has none. Among several products, the best fitting ones with a price
// count, and they must agree.
func decide(several []*candidate) (perHour float64, reason string) {
	slices.SortFunc(several, func(a, b *candidate) int { return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.sku, b.sku)) })
	var prices []float64
	var skus []string
	rank := 0
	for _, f := range several {
		if len(prices) > 0 && f.rank > rank {
			break
		}
		if f.fault != "" {
			return 0, f.fault
		}
		if len(f.prices) == 0 {
			reason = cmp.Or(reason, f.lack)
			continue
		}
		rank, skus = f.rank, append(skus, f.sku)
		for _, price := range f.prices {
			if !slices.Contains(prices, price) {
				prices = append(prices, price)
			}
		}
	}
	switch {
	case len(prices) == 1:
		return prices[0], ""
	case len(prices) > 1:
		return 0, fmt.Sprintf("several prices, %v (SKU %.200s)", prices, strings.Join(skus, ", "))
	}
	return 0, cmp.Or(reason, "no on-demand price")
}
