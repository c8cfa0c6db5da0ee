package pricing

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

// worldwide is the region where most types are sold.
const worldwide = "us-east-1"

// fewest is how many types of a class need a price for the class to have a factor: one or two may have a price by contract. Between
// two currencies any price will do.
const fewest = 3

// standIn is the list of another region. AWS prices the types of a class alike in two regions, so a price there times what the
// class costs here by its price there is off by a percent in the median (TestLeftOutFamiliesKeepPriceAndOrder). The factor
// also carries the currency, so no rate of exchange is needed.
type standIn struct {
	*List
	factors  map[string]float64 // what the types with a price cost by the list in the median, by kin
	region   string
	currency Currency
	oldest   time.Time // date of the prices that the factors were taken from
}

// standIns sets the lists that stand in, the nearest first. Each is compared with the prices before it when it is first needed.
func (l *layers) standIns(region string) {
	l.stands = nil
	have := map[string]bool{region: true, "": true}
	for _, other := range []string{nearest(region), worldwide, "us-gov-west-1", "us-gov-east-1", "cn-north-1"} {
		if have[other] {
			continue
		}
		have[other] = true
		before := *l
		l.stands = append(l.stands, sync.OnceValue(func() *standIn { return before.standIn(region, embedded[other]()) }))
	}
}

// standIn compares a list with the prices that the layers have.
func (l *layers) standIn(region string, list *List) *standIn {
	s := &standIn{List: list, region: region, currency: cmp.Or(l.currency, Embedded(worldwide).currency), oldest: list.origin.Date}
	ratios := map[string][]float64{}
	for _, r := range list.rows {
		if price, ok := l.listed(r.instanceType); ok {
			for _, of := range Kin(r.instanceType) {
				ratios[of] = append(ratios[of], price.Amount.PerHour/r.perHour)
			}
			if price.Date.Before(s.oldest) {
				s.oldest = price.Date
			}
		}
	}
	maps.DeleteFunc(ratios, func(of string, some []float64) bool {
		return len(some) < fewest && (of == "" || strings.HasSuffix(of, "*")) && list.currency == s.currency
	})
	s.factors = Medians(ratios)
	return s
}

// price is the list's own amount, if that is in the book's currency, without any price to compare the list with.
func (s *standIn) price(instanceType string) (Price, bool) {
	price, ok := s.Lookup(instanceType)
	basis := "list price of " + s.origin.Region
	price.Region, price.Basis = s.region, basis
	for _, of := range Kin(instanceType) {
		if factor, known := s.factors[of]; ok && known {
			price.Amount = Amount{PerHour: price.Amount.PerHour * factor, Currency: s.currency}
			price.Date = s.oldest
			price.Basis = fmt.Sprintf("%s × %.3g, as of the listed %s", basis, factor, strings.TrimPrefix(of+" types", " "))
			return price, true
		}
	}
	return price, ok && price.Amount.Currency == s.currency
}
