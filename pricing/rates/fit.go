package rates

import (
	"math"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// fewest is how many types without accelerators must have a price for a fit of their own.
const fewest = 8

// fallbackRegion is the region whose rates serve where there are too few prices. Without any price they serve as they are.
// Otherwise they set the proportions between CPU, memory and accelerators, and the few prices set the scale.
const fallbackRegion = "us-east-1"

// Prices are the prices of one region, in one currency.
type Prices interface {
	OnDemand(instanceType string) (pricing.Price, bool)
	Spot(instanceType string, zones []string) (pricing.Price, bool)
	Currency() pricing.Currency
}

// sample is one type with its price.
type sample struct {
	instancetypes.Type
	perHour float64
}

// Fit makes the Rates from p's prices of types in the catalogue. It never fails: where p has too few prices, the embedded list
// of us-east-1 stands in, in its own currency only if p has no price at all. If p has only spot prices, those give the scale.
func Fit(p Prices, catalogue *instancetypes.Catalogue) *Rates {
	samples, origin := sampled(p.OnDemand, catalogue)
	if len(samples) == 0 {
		samples, origin = sampled(func(name string) (pricing.Price, bool) {
			price, ok := p.Spot(name, nil)
			price.Amount.PerHour /= pricing.DefaultSpotRatio
			return price, ok
		}, catalogue)
	}
	var r *Rates
	if plainOnes(samples) >= fewest {
		r = fit(samples)
		r.currency, r.origin = p.Currency(), origin
	} else {
		r = scaled(samples, p.Currency(), origin, catalogue)
	}
	r.spot = spotRatio(p, samples)
	return r
}

// sampled are the types of the catalogue that have a price, and where the first price is from.
func sampled(onDemand func(string) (pricing.Price, bool), catalogue *instancetypes.Catalogue) ([]sample, pricing.Origin) {
	var samples []sample
	var origin pricing.Origin
	for _, t := range catalogue.Types() {
		price, ok := onDemand(t.Name)
		if !ok || !(price.Amount.PerHour > 0) || t.VCPU <= 0 || t.MemoryBytes <= 0 {
			continue
		}
		if len(samples) == 0 {
			origin = price.Origin
		}
		samples = append(samples, sample{Type: t, perHour: price.Amount.PerHour})
	}
	return samples, origin
}

func plainOnes(samples []sample) int {
	count := 0
	for _, s := range samples {
		if _, accelerators := modelOf(s.Type); accelerators == 0 {
			count++
		}
	}
	return count
}

// scaled are the rates of the fallback region, in proportion to the few prices there are.
func scaled(samples []sample, currency pricing.Currency, origin pricing.Origin, catalogue *instancetypes.Catalogue) *Rates {
	list := pricing.Embedded(fallbackRegion)
	known, listOrigin := sampled(list.Lookup, catalogue)
	r := fit(known)
	r.currency, r.origin = list.Currency(), listOrigin
	r.origin.Basis = "list price of " + fallbackRegion
	if len(samples) == 0 {
		return r
	}
	var ratios []float64
	for _, s := range samples {
		ratios = append(ratios, s.perHour/r.Type(s.Type).Amount.PerHour)
	}
	scale := median(ratios)
	r.VCPU, r.GiB = r.VCPU*scale, r.GiB*scale
	for _, rates := range []map[string]float64{r.accelerators, r.memory} {
		for name := range rates {
			rates[name] *= scale
		}
	}
	for m := range r.models {
		r.models[m] *= scale
	}
	r.currency, r.origin = currency, origin
	r.origin.Basis = "proportions of the list of " + fallbackRegion
	return r
}

// fit makes Rates of samples, most of them without accelerators.
func fit(samples []sample) *Rates {
	r := &Rates{accelerators: map[string]float64{}, models: map[model]float64{}, memory: map[string]float64{}, kin: map[string]float64{}}
	r.fitPlain(samples)
	r.fitAccelerators(samples)
	ratios := map[string][]float64{}
	for _, s := range samples {
		if fitted := r.plain(s.Type) + r.accelerated(s.Type); fitted > 0 {
			for _, of := range pricing.Kin(s.Name) {
				ratios[of] = append(ratios[of], s.perHour/fitted)
			}
		}
	}
	for of, some := range ratios {
		r.kin[of] = median(some)
	}
	return r
}

// pure are the classes whose types are mostly CPU and memory: general purpose, compute and memory. Disks and fast clocks of
// other classes would distort the rates.
var pure = map[string]bool{"m*": true, "c*": true, "r*": true}

// fitPlain finds the rates of CPU and memory with the least sum of squared relative errors, over the pure classes if they have
// enough types. The sums belong to the two normal equations of x·cpu/price + y·memory/price = 1.
func (r *Rates) fitPlain(samples []sample) {
	samples = slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { _, count := modelOf(s.Type); return count > 0 })
	some := slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return !pure[pricing.Kin(s.Name)[1]] })
	if len(some) >= fewest {
		samples = some
	}
	var cc, cm, mm, c, m float64
	for _, s := range samples {
		cpu, memory := float64(s.VCPU)/s.perHour, float64(s.MemoryBytes)/gib/s.perHour
		cc, cm, mm, c, m = cc+cpu*cpu, cm+cpu*memory, mm+memory*memory, c+cpu, m+memory
	}
	r.VCPU, r.GiB = c/cc, 0
	if det := cc*mm - cm*cm; det > 1e-9*cc*mm {
		r.VCPU, r.GiB = (c*mm-m*cm)/det, (m*cc-c*cm)/det
	}
	switch { // a rate below zero would have some types pay for being larger
	case r.GiB < 0:
		r.VCPU, r.GiB = c/cc, 0
	case r.VCPU < 0:
		r.VCPU, r.GiB = 0, m/mm
	}
}

// leastShare is the least share of its price that a type must cost beyond CPU and memory to count for an accelerator's price.
// Below it, as with the old M60 beside much memory, the rest is mostly the error of the fit.
const leastShare = 0.1

// fitAccelerators divides what types cost beyond their CPU and memory among their accelerators. The cheapest model is that
// with the lowest median.
func (r *Rates) fitAccelerators(samples []sample) {
	byModel, byMemory, cores := map[model][]float64{}, map[string][]float64{}, []float64{}
	for _, s := range samples {
		m, count := modelOf(s.Type)
		rest := s.perHour - r.plain(s.Type)
		if count == 0 || rest <= leastShare*s.perHour {
			continue
		}
		each := rest / float64(count)
		byModel[m] = append(byModel[m], each)
		if m.memoryBytes > 0 {
			byMemory[m.resource] = append(byMemory[m.resource], each*gib/float64(m.memoryBytes))
		}
		if s.NeuronCores > 0 {
			cores = append(cores, rest/float64(s.NeuronCores))
		}
	}
	for m, each := range byModel {
		rate := median(each)
		r.models[m] = rate
		if cheapest, ok := r.accelerators[m.resource]; !m.fraction && (!ok || rate < cheapest) {
			r.accelerators[m.resource] = rate
		}
	}
	for resource, perGiB := range byMemory {
		r.memory[resource] = median(perGiB)
	}
	if len(cores) > 0 {
		r.accelerators[instancetypes.ResourceNeuronCore] = median(cores)
	}
}

// spotRatio is the median over the samples, the book's own assumption where not one has a spot price.
func spotRatio(p Prices, samples []sample) float64 {
	var ratios []float64
	for _, s := range samples {
		if spot, ok := p.Spot(s.Name, nil); ok && spot.Amount.PerHour > 0 {
			ratios = append(ratios, spot.Amount.PerHour/s.perHour)
		}
	}
	if len(ratios) == 0 {
		return pricing.DefaultSpotRatio
	}
	return math.Min(1, median(ratios))
}

// median returns the median of at least one value and reorders them.
func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// wholeOf is the resource of whole accelerators that the slices published under a resource are cut from.
func wholeOf(resource string) string {
	for _, whole := range []string{instancetypes.ResourceNVIDIA, instancetypes.ResourceAMD, instancetypes.ResourceGaudi} {
		vendor, _, _ := strings.Cut(whole, "/")
		if strings.HasPrefix(resource, vendor+"/") {
			return whole
		}
	}
	return resource
}
