package pricing

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// DefaultSpotRatio is the assumed ratio of spot to on-demand list price where neither EC2 nor the user states a price. It is the median of the figures of AWS's spot advisor, half of which lie between 0.28 and 0.42
// (data/SOURCES.md). A price from it is always marked as an estimate.
const DefaultSpotRatio = 0.35

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

func (l *layers) unquoted(instanceType string) (Price, bool) {
	price, ok := l.listed(instanceType)
	if ok {
		ratio := l.spotRatio()
		price.Basis = strconv.FormatFloat(ratio, 'g', 3, 64) + " × " + cmp.Or(price.Basis, "on-demand list price")
		price.Amount.PerHour *= ratio
	}
	return price, ok
}

// SpotRatio is what spot instances cost by the on-demand list price where there is no spot price of the type.
func (b *Book) SpotRatio() float64 { return b.current.Load().spotRatio() }

func (l *layers) spotRatio() float64 { return cmp.Or(l.terms.spotRatio, DefaultSpotRatio) }
