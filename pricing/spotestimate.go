package pricing

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// DefaultSpotRatio is the assumed ratio of spot to on-demand list price where neither EC2 nor the user states a price, and EC2
// quotes no other type. It is the median of the figures of AWS's spot advisor, half of which lie between 0.28 and 0.42
// (data/SOURCES.md). A price from it is always marked as an estimate.
const DefaultSpotRatio = 0.35

// quotedRatios compares the live spot prices with the list prices. It returns spot by on-demand list price in the median: by family, by
// class of families, and "" for all. Without a currency of the book, the two may be in different ones.
func (l *layers) quotedRatios() map[string]float64 {
	if l.currency == "" {
		return nil
	}
	ratios := map[string][]float64{}
	for instanceType, zones := range l.spot {
		sum := 0.0
		for _, z := range zones {
			sum += z.PerHour
		}
		if listed, ok := l.listed(instanceType); ok && listed.Amount.PerHour > 0 {
			ratio := sum / float64(len(zones)) / listed.Amount.PerHour
			for _, of := range Kin(instanceType) {
				ratios[of] = append(ratios[of], ratio)
			}
		}
	}
	return Medians(ratios)
}

// Medians returns the median of each of several lists, none of them empty, and reorders them.
func Medians[K comparable](lists map[K][]float64) map[K]float64 {
	medians := make(map[K]float64, len(lists))
	for of, some := range lists {
		slices.Sort(some)
		medians[of] = (some[(len(some)-1)/2] + some[len(some)/2]) / 2
	}
	return medians
}

// Kin names the types with prices similar to a type's, the nearest first: its family, such as "m5d", its class, which is all
// families of its letter, such as "m*", and "" for all types.
func Kin(instanceType string) [3]string {
	name := family(instanceType)
	end := strings.IndexFunc(name, func(c rune) bool { return c < 'a' || c > 'z' })
	if end < 0 {
		end = len(name)
	}
	return [...]string{name, name[:end] + "*", ""}
}

func kinName(of string) string { return strings.TrimPrefix(of+" types", " ") }

func (l *layers) unquoted(instanceType string) (Price, bool) {
	price, ok := l.listed(instanceType)
	if ok {
		ratio, whose := l.ratio(instanceType)
		price.Basis = strconv.FormatFloat(ratio, 'g', 3, 64) + " × " + cmp.Or(price.Basis, "on-demand list price") + whose
		price.Amount.PerHour *= ratio
	}
	return price, ok
}

// SpotRatio is what spot instances cost by the on-demand list price where there is no spot price of the type.
func (b *Book) SpotRatio(instanceType string) float64 {
	ratio, _ := b.current.Load().ratio(instanceType)
	return ratio
}

// ratio is what spot costs by the list price where EC2 does not quote the type, and what that was taken from, to go behind.
func (l *layers) ratio(instanceType string) (ratio float64, whose string) {
	if l.terms.spotRatio > 0 {
		return l.terms.spotRatio, ""
	}
	for _, of := range Kin(instanceType) {
		if ratio, ok := l.ratios[of]; ok {
			return ratio, ", as of the quoted " + kinName(of)
		}
	}
	return DefaultSpotRatio, ""
}
