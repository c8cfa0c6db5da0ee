package pricing

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// DefaultSpotRatio is the assumed ratio of spot to on-demand list price where neither EC2 nor the user states a price, and EC2
// quotes no other type. It is the median of the figures of AWS's spot advisor, half of which lie between 0.28 and 0.42
// (data/SOURCES.md). A price from it is always marked as an estimate.
const DefaultSpotRatio = 0.35

// relatives are ratios from live spot prices, for types that EC2 does not quote.
type relatives struct {
	ratios   map[string]float64 // spot by on-demand list price in the median: by family, by class of families, and "" for all
	cheapest map[shape]zonePriceOf
}

// zonePriceOf is the live spot price of a type in one zone.
type zonePriceOf struct {
	instanceType string
	zonePrice
}

// shape is what pods get of a type.
type shape struct {
	vcpu         int
	memoryBytes  int64
	accelerator  string
	accelerators int
}

// shapeOf returns the shape of a type of the embedded catalogue.
func shapeOf(instanceType string) (shape, bool) {
	t, ok := instancetypes.Embedded().Lookup(instanceType)
	resource, count := t.Accelerator()
	return shape{vcpu: t.VCPU, memoryBytes: t.MemoryBytes, accelerator: resource + " " + t.GPU.Name, accelerators: count}, ok
}

// related compares the live spot prices with the list prices.
func (b *Book) related(now *layers) relatives {
	r := relatives{ratios: map[string]float64{}, cheapest: map[shape]zonePriceOf{}}
	if now.currency == "" {
		return r
	}
	ratios := map[string][]float64{}
	for instanceType, zones := range now.spot {
		sum := 0.0
		for _, z := range zones {
			sum += z.perHour
		}
		if s, ok := shapeOf(instanceType); ok {
			least := zonePriceOf{instanceType, slices.MinFunc(zones, func(a, b zonePrice) int { return cmp.Compare(a.perHour, b.perHour) })}
			if have, ok := r.cheapest[s]; !ok || cmp.Or(cmp.Compare(least.perHour, have.perHour), strings.Compare(instanceType, have.instanceType)) < 0 {
				r.cheapest[s] = least
			}
		}
		if listed, ok := b.listed(now, instanceType); ok && listed.Amount.PerHour > 0 {
			ratio := sum / float64(len(zones)) / listed.Amount.PerHour
			for _, of := range kin(instanceType) {
				ratios[of] = append(ratios[of], ratio)
			}
		}
	}
	for of, some := range ratios {
		slices.Sort(some)
		r.ratios[of] = (some[(len(some)-1)/2] + some[len(some)/2]) / 2
	}
	return r
}

// kin returns the types with similar prices, the nearest first: its family, the families of its class, such as all of "m", and
// "" for all.
func kin(instanceType string) [3]string {
	name := family(instanceType)
	end := strings.IndexFunc(name, func(c rune) bool { return c < 'a' || c > 'z' })
	if end < 0 {
		end = len(name)
	}
	return [...]string{name, name[:end] + "*", ""}
}

// unquoted estimates the spot price of a type that has none.
func (b *Book) unquoted(now *layers, instanceType string) (Price, bool) {
	price, ok := b.listed(now, instanceType)
	if ok {
		ratio, whose := now.ratio(instanceType)
		price.Basis = strconv.FormatFloat(ratio, 'g', 3, 64) + " × " + cmp.Or(price.Basis, "on-demand list price") + whose
		price.Amount.PerHour *= ratio
	}
	s, known := shapeOf(instanceType)
	if least, quoted := now.relatives.cheapest[s]; known && quoted && least.perHour > price.Amount.PerHour {
		price = Price{InstanceType: instanceType, Amount: Amount{PerHour: least.perHour, Currency: now.currency},
			Origin: Origin{Region: b.region, Date: least.readAt, Source: liveSource,
				Basis: "cheapest quote of its shape: " + least.instanceType + " in " + least.zone}}
		return price, true
	}
	return price, ok
}

// ratio is what spot costs by the list price where EC2 does not quote the type, and what that was taken from, to go behind.
func (l *layers) ratio(instanceType string) (ratio float64, whose string) {
	if l.terms != nil && l.terms.spotRatio > 0 {
		return l.terms.spotRatio, ""
	}
	for _, of := range kin(instanceType) {
		if ratio, ok := l.relatives.ratios[of]; ok {
			return ratio, ", as of the quoted " + strings.TrimPrefix(of+" types", " ")
		}
	}
	return DefaultSpotRatio, ""
}
