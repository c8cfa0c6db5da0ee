package pricing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnquotedTypeIsEstimatedFromRelatives(t *testing.T) {
	quote := func(instanceType string, perHour float64) SpotQuote {
		return SpotQuote{instanceType, "us-east-1a", perHour, readAt}
	}
	ratio := func(text string) string { return ownHead + "# spot-ratio: " + text + "\n" }
	for _, tt := range []struct {
		name, text, instanceType string
		live                     []SpotQuote
		perHour                  float64
		basis                    string
	}{
		{name: "by its family before others of its class", instanceType: "m5.2xlarge", perHour: 0.6 * 0.384,
			live:  []SpotQuote{quote("m5.xlarge", 0.6*0.192), quote("m6i.xlarge", 0.8*0.192), quote("c5.xlarge", 0.2*0.17)},
			basis: "0.6 × on-demand list price, as of the quoted m5 types"},
		{name: "by its class before all", instanceType: "m5.2xlarge", perHour: 0.8 * 0.384,
			live:  []SpotQuote{quote("m6i.xlarge", 0.8*0.192), quote("c5.xlarge", 0.2*0.17)},
			basis: "0.8 × on-demand list price, as of the quoted m* types"},
		{name: "by all", instanceType: "m5.2xlarge", perHour: 0.2 * 0.384, live: []SpotQuote{quote("c5.xlarge", 0.2*0.17)},
			basis: "0.2 × on-demand list price, as of the quoted types"},
		{name: "by the median", instanceType: "m5.2xlarge", perHour: 0.5 * 0.384,
			live:  []SpotQuote{quote("m5.large", 0.4*0.096), quote("m5.xlarge", 0.6*0.192), quote("m5.4xlarge", 0.5*0.768)},
			basis: "0.5 × on-demand list price, as of the quoted m5 types"},
		{name: "by what the user says", instanceType: "m5.2xlarge", perHour: 0.3 * 0.384, text: ratio("0.3"),
			live: []SpotQuote{quote("m5.xlarge", 0.6*0.192)}, basis: "0.3 × on-demand list price"},
		{name: "of another class", instanceType: "g4dn.xlarge", perHour: 0.5 * 0.526, live: []SpotQuote{quote("m5.xlarge", 0.5*0.192)},
			basis: "0.5 × on-demand list price, as of the quoted types"},
		{name: "without any quote", instanceType: "m5.xlarge", perHour: 0.35 * 0.192, basis: "0.35 × on-demand list price"},
	} {
		got, ok := book(t, "us-east-1", tt.text, tt.live...).Spot(tt.instanceType, []string{"us-east-1a"})
		diff := cmp.Diff(Amount{PerHour: tt.perHour, Currency: "USD"}, got.Amount, nearly)
		assert.Truef(t, diff == "" && ok && got.Basis == tt.basis && got.InstanceType == tt.instanceType, "%s: %s by %q (-want +got):\n%s", tt.name, got.InstanceType, got.Basis, diff)
	}
}

func TestNewTermsChangeWhatRelativesTell(t *testing.T) {
	b := book(t, "us-east-1", "", SpotQuote{"m5.xlarge", "us-east-1a", 0.096, readAt})
	require.NoError(t, b.SetTerms(terms(t, ownHead+columns+"\nm5.xlarge,0.12\n")))
	got, _ := b.Spot("m5.2xlarge", nil)
	assert.Equal(t, "0.8 × on-demand list price, as of the quoted m5 types", got.Basis, "estimate by, want the ratio by the user's list")
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
