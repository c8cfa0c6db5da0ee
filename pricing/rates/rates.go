package rates

import (
	"math"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

const gib = 1 << 30

// Rates of one region, in one currency. All of them are above or equal to 0 and finite.
type Rates struct {
	VCPU float64 // an hour of one vCPU
	GiB  float64 // an hour of one GiB of memory

	origin       pricing.Origin
	currency     pricing.Currency
	accelerators map[string]float64 // the cheapest whole one, by the resource it is published under
	models       map[model]float64  // one of the model
	memory       map[string]float64 // a GiB of accelerator memory, by resource
	kin          map[string]float64 // prices relative to the fit, of a family and of a class of families (pricing.Kin)
	spot         float64            // what spot costs in terms of on-demand
}

// model is an accelerator with a known price.
type model struct {
	resource, name string
	memoryBytes    int64
	fraction       bool // of a card
}

func modelOf(t instancetypes.Type) (model, int) {
	resource, count := t.Accelerator()
	return model{resource: resource, name: t.GPU.Name, memoryBytes: t.GPU.MemoryBytes, fraction: t.GPU.Fraction > 0}, count
}

// Currency returns the currency of every amount.
func (r *Rates) Currency() pricing.Currency { return r.currency }

// SpotRatio is what spot costs in terms of on-demand in the median, between 0 and 1.
func (r *Rates) SpotRatio() float64 { return r.spot }

// Type estimates the on-demand price of an instance type.
func (r *Rates) Type(t instancetypes.Type) pricing.Price {
	perHour := r.plain(t) + r.accelerated(t)
	kin := pricing.Kin(t.Name)
	for _, of := range kin[:2] {
		if factor, known := r.kin[of]; known {
			perHour *= factor
			break
		}
	}
	return r.price(t.Name, perHour, "what similar types cost")
}

// Resources estimates the price of CPU, memory and accelerators, the latter by resource name. An unknown accelerator costs
// nothing.
func (r *Rates) Resources(cpuMillis, memoryBytes int64, accelerators map[string]int64) pricing.Price {
	perHour := r.VCPU*float64(max(0, cpuMillis))/1000 + r.GiB*float64(max(0, memoryBytes))/gib
	dearest := 0.0 // one device under two names is paid for once
	for name, count := range accelerators {
		dearest = math.Max(dearest, r.Accelerator(name)*float64(max(0, count)))
	}
	return r.price("", perHour+dearest, "what its CPU, memory and accelerators cost in similar types")
}

// Accelerator returns the hourly price of the cheapest accelerator published under the resource. A slice costs as much as the
// whole.
func (r *Rates) Accelerator(resource string) float64 {
	if rate, ok := r.accelerators[resource]; ok {
		return rate
	}
	return r.accelerators[wholeOf(resource)]
}

func (r *Rates) price(name string, perHour float64, basis string) pricing.Price {
	origin := r.origin
	if origin.Basis != "" {
		basis += ", by the " + origin.Basis
	}
	origin.Basis = basis
	return pricing.Price{InstanceType: name, Amount: pricing.Amount{PerHour: perHour, Currency: r.currency}, Origin: origin}
}

// plain returns the fit's price of CPU and memory.
func (r *Rates) plain(t instancetypes.Type) float64 {
	return r.VCPU*float64(t.VCPU) + r.GiB*float64(t.MemoryBytes)/gib
}

// accelerated returns the price of t's accelerators: by their model, else by their memory, else as the cheapest.
func (r *Rates) accelerated(t instancetypes.Type) float64 {
	m, count := modelOf(t)
	if count == 0 {
		return 0
	}
	if rate, ok := r.models[m]; ok {
		return rate * float64(count)
	}
	if rate, ok := r.memory[m.resource]; ok && m.memoryBytes > 0 {
		return rate * float64(m.memoryBytes) / gib * float64(count)
	}
	return r.accelerators[m.resource] * float64(count)
}
