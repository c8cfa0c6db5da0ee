package pricing

import (
	"maps"
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
	accelerators map[string]float64 // the cheapest whole one, by the resource it is published under
	kin          map[string]float64 // prices relative to the rates, by alike
}

// prices are the on-demand prices of one region, in one currency.
type prices interface {
	OnDemand(instanceType string) (Price, bool)
	Currency() Currency
}

type sample struct {
	instancetypes.Type
	perHour float64
}

// FitRates makes the Rates from p's prices of types in the catalogue, before discounts. Without any price all rates are 0.
func FitRates(p prices, catalogue *instancetypes.Catalogue) *Rates {
	r := &Rates{currency: p.Currency(), accelerators: map[string]float64{}}
	var samples []sample
	for _, t := range catalogue.Types() {
		price, ok := p.OnDemand(t.Name)
		if !ok || !(price.Amount.PerHour > 0) || t.VCPU <= 0 || t.MemoryBytes <= 0 {
			continue
		}
		if len(samples) == 0 {
			r.origin = price.Origin
		}
		samples = append(samples, sample{Type: t, perHour: price.Amount.PerHour / (1 - price.Discount)})
	}
	r.fitPlain(samples)
	r.fitAccelerators(samples)
	kin := map[string][]float64{}
	for _, s := range samples {
		if fitted := r.fitted(s.Type); fitted > 0 {
			for _, of := range alike(s.Name) {
				kin[of] = append(kin[of], s.perHour/fitted)
			}
		}
	}
	r.kin = Medians(kin)
	return r
}

// pure are the classes whose types are mostly CPU and memory: general purpose, compute and memory. Disks and fast clocks of
// other classes would distort the rates.
var pure = []string{"m*", "c*", "r*"}

// alike is Kin with the families of one generation and processor in the pure classes, such as "*7a", behind the family itself.
func alike(instanceType string) []string {
	kin := Kin(instanceType)
	if !slices.Contains(pure, kin[1]) {
		return kin[:]
	}
	return slices.Insert(kin[:], 1, "*"+kin[0][1:])
}

// fitPlain finds the rates of CPU and memory with the least sum of squared relative errors, over the pure classes. The sums
// belong to the two normal equations of x·cpu/price + y·memory/price = 1.
func (r *Rates) fitPlain(samples []sample) {
	var cc, cm, mm, c, m float64
	for _, s := range samples {
		if slices.Contains(pure, Kin(s.Name)[1]) {
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

// fitAccelerators divides what types cost beyond CPU and memory among their accelerators, and keeps each resource's cheapest whole one.
func (r *Rates) fitAccelerators(samples []sample) {
	type model struct{ resource, name string }
	each := map[model][]float64{}
	for _, s := range samples {
		rest := s.perHour - r.fitted(s.Type)
		if rest <= leastShare*s.perHour || s.GPU.Fraction > 0 {
			continue
		}
		for resource, count := range s.Accelerators() {
			m := model{resource, s.GPU.Name}
			each[m] = append(each[m], rest/float64(count))
		}
	}
	for m, rate := range Medians(each) {
		if cheapest, ok := r.accelerators[m.resource]; !ok || rate < cheapest {
			r.accelerators[m.resource] = rate
		}
	}
}

// fitted prices CPU, memory and accelerators by the rates, each accelerator as the cheapest of its resource.
func (r *Rates) fitted(t instancetypes.Type) float64 {
	resource, count := t.Accelerator()
	return r.VCPU*float64(t.VCPU) + r.GiB*float64(t.MemoryBytes)/gib + r.accelerators[resource]*float64(count)
}

// Type is not ok without any price to go by, or where nothing is known of the type's accelerators.
func (r *Rates) Type(t instancetypes.Type) (price Price, ok bool) {
	kin := alike(t.Name)
	if factor, known := r.kin[kin[0]]; known {
		return r.price(t.Name, r.fitted(t)*factor, "what the other "+kin[0]+" types cost"), true
	}
	if resource, count := t.Accelerator(); count > 0 && r.accelerators[resource] == 0 {
		return Price{}, false
	}
	for _, of := range kin[1:] {
		if factor, known := r.kin[of]; known {
			return r.price(t.Name, r.fitted(t)*factor, "what similar types cost"), true
		}
	}
	return Price{}, false
}

// Resources estimates the price of CPU, memory and accelerators, the latter by resource name.
func (r *Rates) Resources(cpuMillis, memoryBytes int64, accelerators map[string]int64) Price {
	perHour := r.VCPU*float64(max(0, cpuMillis))/1000 + r.GiB*float64(max(0, memoryBytes))/gib
	dearest := 0.0 // one device under two names is paid for once
	for name, count := range accelerators {
		dearest = max(dearest, r.Accelerator(name)*float64(max(0, count)))
	}
	return r.price("", perHour+dearest, "what its CPU, memory and accelerators cost in similar types")
}

// Accelerator returns the hourly price of the cheapest accelerator published under the resource. An unknown one, such as a slice, costs
// as much as the cheapest of all: a pod that asks for it needs a dear node.
func (r *Rates) Accelerator(resource string) float64 {
	if rate, ok := r.accelerators[resource]; ok {
		return rate
	}
	if len(r.accelerators) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Values(r.accelerators)))
}

func (r *Rates) price(name string, perHour float64, basis string) Price {
	origin := r.origin
	origin.Basis, origin.Own = basis, false
	return Price{InstanceType: name, Amount: Amount{PerHour: perHour, Currency: r.currency}, Origin: origin}
}
