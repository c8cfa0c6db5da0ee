package offer

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeoffer"
)

// check reads an offer and checks the properties of any offer: the result is a price list, and a second reading gives the same.
func check(t *testing.T, offer []byte) {
	if bytes.HasPrefix(offer, []byte{0x1f, 0x8b}) {
		return // it may be as long as it likes when unpacked
	}
	o := Options{Region: "us-east-1", OS: Linux}
	var got Prices
	var err error
	costlimit.Check(t, func() { got, err = Read(bytes.NewReader(offer), o) })
	again, errAgain := Read(bytes.NewReader(offer), o)
	require.Truef(t, (err == nil) == (errAgain == nil), "once %v, then %v", err, errAgain)
	if err != nil {
		return
	}
	list, err := pricing.Parse(got.List.Format())
	require.Truef(t, err == nil && list.Len() == got.List.Len() && list.Len() != 0 && list.Currency() == "USD",
		"%d prices became %+v, %v", got.List.Len(), list, err)
	assert.Equal(t, prices(got), prices(again), "not the same twice")
}

func FuzzReadJSON(f *testing.F) {
	offer := written(f, fakeoffer.Virginia.Sells("m5.large", 0.096)[:2], fakeoffer.Boston.Sells("m5.metal", 5)[3:4])
	f.Add(offer)
	f.Add(bytes.Replace(offer, []byte("m5.large"), []byte(`m5\u002elarge`), 1))
	f.Add([]byte(`{"offerCode":"AmazonEC2","products":{"a":{"attributes":null}},"terms":{"OnDemand":{"a":[]}}}`))
	f.Fuzz(check)
}
