// Package groupprice tells what an Auto Scaling group costs per hour: its next instances, and those it has.
//
// What comes next follows the group's policy. Its on-demand base is filled first, above it the on-demand percentage, fractions
// in favour of on-demand, as AWS keeps it. Which instance type comes follows the allocation strategy where that decides it.
// Where AWS alone knows, as with the capacity of spot pools, the figure is an estimate that says what it was made from.
// A type without a price is estimated from similar ones. How much of a Cost is estimated can be told.
//
// It is pure: no I/O, no goroutine, and a Pricer is safe for any number of readers.
package groupprice

import (
	"sync"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/rates"
)

// prices are those of one region, in one currency.
type prices interface {
	OnDemand(instanceType string) (pricing.Price, bool)
	Spot(instanceType string, zones []string) (pricing.Price, bool)
	Currency() pricing.Currency
}

// Pricer prices groups by what the prices and the catalogue said when it was made, as far as they are immutable.
type Pricer struct {
	prices    prices
	catalogue *instancetypes.Catalogue
	rates     func() *rates.Rates
}

// New makes a Pricer. Prices of similar types are fitted when the first is needed.
func New(p prices, catalogue *instancetypes.Catalogue) *Pricer {
	return &Pricer{prices: p, catalogue: catalogue,
		rates: sync.OnceValue(func() *rates.Rates { return rates.Fit(p, catalogue) })}
}

// Rates are what CPU, memory and accelerators cost by the same prices.
func (p *Pricer) Rates() *rates.Rates { return p.rates() }

// Cost is what some instances of a group cost per hour.
type Cost struct {
	Amount    pricing.Amount // of all parts
	Estimated pricing.Amount // how much of it is estimated
	Parts     []Part
}

// Part is what instances of one kind have in a Cost.
type Part struct {
	CapacityType string // OnDemand or Spot
	Instances    int
	// Price is that of one instance. Where it is not known which type comes, it names none.
	Price pricing.Price
}

// add enters count instances at a price.
func (c *Cost) add(capacityType string, count int, price pricing.Price) {
	if count <= 0 {
		return
	}
	c.Parts = append(c.Parts, Part{CapacityType: capacityType, Instances: count, Price: price})
	c.plus(price.Amount.Times(count), price.Exact())
}

// plus adds an amount, which must be of the currency of those before.
func (c *Cost) plus(a pricing.Amount, exact bool) {
	c.Amount = pricing.Amount{PerHour: c.Amount.PerHour + a.PerHour, Currency: a.Currency}
	if c.Estimated.Currency = a.Currency; !exact {
		c.Estimated.PerHour += a.PerHour
	}
}

// price is that of one instance of a type; it is not ok only for a type of which nothing is known.
func (p *Pricer) price(name, capacityType string, zones []string) (pricing.Price, bool) {
	if capacityType == awsmessage.Spot {
		if price, ok := p.prices.Spot(name, zones); ok {
			return price, true
		}
	} else if price, ok := p.prices.OnDemand(name); ok {
		return price, true
	}
	facts, ok := p.catalogue.Lookup(name)
	if !ok {
		return pricing.Price{}, false
	}
	return p.estimate(p.rates().Type(facts), capacityType), true
}

// estimate turns an estimated on-demand price into one of the capacity type.
func (p *Pricer) estimate(price pricing.Price, capacityType string) pricing.Price {
	if capacityType == awsmessage.Spot {
		price.Amount.PerHour *= p.rates().SpotRatio()
		price.Basis = "spot by ratio of " + price.Basis
	}
	return price
}

// Resources are what one node has where its instance type is unknown.
type Resources struct {
	CPUMillis    int64
	MemoryBytes  int64
	Accelerators map[string]int64 // by the resource they are published under
}

// NextOfUnknownType is what the next n instances of g cost if each has these resources, all of it an estimate.
func (p *Pricer) NextOfUnknownType(g *asg.Group, n int, r Resources) Cost {
	price := p.rates().Resources(r.CPUMillis, r.MemoryBytes, r.Accelerators)
	var c Cost
	onDemand, spot := split(g, max(0, n)*g.Source.MinWeight())
	c.add(awsmessage.OnDemand, ceilDiv(onDemand, g.Source.MinWeight()), price)
	c.add(awsmessage.Spot, ceilDiv(spot, g.Source.MinWeight()), p.estimate(price, awsmessage.Spot))
	return c
}
