package pricing

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

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
