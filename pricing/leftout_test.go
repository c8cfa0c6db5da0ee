package pricing_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
)

// equal is what makes two types alternatives for a pod.
type equal struct {
	vcpu         int
	memoryBytes  int64
	accelerator  string
	accelerators int
	model        string
}

func equalOf(t instancetypes.Type) equal {
	resource, count := t.Accelerator()
	return equal{t.VCPU, t.MemoryBytes, resource, count, t.GPU.Name}
}

// Each family of each embedded list is left out of that list in turn, and its types are priced without it. Two types are in the
// wrong order if the estimate of one is on the other side of the other's list price. Prices that differ by less than a thousandth
// are equal: the lists round.
//
//	go test -run LeftOutFamilies -v ./pricing
func TestLeftOutFamiliesKeepPriceAndOrder(t *testing.T) {
	const most = 0.03 // of the median error, and of the pairs in the wrong order
	catalogue := instancetypes.Embedded()
	for _, region := range pricing.Regions {
		t.Run(region, func(t *testing.T) {
			list := pricing.Embedded(region)
			alike, listed := map[equal][]string{}, map[string]float64{}
			for _, name := range list.Types() {
				price, _ := list.Lookup(name)
				listed[name] = price.Amount.PerHour
				if facts, ok := catalogue.Lookup(name); ok {
					alike[equalOf(facts)] = append(alike[equalOf(facts)], name)
				}
			}
			var errors []float64
			pairs, wrong, unknown, left := 0, 0, 0, ""
			var pricer *groupprice.Pricer
			for _, name := range list.Types() {
				facts, known := catalogue.Lookup(name)
				if !known {
					continue
				}
				if family := pricing.Kin(name)[0]; family != left {
					left, pricer = family, groupprice.New(pricing.BookWithout(region, family), catalogue)
				}
				estimate, ok := pricer.Price(name, "on-demand", nil)
				if !ok {
					unknown++
					continue
				}
				require.Truef(t, !estimate.Exact() && estimate.Amount.Currency == list.Currency(),
					"%s = %+v, want an estimate in %s", name, estimate, list.Currency())
				price := estimate.Amount.PerHour
				errors = append(errors, math.Abs(price/listed[name]-1))
				for _, other := range alike[equalOf(facts)] {
					if pricing.Kin(other)[0] == left || math.Abs(listed[name]/listed[other]-1) <= 0.001 {
						continue
					}
					pairs++
					if (listed[name]-listed[other])*(price-listed[other]) <= 0 {
						wrong++
					}
				}
			}
			slices.Sort(errors)
			median := errors[len(errors)/2]
			t.Logf("%d types: off by %.4f in the median, %.3f at the 90th percentile, %d of %d pairs in the wrong order, %d unknown",
				len(errors), median, errors[len(errors)*9/10], wrong, pairs, unknown)
			assert.Truef(t, median <= most && float64(wrong) <= most*float64(pairs),
				"off by %.4f in the median and %d of %d pairs in the wrong order, want at most %v of both", median, wrong, pairs, most)
			if unknown > 10 { // the only ones with accelerators of their maker
				t.Errorf("%d types without a price", unknown)
			}
		})
	}
}
