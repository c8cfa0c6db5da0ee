package pricing

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SpotQuote is EC2's spot price of a type in a zone, in the currency of the region.
type SpotQuote struct {
	InstanceType string
	Zone         string
	PerHour      float64
	ReadAt       time.Time
}

// SetSpot replaces the live spot prices, one for a type and zone. Invalid prices are left out. It returns the number of quotes it holds.
func (b *Book) SetSpot(quotes []SpotQuote) (held int) {
	spot := make(map[string][]SpotQuote, len(quotes))
	for _, q := range quotes {
		if validPrice(q.PerHour) && ValidType(q.InstanceType) && q.Zone != "" {
			spot[q.InstanceType] = append(spot[q.InstanceType], q)
			held++
		}
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	next := *b.current.Load()
	next.spot, next.spotIsOld = spot, false
	b.replace(&next)
	return held
}

// AgeSpot marks the live spot prices held as estimates, until SetSpot brings others.
func (b *Book) AgeSpot() {
	b.writing.Lock()
	defer b.writing.Unlock()
	if next := *b.current.Load(); !next.spotIsOld {
		next.spotIsOld = true
		b.replace(&next)
	}
}

// Spot returns the price of a spot instance of the type in one of the zones, or without zones in any zone with a price. For
// each zone the user's own figure counts, or else the live one. Where the zones differ, nobody knows the next instance's zone.
// Groups spread over their zones evenly, so the answer is the mean, marked as an estimate. It skips zones without a figure.
// Where no zone has one, the answer is a ratio times the on-demand list price, marked as an estimate, too. Spot prices have no discount. The second result is false where the price is unknown.
func (b *Book) Spot(instanceType string, zones []string) (Price, bool) {
	now := b.current.Load()
	if len(zones) == 0 {
		zones = now.zonesOf(instanceType)
	}
	var m mean
	for _, zone := range zones {
		b.addZone(now, &m, instanceType, zone)
	}
	if m.count == 0 {
		return now.unquoted(instanceType)
	}
	p := Price{InstanceType: instanceType, Amount: Amount{PerHour: m.first, Currency: now.currency}, Origin: m.origin}
	if m.differ {
		p.Amount.PerHour, p.Basis = m.sum/float64(m.count), "mean over the zones"
	}
	return p, true
}

func (b *Book) addZone(now *layers, m *mean, instanceType, zone string) {
	for _, z := range [...]string{zone, ""} {
		if i, own := slices.BinarySearchFunc(now.terms.spot, row{instanceType: instanceType, zone: z}, byPool); own {
			m.add(now.terms.spot[i].perHour, now.terms.origin())
			return
		}
	}
	quotes := now.spot[instanceType]
	if i := slices.IndexFunc(quotes, func(q SpotQuote) bool { return q.Zone == zone }); i >= 0 && now.currency != "" {
		live := quotes[i]
		origin := Origin{Region: b.region, Date: live.ReadAt, Source: "EC2 spot price history"}
		if now.spotIsOld {
			origin.Basis = "an old quote"
		}
		m.add(live.PerHour, origin)
	}
}

// zonesOf are the zones with a spot price of the type. "" stands for all of which no live price is known.
func (l *layers) zonesOf(instanceType string) (zones []string) {
	for _, live := range l.spot[instanceType] {
		zones = append(zones, live.Zone)
	}
	for _, r := range l.terms.spotOf(instanceType) {
		if !slices.Contains(zones, r.zone) && (r.zone != "" || len(zones) == 0) {
			zones = append(zones, r.zone)
		}
	}
	return zones
}

type mean struct {
	count  int
	sum    float64
	first  float64
	differ bool
	origin Origin // of the first
}

func (m *mean) add(perHour float64, from Origin) {
	if m.count == 0 {
		m.first, m.origin = perHour, from
	}
	m.differ = m.differ || perHour != m.first
	m.origin.Basis = cmp.Or(m.origin.Basis, from.Basis)
	m.sum += perHour
	m.count++
}

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
