package pricing

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nearly lets amounts differ by what binary arithmetic leaves.
var nearly = cmpopts.EquateApprox(0, 1e-12)

// readAt is when the live prices of these tests were read.
var readAt = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func terms(t *testing.T, text string) *Terms {
	t.Helper()
	read, err := ParseTerms(text, nil)
	require.NoError(t, err)
	return read
}

func book(t *testing.T, region, text string, live ...SpotQuote) *Book {
	t.Helper()
	b := NewBook(region, time.Time{})
	if text != "" {
		require.NoError(t, b.SetTerms(terms(t, text)))
	}
	if len(live) > 0 {
		b.SetSpot(live)
	}
	return b
}

// own is the origin of the prices of ownHead, which begins the terms of these tests.
var own = Origin{Region: "us-east-1", Date: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Source: "our contract", Own: true}

const ownHead = "# region: us-east-1\n# currency: USD\n# date: 2026-11-01\n# source: our contract\n"

func TestOnDemandPrefersUserListAndAppliesDiscount(t *testing.T) {
	list := Embedded("us-east-1").Origin()
	b := book(t, "us-east-1", ownHead+"# discount: all 10%\n# discount: g4dn 25%\n# discount: g4dn.2xlarge 0%\n"+columns+"\nm5.large,0.08\n")
	for _, tt := range []struct {
		name, instanceType string
		want               Price
	}{
		{"the user's", "m5.large", Price{"m5.large", Amount{PerHour: 0.072, Currency: "USD"}, 0.1, own}},
		{"the embedded list's", "m5.xlarge", Price{"m5.xlarge", Amount{PerHour: 0.1728, Currency: "USD"}, 0.1, list}},
		{"discount of the family alone", "g4dn.xlarge", Price{"g4dn.xlarge", Amount{PerHour: 0.3945, Currency: "USD"}, 0.25, list}},
		{"discount of the type alone", "g4dn.2xlarge", Price{"g4dn.2xlarge", Amount{PerHour: 0.752, Currency: "USD"}, 0, list}},
		{"unknown", "zz9.large", Price{}},
	} {
		got, ok := b.OnDemand(tt.instanceType)
		diff := cmp.Diff(tt.want, got, nearly)
		assert.Truef(t, diff == "" && ok == (tt.want.InstanceType != ""), "%s: OnDemand() = %v (-want +got):\n%s", tt.name, ok, diff)
	}
}

func TestSpotPrefersUserThenEC2ThenRatio(t *testing.T) {
	text := ownHead + "# spot-ratio: 0.5\n# discount: all 50%\n" + columns + ",capacity_type,zone\n" +
		"m5.large,0.02,spot,us-east-1a\nm5.xlarge,0.05,spot,\nm5.xlarge,0.06,spot,us-east-1b\n" +
		"c5.large,0.08,,\n"
	live := []SpotQuote{
		{"m5.large", "us-east-1a", 0.9, readAt}, {"m5.large", "us-east-1b", 0.04, readAt}, {"m5.large", "us-east-1c", 0.04, readAt},
		{"m5.xlarge", "us-east-1a", 0.9, readAt}, {"c5.large", "us-east-1a", 0.031, readAt},
	}
	ec2 := Origin{Region: "us-east-1", Date: readAt, Source: "EC2 spot price history"}
	with := func(o Origin, basis string) Origin { o.Basis = basis; return o }
	b := book(t, "us-east-1", text, live...)
	for _, tt := range []struct {
		name, instanceType string
		zones              []string
		perHour            float64
		origin             Origin
	}{
		{"the user's for the zone", "m5.large", []string{"us-east-1a"}, 0.02, own},
		{"EC2's", "m5.large", []string{"us-east-1b"}, 0.04, ec2},
		{"EC2's, the same in both zones", "m5.large", []string{"us-east-1b", "us-east-1c"}, 0.04, ec2},
		{"the mean of two sources, as of the first", "m5.large", []string{"us-east-1a", "us-east-1b", "us-east-1c"}, 0.1 / 3, with(own, "mean over the zones")},
		{"the only zone that has one", "c5.large", []string{"us-east-1a", "us-east-1f"}, 0.031, ec2},
		{"the user's for every zone, before EC2's", "m5.xlarge", []string{"us-east-1a"}, 0.05, own},
		{"the user's for the zone, before that for every zone", "m5.xlarge", []string{"us-east-1b"}, 0.06, own},
		{"every zone known", "m5.xlarge", nil, 0.055, with(own, "mean over the zones")},
		{"ratio of the embedded list, undiscounted", "g4dn.xlarge", []string{"us-east-1a"}, 0.263,
			with(Embedded("us-east-1").Origin(), "0.5 × on-demand list price")},
		{"ratio of the user's list", "c5.large", []string{"us-east-1f"}, 0.04, with(own, "0.5 × on-demand list price")},
	} {
		got, ok := b.Spot(tt.instanceType, tt.zones)
		want := Price{InstanceType: tt.instanceType, Amount: Amount{PerHour: tt.perHour, Currency: "USD"}, Origin: tt.origin}
		diff := cmp.Diff(want, got, nearly)
		assert.Truef(t, diff == "" && ok, "%s: Spot() = %v (-want +got):\n%s", tt.name, ok, diff)
	}
	_, ok := b.Spot("zz9.large", nil)
	assert.False(t, ok, "an unknown type has a price")
}

func TestUnlistedTypesArePricedByAnotherRegionsList(t *testing.T) {
	const ningxia = "# region: cn-northwest-1\n# currency: CNY\n# date: 2026-11-01\n# source: our contract\n" + columns + "\nm5.large,0.7\n"
	euros := strings.NewReplacer("us-east-1", "eusc-de-east-1", "USD", "EUR").Replace(ownHead)
	for _, tt := range []struct {
		name, region, text, instanceType string
		perHour                          float64
		currency                         Currency
		basis                            string
	}{
		{"listed", "cn-north-1", "", "m5.large", 1.013, "CNY", ""},
		{"a family that Beijing's list lacks", "cn-north-1", "", "c7i.xlarge", 1.55254, "CNY", "list price of us-east-1 × 8.7, as of the listed c* types"},
		{"a size that Beijing's list lacks", "cn-north-1", "", "g4dn.metal", 77.6971, "CNY", "list price of us-east-1 × 9.93, as of the listed g4dn types"},
		{"Ningxia, what Beijing's list lacks", "cn-northwest-1", "", "c7i.xlarge", 1.55254, "CNY", "list price of us-east-1 × 8.7, as of the listed c* types"},
		{"one price of the family by the user", "cn-northwest-1", ningxia, "m5.xlarge", 1.4, "CNY", "list price of cn-north-1 × 0.691, as of the listed m5 types"},
		{"one price of another family by the user", "cn-northwest-1", ningxia, "r5.large", 1.219, "CNY", "list price of cn-north-1"},
		{"three prices by the user", "cn-northwest-1", ningxia + "c5.large,0.5\nr6g.large,0.6\n", "t3.large", 0.35575, "CNY",
			"list price of cn-north-1 × 0.677, as of the listed types"},
		{"one price in a currency without a list", "eusc-de-east-1", euros + columns + "\nm5.large,0.1\n", "r5.large", 0.13125, "EUR",
			"list price of us-east-1 × 1.04, as of the listed types"},
		{"no price in a currency without a list", "eusc-de-east-1", euros + "# discount: all 5%\n", "r5.large", 0, "", ""},
		{"what us-east-1 lacks", "us-east-1", "", "t4g.32xlarge", 0, "", ""},
		{"a partition without lists", "us-iso-east-1", "", "c7i.xlarge", 0.1785, "USD", "list price of us-east-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := book(t, tt.region, tt.text).OnDemand(tt.instanceType)
			diff := cmp.Diff(Amount{PerHour: tt.perHour, Currency: tt.currency}, got.Amount, cmpopts.EquateApprox(0, 1e-4))
			assert.Truef(t, diff == "" && ok == (tt.perHour > 0) && got.Basis == tt.basis, "OnDemand() = %v by %q (-want +got):\n%s", ok, got.Basis, diff)
			oldest := 2026
			if tt.currency == "CNY" { // Beijing's list has a part in all of them
				oldest = 2024
			}
			assert.Truef(t, !ok || got.Region == tt.region && got.Source != "" && got.Date.Year() == oldest,
				"origin = %+v, want one for %s of the older list, of %d", got.Origin, tt.region, oldest)
		})
	}
}

func TestForeignTermsAreRefused(t *testing.T) {
	row := columns + "\nm5.large,0.08\n"
	for _, tt := range []struct{ name, region, text, want string }{
		{"dollars in China", "cn-northwest-1", strings.Replace(ownHead, "us-east-1", "cn-northwest-1", 1) + row, "line 2: the prices are in USD, but those of cn-northwest-1 are in CNY"},
		{"yuan in the USA", "us-east-1", strings.Replace(ownHead, "USD", "CNY", 1) + row, "line 2: the prices are in CNY, but those of us-east-1 are in USD"},
		{"another region", "us-west-2", ownHead + row, `line 1: the prices are for region "us-east-1", not for "us-west-2"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own := terms(t, tt.text)
			b := book(t, tt.region, "")
			before, generation := b.Currency(), b.Generation()
			price, _ := b.OnDemand("m5.large")
			err := b.SetTerms(own)
			assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "SetTerms() error = %v, want one with %q", err, tt.want)
			after, _ := b.OnDemand("m5.large")
			assert.Truef(t, after == price && b.Currency() == before && b.Generation() == generation,
				"price %+v in %s after a refusal, was %+v in %s", after, b.Currency(), price, before)
		})
	}
}

func TestPricesOfAnOldListAreEstimates(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	own := strings.NewReplacer("us-east-1", "cn-north-1", "USD", "CNY").Replace(ownHead) + columns + "\nm5.large,1\n"
	for _, tt := range []struct{ region, text, instanceType, basis string }{
		{"cn-north-1", "", "m5.large", "list price, more than a year old"},
		{"cn-north-1", own, "m5.large", ""},
		{"cn-north-1", own, "m5.xlarge", "list price, more than a year old"},
		{"cn-north-1", strings.Replace(own, "2026-11-01", "2025-11-01", 1), "m5.large", "list price, more than a year old"},
		{"cn-northwest-1", "", "m5.large", "list price of cn-north-1"},
		{"us-east-1", "", "m5.large", ""},
	} {
		b := NewBook(tt.region, now)
		if tt.text != "" {
			require.NoError(t, b.SetTerms(terms(t, tt.text)))
		}
		got, ok := b.OnDemand(tt.instanceType)
		assert.Truef(t, ok && got.Basis == tt.basis,
			"%s in %s with %q by %q, want %q", tt.instanceType, tt.region, tt.text, got.Basis, tt.basis)
	}
	assert.Equal(t, 2026, book(t, "cn-north-1", own).ListDate().Year(), "year of the list in use")
	assert.Equal(t, 2024, book(t, "cn-north-1", "").ListDate().Year(), "year of the list in use")
	assert.False(t, book(t, "us-iso-east-1", "").ListDate().IsZero(), "no date of the list that stands in")
}

func TestPartitionWithoutListsKeepsUserCurrency(t *testing.T) {
	text := strings.NewReplacer("us-east-1", "eusc-de-east-1", "USD", "EUR").Replace(ownHead) + columns + "\nm5.large,0.1\n"
	b := book(t, "eusc-de-east-1", "", SpotQuote{"m5.large", "eusc-de-east-1a", 0.03, readAt})
	price, _ := b.Spot("m5.large", []string{"eusc-de-east-1a"})
	assert.Truef(t, price.Basis == "0.35 × list price of us-east-1" && price.Amount.Currency == "USD" && b.Currency() == "USD",
		"before any currency is stated: %+v, want an estimate in USD, not the live price", price)
	require.NoError(t, b.SetTerms(terms(t, text)))
	price, _ = b.Spot("m5.large", []string{"eusc-de-east-1a"})
	assert.Equal(t, Amount{PerHour: 0.03, Currency: "EUR"}, price.Amount, "live price")
	err := b.SetTerms(terms(t, strings.Replace(text, "EUR", "USD", 1)))
	assert.Truef(t, err != nil && b.Currency() == "EUR", "another currency later: error %v, currency %s", err, b.Currency())
}

func TestInvalidLivePricesAreLeftOut(t *testing.T) {
	b := book(t, "us-east-1", "")
	zero := 0.0
	held := b.SetSpot([]SpotQuote{{"m5.large", "us-east-1a", -1, readAt}, {"m5.large", "us-east-1a", zero / zero, readAt},
		{"m5.large", "us-east-1a", 1 / zero, readAt}, {"M5", "us-east-1a", 1, readAt}, {"m5.large", "", 1, readAt}, {"c5.large", "us-east-1a", 0.03, readAt}})
	price, _ := b.Spot("m5.large", nil)
	assert.Truef(t, held == 1 && !price.Exact(), "%d prices held, m5.large at %+v, want 1 and the ratio", held, price)
}

func TestABookIsReadWhileItChanges(t *testing.T) {
	b := book(t, "us-east-1", "")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				b.SetSpot([]SpotQuote{{"m5.large", "us-east-1a", 0.03, readAt}})
				price, ok := b.Spot("m5.large", []string{"us-east-1a"})
				assert.Truef(t, ok && price.Amount.PerHour == 0.03, "Spot() = %+v, %v", price, ok)
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 801, b.Generation(), "generation after 800 changes")
}

// BenchmarkBook prices one type on demand and as spot in three zones, of 1,367 types with live prices each: go test -bench Book ./pricing
func BenchmarkBook(b *testing.B) {
	own, err := ParseTerms(ownHead+"# discount: all 10%\n# discount: g5 20%\n", nil)
	require.NoError(b, err)
	bk := NewBook("us-east-1", time.Time{})
	require.NoError(b, bk.SetTerms(own))
	zones := []string{"us-east-1a", "us-east-1b", "us-east-1c"}
	var live []SpotQuote
	for i, r := range Embedded("us-east-1").rows {
		for j, zone := range zones {
			live = append(live, SpotQuote{r.instanceType, zone, float64(1 + (i+j)%7), readAt})
		}
	}
	bk.SetSpot(live)
	b.ReportAllocs()
	for b.Loop() {
		_, od := bk.OnDemand("m6i.2xlarge")
		_, spot := bk.Spot("m6i.2xlarge", zones)
		require.True(b, od && spot, "m6i.2xlarge is missing")
	}
}

func TestAnEstimateSaysAbout(t *testing.T) {
	sum := Amount{PerHour: 0.1, Currency: "USD"}.Plus(Amount{PerHour: 0.2, Currency: "USD", Estimated: true}).Times(2)
	assert.Equal(t, "about 0.6 USD/h", sum.String(), "sum, want about 0.6 USD/h")
	assert.Equal(t, "0.1 CNY/h", (Amount{}).Plus(Amount{PerHour: 0.1, Currency: "CNY"}).String(), "amount, want no word about an estimate")
}

func TestAmountsCompareToABillionth(t *testing.T) {
	usd := func(perHour float64) Amount { return Amount{PerHour: perHour, Currency: "USD"} }
	for _, tt := range []struct {
		name  string
		a, b  Amount
		order int
	}{
		{name: "less", a: usd(0.526), b: usd(1.006), order: -1},
		{name: "more", a: usd(0.000000002), b: usd(0.000000001), order: 1},
		{name: "three at 0.1 cost what one at 0.3 does", a: usd(0.1).Times(3), b: usd(0.3), order: 0},
	} {
		assert.Equalf(t, tt.order, tt.a.Compare(tt.b), "%s: %v.Compare(%v)", tt.name, tt.a, tt.b)
	}
}

func TestUnquotedTypeIsEstimatedByARatio(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		ratio      float64
		basis      string
	}{
		{name: "the user's", text: ownHead + "# spot-ratio: 0.3\n", ratio: 0.3, basis: "0.3 × on-demand list price"},
		{name: "the default", ratio: 0.35, basis: "0.35 × on-demand list price"},
	} {
		got, ok := book(t, "us-east-1", tt.text, SpotQuote{"m5.xlarge", "us-east-1a", 0.1, readAt}).Spot("m5.2xlarge", []string{"us-east-1a"})
		diff := cmp.Diff(Amount{PerHour: tt.ratio * 0.384, Currency: "USD"}, got.Amount, nearly)
		assert.Truef(t, diff == "" && ok && got.Basis == tt.basis && got.InstanceType == "m5.2xlarge", "%s: %s by %q (-want +got):\n%s", tt.name, got.InstanceType, got.Basis, diff)
	}
}

func TestAnOldQuoteIsAnEstimate(t *testing.T) {
	b := book(t, "us-east-1", ownHead+columns+",capacity_type,zone\nm5.large,0.04,spot,us-east-1a\n",
		SpotQuote{"m5.large", "us-east-1b", 0.04, readAt}, SpotQuote{"c5.large", "us-east-1a", 0.03, readAt}, SpotQuote{"c5.large", "us-east-1b", 0.04, readAt})
	fresh := b.Generation()
	b.AgeSpot()
	aged := b.Generation()
	b.AgeSpot()
	assert.Truef(t, aged > fresh && b.Generation() == aged, "generations %d, %d, %d, want another after the first call alone", fresh, aged, b.Generation())
	for _, tt := range []struct {
		name, instanceType string
		zones              []string
		basis              string
	}{
		{"alone", "m5.large", []string{"us-east-1b"}, "an old quote"},
		{"the user's own", "m5.large", []string{"us-east-1a"}, ""},
		{"beside the user's own", "m5.large", []string{"us-east-1a", "us-east-1b"}, "an old quote"},
		{"before the user's own", "m5.large", []string{"us-east-1b", "us-east-1a"}, "an old quote"},
		{"where the zones differ", "c5.large", nil, "mean over the zones"},
	} {
		got, ok := b.Spot(tt.instanceType, tt.zones)
		assert.Truef(t, ok && got.Basis == tt.basis, "%s: Spot() = %+v, %v, want the basis %q", tt.name, got, ok, tt.basis)
	}
	b.SetSpot([]SpotQuote{{"m5.large", "us-east-1b", 0.05, readAt.Add(48 * time.Hour)}})
	got, _ := b.Spot("m5.large", []string{"us-east-1b"})
	assert.Truef(t, got.Exact(), "a new quote is an estimate by %q", got.Basis)
}
