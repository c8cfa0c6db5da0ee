package offer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeoffer"
)

// check reads an offer and checks the properties of any offer: the result is a price list, and a second reading gives the same.
func check(t *testing.T, offer []byte) {
	o := Options{Regions: []string{"us-east-1"}}
	var got []Prices
	var err error
	costlimit.Check(t, func() { got, err = Read(bytes.NewReader(offer), o) })
	again, errAgain := Read(bytes.NewReader(offer), o)
	if (err == nil) != (errAgain == nil) {
		t.Fatalf("once %v, then %v", err, errAgain)
	}
	if err != nil {
		return
	}
	list, err := pricing.Parse(got[0].List.Format())
	if err != nil || list.Len() != got[0].List.Len() || list.Len() == 0 || list.Currency() != "USD" {
		t.Fatalf("%d prices became %+v, %v", got[0].List.Len(), list, err)
	}
	if prices(got[0]) != prices(again[0]) {
		t.Errorf("once\n%s\nthen\n%s", prices(got[0]), prices(again[0]))
	}
}

// bomb is about 64 KiB of packed bytes that unpack to 64 MiB of filling.
func bomb(t testing.TB, head, filling string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.Copy(w, io.MultiReader(strings.NewReader(head), strings.NewReader(strings.Repeat(filling, 64<<20/len(filling)))))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestPackedOfferThatGrowsTooMuchIsRefused(t *testing.T) {
	_, err := Read(bytes.NewReader(bomb(t, "", "\n")), Options{Regions: []string{"us-east-1"}})
	if err == nil || !strings.Contains(err.Error(), "more than 100 times its size") {
		t.Error(err)
	}
}

func BenchmarkPackedHostileOffer(b *testing.B) {
	packed := bomb(b, "", "\n")
	for b.Loop() {
		if _, err := Read(bytes.NewReader(packed), Options{Regions: []string{"us-east-1"}}); err == nil {
			b.Fatal("it was read")
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	offer := written(f, fakeoffer.Virginia.Sells("m5.large", 0.096)[:2], fakeoffer.Boston.Sells("m5.metal", 5)[3:4])
	f.Add(offer)
	f.Add(bytes.Replace(offer, []byte("m5.large"), []byte(`m5\u002elarge`), 1))
	f.Add(bomb(f, "{", " "))
	f.Add([]byte(`{"offerCode":"AmazonEC2","products":{"a":{"attributes":null}},"terms":{"OnDemand":{"a":[]}}}`))
	f.Fuzz(check)
}
