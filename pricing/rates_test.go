package pricing

import (
	"math"
	"slices"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// market sells the list of us-east-1 without the left-out types.
type market struct {
	lack func(string) bool // nil for none
}

func (b market) OnDemand(name string) (Price, bool) {
	if b.lack != nil && b.lack(name) {
		return Price{}, false
	}
	return Embedded("us-east-1").Lookup(name)
}

func (b market) Currency() Currency { return "USD" }

func typeOf(t *testing.T, name string) instancetypes.Type {
	t.Helper()
	found, ok := instancetypes.Embedded().Lookup(name)
	require.Truef(t, ok, "%q is not in the catalogue", name)
	return found
}

// The list of us-east-1 stands for a market where no other list has the type either.
func TestLeftOutTypesAreEstimated(t *testing.T) {
	isPure := func(name string) bool { return slices.Contains(pure, Kin(name)[1]) }
	family := func(a, b string) bool { return Kin(a)[0] == Kin(b)[0] }
	for _, tt := range []struct {
		name           string
		of             func(string) bool
		same           func(a, b string) bool // whether b is left out with a
		median, ninety float64                // relative errors
	}{
		{"one type", func(string) bool { return true }, func(a, b string) bool { return a == b }, 0.001, 0.3},
		{"a family of m, c or r", isPure, family, 0.03, 0.1},
		{"another family", func(name string) bool { return !isPure(name) }, family, 0.4, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var errors []float64
			for i, each := range instancetypes.Embedded().Types() {
				price, ok := market{}.OnDemand(each.Name)
				if !ok || i%7 > 0 || !tt.of(each.Name) { // one in seven keeps the test short
					continue
				}
				estimate, ok := FitRates(market{func(name string) bool { return tt.same(each.Name, name) }}, instancetypes.Embedded()).Type(each)
				if !ok {
					continue
				}
				require.Falsef(t, estimate.Exact() || estimate.Amount.Currency != "USD" || !(estimate.Amount.PerHour > 0),
					"estimate = %+v, want one in USD that says so", estimate)
				errors = append(errors, math.Abs(estimate.Amount.PerHour/price.Amount.PerHour-1))
			}
			slices.Sort(errors)
			middle, ninth := errors[len(errors)/2], errors[len(errors)*9/10]
			t.Logf("%d types: off by %.4f in the median, %.3f at the 90th percentile, %.3f at most", len(errors), middle, ninth, errors[len(errors)-1])
			assert.Truef(t, middle <= tt.median && ninth <= tt.ninety,
				"off by %.3f in the median and %.3f at the 90th percentile, want %v and %v", middle, ninth, tt.median, tt.ninety)
		})
	}
}

func TestAnEstimateNamesItsBasis(t *testing.T) {
	size := func(name string) bool { return name == "m7a.2xlarge" }
	r7a := func(name string) bool { return Kin(name)[0] == "r7a" }
	gaudi := func(name string) bool { return Kin(name)[0] == "dl1" }
	for _, tt := range []struct {
		name  string
		lack  func(string) bool
		basis string
	}{
		{"m7a.2xlarge", size, "what the other m7a types cost"},
		{"r7a.2xlarge", r7a, "what similar types cost"},
		{"trn2.48xlarge", nil, "what similar types cost"},
		{"dl1.24xlarge", gaudi, ""}, // no other type has Gaudi, so its price is unknown
	} {
		got, ok := FitRates(market{tt.lack}, instancetypes.Embedded()).Type(typeOf(t, tt.name))
		assert.Truef(t, got.Basis == tt.basis && ok == (tt.basis != ""), "%s: Type() = %+v, %v, want the basis %q", tt.name, got, ok, tt.basis)
	}
}

func TestRatesOfAListAreThoseOfItsTypes(t *testing.T) {
	r := FitRates(market{}, instancetypes.Embedded())
	t.Logf("vCPU %.4f, GiB %.4f, accelerators %v", r.VCPU, r.GiB, r.accelerators)
	assert.Truef(t, r.VCPU >= 0.02 && r.VCPU <= 0.06 && r.GiB >= 0.002 && r.GiB <= 0.008,
		"vCPU %v, GiB %v, want what the m, c and r families are made of", r.VCPU, r.GiB)
	gpu := r.Accelerator("nvidia.com/gpu")
	assert.Truef(t, gpu >= 0.1 && gpu <= 0.526 && r.Accelerator("nvidia.com/mig-1g.5gb") <= gpu,
		"nvidia.com/gpu at %v, a slice at %v, want what a T4 adds to g4dn.xlarge, and no more", gpu, r.Accelerator("nvidia.com/mig-1g.5gb"))
	for _, resource := range []string{"amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron", "aws.amazon.com/neuroncore", "example.com/fpga", "nvidia.com/mig-1g.5gb"} {
		assert.Truef(t, r.Accelerator(resource) > 0, "%s at %v, want more than nothing", resource, r.Accelerator(resource))
	}
}

func TestDeviceUnderTwoNamesCountsOnce(t *testing.T) {
	r := FitRates(market{}, instancetypes.Embedded())
	both := r.Resources(1000, gib, map[string]int64{"aws.amazon.com/neuron": 1, "aws.amazon.com/neuroncore": 2}).Amount.PerHour
	device := r.Resources(1000, gib, map[string]int64{"aws.amazon.com/neuron": 1}).Amount.PerHour
	cores := r.Resources(1000, gib, map[string]int64{"aws.amazon.com/neuroncore": 2}).Amount.PerHour
	assert.Equalf(t, math.Max(device, cores), both, "device and cores cost, want the dearer of %v and %v", device, cores)
}

func TestWithoutPricesNothingIsEstimated(t *testing.T) {
	r := FitRates(market{func(string) bool { return true }}, instancetypes.Embedded())
	got, ok := r.Type(typeOf(t, "m5.large"))
	assert.Falsef(t, ok, "m5.large = %+v without any price", got)
	assert.EqualValues(t, 0, r.Resources(1000, gib, map[string]int64{"nvidia.com/gpu": 1}).Amount.PerHour, "resources cost without any price")
}
