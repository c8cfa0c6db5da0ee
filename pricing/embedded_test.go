package pricing

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

func TestEmbeddedListsHoldEveryPriceOfTheirSource(t *testing.T) {
	china, elsewhere := time.Date(2024, 11, 6, 0, 0, 0, 0, time.UTC), time.Date(2026, 7, 20, 0, 0, 0, 0, time.UTC)
	for region, want := range map[string]struct {
		count    int
		currency Currency
		date     time.Time
	}{
		"cn-north-1":    {316, "CNY", china},
		"us-east-1":     {1367, "USD", elsewhere},
		"us-gov-east-1": {549, "USD", elsewhere},
		"us-gov-west-1": {770, "USD", elsewhere},
	} {
		l := Embedded(region)
		assert.Equalf(t, want.count, l.Len(), "%s: prices: say so in the package documentation and in data/SOURCES.md", region)
		o := l.Origin()
		assert.Falsef(t, l.Currency() != want.currency || !o.Date.Equal(want.date) || !o.Exact() || o.Region != region || o.Source == "",
			"%s: currency %q, origin %+v, want an exact list of %s in %q", region, l.Currency(), o, want.date, want.currency)
	}
	assert.Len(t, embedded, 4, "embedded lists")
}

func TestBareMetalIsNoDearerThanVirtual(t *testing.T) {
	for region := range embedded {
		sold := map[string]float64{} // by family and size, the dearest
		list := Embedded(region)
		key := func(name string, facts instancetypes.Type) string {
			return fmt.Sprint(family(name), facts.VCPU, facts.MemoryBytes, facts.GPU.Count)
		}
		for _, r := range list.rows {
			if facts, ok := instancetypes.Embedded().Lookup(r.instanceType); ok && !facts.BareMetal {
				sold[key(r.instanceType, facts)] = r.perHour
			}
		}
		for _, r := range list.rows {
			facts, _ := instancetypes.Embedded().Lookup(r.instanceType)
			virtual, ok := sold[key(r.instanceType, facts)]
			assert.Falsef(t, ok && facts.BareMetal && r.perHour > virtual,
				"%s: %s costs %v, the virtual type of its size %v", region, r.instanceType, r.perHour, virtual)
		}
	}
}

func TestRegionWithoutListUsesNearestAsEstimate(t *testing.T) {
	for _, tt := range []struct {
		region string
		want   Amount // of g4dn.xlarge
		basis  string
	}{
		{region: "us-east-1", want: Amount{PerHour: 0.526, Currency: "USD"}},
		{region: "cn-north-1", want: Amount{PerHour: 5.223, Currency: "CNY"}},
		{region: "us-gov-west-1", want: Amount{PerHour: 0.663, Currency: "USD"}},
		{region: "us-west-2", want: Amount{PerHour: 0.526, Currency: "USD"}, basis: "list price of us-east-1"},
		{region: "cn-northwest-1", want: Amount{PerHour: 5.223, Currency: "CNY"}, basis: "list price of cn-north-1"},
		{region: "us-gov-north-1", want: Amount{PerHour: 0.663, Currency: "USD"}, basis: "list price of us-gov-west-1"},
	} {
		t.Run(tt.region, func(t *testing.T) {
			got, ok := book(t, tt.region, "").OnDemand("g4dn.xlarge")
			assert.Truef(t, ok && got.Exact() == (tt.basis == "") && got.Source != "" && !got.Date.IsZero(),
				"OnDemand() = %+v, %v, want a price with source and date", got, ok)
			got.Source, got.Date = "", time.Time{}
			want := Price{InstanceType: "g4dn.xlarge", Amount: tt.want, Origin: Origin{Region: tt.region, Basis: tt.basis}}
			assert.Empty(t, cmp.Diff(want, got), "OnDemand() differs (-want +got)")
		})
	}
	o := Embedded("us-east-1").Origin()
	assert.Truef(t, o.Exact() && o.Region == "us-east-1", "origin = %+v, want the list itself left as it was", o)
}

func TestAPartitionWithoutAnyListHasNoPrices(t *testing.T) {
	for _, region := range []string{"us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1", "", "nowhere"} {
		l := Embedded(region)
		got, ok := l.Lookup("m5.large")
		assert.Truef(t, !ok && l.Len() == 0, "Embedded(%q) has %d prices, m5.large at %v, want none", region, l.Len(), got.Amount)
	}
}

// BenchmarkLookup finds one price among 1,367: go test -bench Lookup ./pricing
func BenchmarkLookup(b *testing.B) {
	l := Embedded("us-east-1")
	b.ReportAllocs()
	for b.Loop() {
		_, ok := l.Lookup("m6i.2xlarge")
		require.True(b, ok, "m6i.2xlarge is missing")
	}
}
