package pricing

import (
	"fmt"
	"math"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

const gib = 1 << 30

// Rates of one region, in one currency. All of them are above or equal to 0 and finite.
type Rates struct {
	VCPU float64 // an hour of one vCPU
	GiB  float64 // an hour of one GiB of memory

	origin       Origin
	currency     Currency
	accelerators map[string]float64    // the cheapest whole one, by the resource it is published under
	kin          map[string]float64    // prices relative to the fit, by Kin
	perHour      map[string]float64    // of each type of the pure classes
	classes      map[[3]string]float64 // what a class costs by another for the same variant, by its traits
}

// Type estimates the on-demand price of an instance type. It is not ok without any price to go by, or where nothing is known of the
// type's accelerators.
func (r *Rates) Type(t instancetypes.Type) (price Price, ok bool) {
	fitted := r.plain(t) + r.accelerated(t)
	kin := Kin(t.Name)
	if factor, known := r.kin[kin[0]]; known {
		return r.price(t.Name, fitted*factor, "what the other "+kin[0]+" types cost"), true
	}
	if perHour, basis := r.variant(t.Name); basis != "" {
		return r.price(t.Name, perHour, basis), true
	}
	if resource, count := t.Accelerator(); count > 0 && r.accelerators[resource] == 0 {
		return Price{}, false
	}
	for _, of := range kin[1:] {
		if factor, known := r.kin[of]; known {
			return r.price(t.Name, fitted*factor, "what similar types cost"), true
		}
	}
	return Price{}, false
}

// variant estimates a type of a pure class by the same variant in another.
func (r *Rates) variant(name string) (perHour float64, basis string) {
	class, variant := variantOf(name)
	for _, other := range pure {
		price, known := r.perHour[other+variant]
		if !known || !slices.Contains(pure, class) {
			continue
		}
		for _, traits := range [...]string{traitsOf(variant), anyTraits} {
			if ratio, ok := r.classes[[3]string{class, other, traits}]; ok {
				return price * ratio, fmt.Sprintf("price of %s × %.3g, as %s types cost by %s types", other+variant, ratio, class, other)
			}
		}
	}
	return 0, ""
}

// Resources estimates the price of CPU, memory and accelerators, the latter by resource name.
func (r *Rates) Resources(cpuMillis, memoryBytes int64, accelerators map[string]int64) Price {
	perHour := r.VCPU*float64(max(0, cpuMillis))/1000 + r.GiB*float64(max(0, memoryBytes))/gib
	dearest := 0.0 // one device under two names is paid for once
	for name, count := range accelerators {
		dearest = math.Max(dearest, r.Accelerator(name)*float64(max(0, count)))
	}
	return r.price("", perHour+dearest, "what its CPU, memory and accelerators cost in similar types")
}

// Accelerator returns the hourly price of the cheapest accelerator published under the resource. A slice costs as much as the
// whole. An unknown one costs as much as the cheapest of all: a pod that asks for it needs a dear node.
func (r *Rates) Accelerator(resource string) float64 {
	if rate, ok := r.accelerators[resource]; ok {
		return rate
	}
	if rate, ok := r.accelerators[wholeOf(resource)]; ok {
		return rate
	}
	least := math.Inf(1)
	for _, rate := range r.accelerators {
		least = math.Min(least, rate)
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

func (r *Rates) price(name string, perHour float64, basis string) Price {
	origin := r.origin
	origin.Basis = basis
	return Price{InstanceType: name, Amount: Amount{PerHour: perHour, Currency: r.currency}, Origin: origin}
}

// plain returns the fit's price of CPU and memory.
func (r *Rates) plain(t instancetypes.Type) float64 {
	return r.VCPU*float64(t.VCPU) + r.GiB*float64(t.MemoryBytes)/gib
}

// accelerated returns the price of t's accelerators, each as the cheapest of its resource.
func (r *Rates) accelerated(t instancetypes.Type) float64 {
	resource, count := t.Accelerator()
	return r.accelerators[resource] * float64(count)
}
