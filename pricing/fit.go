package pricing

import (
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// prices are the on-demand prices of one region, in one currency.
type prices interface {
	OnDemand(instanceType string) (Price, bool)
	Currency() Currency
}

// sample is one type with its price.
type sample struct {
	instancetypes.Type
	perHour float64
}

// FitRates makes the Rates from p's prices of types in the catalogue. Without any price all rates are 0.
func FitRates(p prices, catalogue *instancetypes.Catalogue) *Rates {
	r := &Rates{currency: p.Currency(), accelerators: map[string]float64{}, perHour: map[string]float64{}}
	var samples []sample
	for _, t := range catalogue.Types() {
		price, ok := p.OnDemand(t.Name)
		if !ok || !(price.Amount.PerHour > 0) || t.VCPU <= 0 || t.MemoryBytes <= 0 {
			continue
		}
		if len(samples) == 0 {
			r.origin = price.Origin
		}
		samples = append(samples, sample{Type: t, perHour: price.Amount.PerHour})
		if class, _ := variantOf(t.Name); slices.Contains(pure, class) {
			r.perHour[t.Name] = price.Amount.PerHour
		}
	}
	r.fitPlain(samples)
	r.fitAccelerators(samples)
	r.compare(samples)
	return r
}

// pure are the classes whose types are mostly CPU and memory: general purpose, compute and memory. Disks and fast clocks of
// other classes would distort the rates.
var pure = []string{"m", "c", "r"}

// variantOf divides a type's name into its class and the rest, such as "m" and "7a.large".
func variantOf(name string) (class, variant string) {
	class = strings.TrimSuffix(Kin(name)[1], "*")
	return class, name[len(class):]
}

// fitPlain finds the rates of CPU and memory with the least sum of squared relative errors, over the pure classes. The sums
// belong to the two normal equations of x·cpu/price + y·memory/price = 1.
func (r *Rates) fitPlain(samples []sample) {
	var cc, cm, mm, c, m float64
	for _, s := range samples {
		if class, _ := variantOf(s.Name); slices.Contains(pure, class) {
			cpu, memory := float64(s.VCPU)/s.perHour, float64(s.MemoryBytes)/gib/s.perHour
			cc, cm, mm, c, m = cc+cpu*cpu, cm+cpu*memory, mm+memory*memory, c+cpu, m+memory
		}
	}
	if det := cc*mm - cm*cm; det > 1e-9*cc*mm {
		r.VCPU, r.GiB = max(0, c*mm-m*cm)/det, max(0, m*cc-c*cm)/det
	}
}

// leastShare is the least share of its price that a type must cost beyond CPU and memory to count for an accelerator's price.
// Below it, as with the old M60 beside much memory, the rest is mostly the error of the fit.
const leastShare = 0.1

// fitAccelerators divides what types cost beyond their CPU and memory among their accelerators, and keeps the cheapest whole one
// of each resource.
func (r *Rates) fitAccelerators(samples []sample) {
	type model struct{ resource, name string }
	each := map[model][]float64{}
	for _, s := range samples {
		rest := s.perHour - r.plain(s.Type)
		if rest <= leastShare*s.perHour || s.GPU.Fraction > 0 {
			continue
		}
		for _, a := range s.Accelerators() {
			m := model{a.Name, s.GPU.Name}
			each[m] = append(each[m], rest/float64(a.Count))
		}
	}
	for m, rate := range Medians(each) {
		if cheapest, ok := r.accelerators[m.resource]; !ok || rate < cheapest {
			r.accelerators[m.resource] = rate
		}
	}
}

// compare keeps what the kin cost by the fit, and the pure classes by each other.
func (r *Rates) compare(samples []sample) {
	kin, classes := map[string][]float64{}, map[[3]string][]float64{}
	for _, s := range samples {
		if fitted := r.plain(s.Type) + r.accelerated(s.Type); fitted > 0 {
			for _, of := range Kin(s.Name) {
				kin[of] = append(kin[of], s.perHour/fitted)
			}
		}
		class, variant := variantOf(s.Name)
		for _, other := range pure {
			if perHour, ok := r.perHour[other+variant]; ok && other != class && slices.Contains(pure, class) {
				for _, traits := range [...]string{traitsOf(variant), anyTraits} {
					classes[[3]string{class, other, traits}] = append(classes[[3]string{class, other, traits}], s.perHour/perHour)
				}
			}
		}
	}
	r.kin, r.classes = Medians(kin), Medians(classes)
}

const anyTraits = "*"

// traitsOf returns the letters of a variant but for the processor's: disks, network and the like, for which the classes pay
// unlike prices.
func traitsOf(variant string) string {
	generation, _, _ := strings.Cut(variant, ".")
	return strings.Trim(generation, "0123456789agi")
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
