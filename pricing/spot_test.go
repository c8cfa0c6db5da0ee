package pricing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
)

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
