package rates

import (
	"math"
	"slices"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// book sells its list without the left-out types, and spot at a third.
type book struct {
	list *pricing.List
	only map[string]bool   // nil for all
	lack func(string) bool // nil for none
}

func (b book) OnDemand(name string) (pricing.Price, bool) {
	if b.lack != nil && b.lack(name) || b.only != nil && !b.only[name] {
		return pricing.Price{}, false
	}
	return b.list.Lookup(name)
}

func (b book) Spot(name string, _ []string) (pricing.Price, bool) {
	p, ok := b.OnDemand(name)
	p.Amount.PerHour /= 3
	return p, ok
}

func (b book) Currency() pricing.Currency { return b.list.Currency() }

func facts(t *testing.T, name string) instancetypes.Type {
	t.Helper()
	found, ok := instancetypes.Embedded().Lookup(name)
	if !ok {
		t.Fatalf("%q is not in the catalogue", name)
	}
	return found
}

func TestLeftOutTypesAreEstimated(t *testing.T) {
	for _, tt := range []struct {
		name, region   string
		same           func(a, b string) bool // whether b is left out with a
		median, ninety float64                // relative errors
	}{
		{"type", "us-east-1", func(a, b string) bool { return a == b }, 0.001, 0.12},
		{"type", "cn-north-1", func(a, b string) bool { return a == b }, 0.001, 0.12},
		{"type", "us-gov-west-1", func(a, b string) bool { return a == b }, 0.001, 0.12},
		{"family", "us-east-1", func(a, b string) bool { return pricing.Kin(a)[0] == pricing.Kin(b)[0] }, 0.25, 0.6},
		{"family", "cn-north-1", func(a, b string) bool { return pricing.Kin(a)[0] == pricing.Kin(b)[0] }, 0.25, 0.8},
	} {
		t.Run(tt.name+" in "+tt.region, func(t *testing.T) {
			list := pricing.Embedded(tt.region)
			var errors []float64
			for i, each := range instancetypes.Embedded().Types() {
				price, ok := list.Lookup(each.Name)
				if !ok || i%7 > 0 { // one in seven keeps the test short
					continue
				}
				rest := book{list: list, lack: func(name string) bool { return tt.same(each.Name, name) }}
				estimate := Fit(rest, instancetypes.Embedded()).Type(each)
				if estimate.Exact() || estimate.Amount.Currency != list.Currency() {
					t.Fatalf("estimate = %+v, want one that says so, in %s", estimate, list.Currency())
				}
				errors = append(errors, math.Abs(estimate.Amount.PerHour/price.Amount.PerHour-1))
			}
			slices.Sort(errors)
			middle, ninth := errors[len(errors)/2], errors[len(errors)*9/10]
			t.Logf("%d types: off by %.3f in the median, %.3f at the 90th percentile, %.3f at most", len(errors), middle, ninth, errors[len(errors)-1])
			if middle > tt.median || ninth > tt.ninety {
				t.Errorf("off by %.3f in the median and %.3f at the 90th percentile, want %v and %v", middle, ninth, tt.median, tt.ninety)
			}
		})
	}
}

func TestRatesOfAListAreThoseOfItsTypes(t *testing.T) {
	r := Fit(book{list: pricing.Embedded("us-east-1")}, instancetypes.Embedded())
	t.Logf("vCPU %.4f, GiB %.4f, accelerators %v, spot %.3f", r.VCPU, r.GiB, r.accelerators, r.spot)
	if r.VCPU < 0.02 || r.VCPU > 0.06 || r.GiB < 0.002 || r.GiB > 0.008 {
		t.Errorf("vCPU %v, GiB %v, want what the m, c and r families are made of", r.VCPU, r.GiB)
	}
	if math.Abs(r.SpotRatio()-1.0/3) > 1e-9 {
		t.Errorf("spot ratio = %v, want a third", r.SpotRatio())
	}
	gpu := r.Accelerator("nvidia.com/gpu")
	if gpu < 0.1 || gpu > 0.526 || r.Accelerator("nvidia.com/mig-1g.5gb") != gpu {
		t.Errorf("nvidia.com/gpu at %v, a slice at %v, want both at what a T4 adds to g4dn.xlarge", gpu, r.Accelerator("nvidia.com/mig-1g.5gb"))
	}
	for _, resource := range []string{"amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron", "aws.amazon.com/neuroncore"} {
		if r.Accelerator(resource) <= 0 {
			t.Errorf("%s at %v, want more than nothing", resource, r.Accelerator(resource))
		}
	}
	if r.Accelerator("example.com/fpga") != 0 {
		t.Errorf("example.com/fpga at %v, want nothing: nothing tells of it", r.Accelerator("example.com/fpga"))
	}
}

func TestDeviceUnderTwoNamesCountsOnce(t *testing.T) {
	r := Fit(book{list: pricing.Embedded("us-east-1")}, instancetypes.Embedded())
	both := r.Resources(1000, gib, map[string]int64{"aws.amazon.com/neuron": 1, "aws.amazon.com/neuroncore": 2}).Amount.PerHour
	device := r.Resources(1000, gib, map[string]int64{"aws.amazon.com/neuron": 1}).Amount.PerHour
	cores := r.Resources(1000, gib, map[string]int64{"aws.amazon.com/neuroncore": 2}).Amount.PerHour
	if both != math.Max(device, cores) {
		t.Errorf("device and cores cost %v, want the dearer of %v and %v", both, device, cores)
	}
}

func TestAModelNobodySellsIsPricedByItsMemory(t *testing.T) {
	r := Fit(book{list: pricing.Embedded("us-east-1")}, instancetypes.Embedded())
	next := facts(t, "g6.xlarge")
	next.Name, next.GPU.Name, next.GPU.MemoryBytes = "g99.xlarge", "X1", 2*next.GPU.MemoryBytes
	same := facts(t, "g6.xlarge")
	same.Name = "g99.xlarge"
	if dear, cheap := r.Type(next).Amount.PerHour, r.Type(same).Amount.PerHour; !(dear > cheap) {
		t.Errorf("a GPU with twice the memory costs %v, one of a known model %v, want more", dear, cheap)
	}
}

func TestWithoutPricesTheRatesOfAnotherRegionServe(t *testing.T) {
	r := Fit(book{list: pricing.Embedded("us-iso-east-1")}, instancetypes.Embedded())
	got := r.Type(facts(t, "m5.large"))
	if got.Exact() || got.Amount.Currency != "USD" || math.Abs(got.Amount.PerHour-0.096) > 0.01 {
		t.Errorf("m5.large = %+v, want an estimate near that of us-east-1", got)
	}
}

func TestAFewPricesGiveTheScale(t *testing.T) {
	few := map[string]bool{"m5.large": true, "m5.xlarge": true, "c5.large": true}
	r := Fit(book{list: pricing.Embedded("cn-north-1"), only: few}, instancetypes.Embedded())
	want, _ := pricing.Embedded("cn-north-1").Lookup("r5.2xlarge")
	got := r.Type(facts(t, "r5.2xlarge"))
	if got.Exact() || got.Amount.Currency != "CNY" || math.Abs(got.Amount.PerHour/want.Amount.PerHour-1) > 0.5 {
		t.Errorf("r5.2xlarge = %+v, want an estimate near %v", got, want.Amount)
	}
}

// spotOnly sells spot alone, in a currency of its own.
type spotOnly struct{ book }

func (spotOnly) OnDemand(string) (pricing.Price, bool) { return pricing.Price{}, false }

func TestSpotPricesAloneSetScaleAndCurrency(t *testing.T) {
	cny := pricing.Embedded("cn-north-1")
	for _, only := range []map[string]bool{{"m5.large": true}, nil} {
		r := Fit(spotOnly{book{list: cny, only: only}}, instancetypes.Embedded())
		want, _ := cny.Lookup("r5.2xlarge")
		got := r.Type(facts(t, "r5.2xlarge"))
		if got.Exact() || got.Amount.Currency != "CNY" || math.Abs(got.Amount.PerHour/want.Amount.PerHour-1) > 0.5 {
			t.Errorf("with spot prices of %v: r5.2xlarge = %+v, want an estimate near %v", only, got, want.Amount)
		}
		if r.Currency() != "CNY" {
			t.Errorf("with spot prices of %v: rates in %s", only, r.Currency())
		}
	}
}

func BenchmarkFit(b *testing.B) {
	p := book{list: pricing.Embedded("us-east-1")}
	instancetypes.Embedded()
	b.ReportAllocs()
	for b.Loop() {
		Fit(p, instancetypes.Embedded())
	}
}
