package groupprice

import (
	"regexp"
	"slices"
	"sync"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Pricer prices groups by the prices and the catalogue at its creation, as far as they are immutable.
type Pricer struct {
	prices    *pricing.Book
	catalogue *instancetypes.Catalogue
	rates     func() *pricing.Rates
}

// New makes a Pricer. Prices of similar types are fitted when the first is needed.
func New(prices *pricing.Book, catalogue *instancetypes.Catalogue) *Pricer {
	return &Pricer{prices: prices, catalogue: catalogue,
		rates: sync.OnceValue(func() *pricing.Rates { return pricing.FitRates(prices, catalogue) })}
}

type Cost struct {
	Amount    pricing.Amount // of all parts
	Estimated pricing.Amount // how much of it is estimated
	Unpriced  int            // instances without a known price, which the amount leaves out
	Parts     []Part
}

type Part struct {
	CapacityType string // OnDemand or Spot
	Instances    int
	// Price is the price of one instance. It names no type where the type is unknown.
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
	c.Amount = pricing.Amount{PerHour: c.Amount.PerHour + a.PerHour, Currency: a.Currency, Estimated: c.Amount.Estimated || !exact}
	if c.Estimated.Currency = a.Currency; !exact {
		c.Estimated.PerHour += a.PerHour
	}
}

// Price returns the price of one instance of a type. It is not ok for an unknown type.
func (p *Pricer) Price(name, capacityType string, zones []string) (pricing.Price, bool) {
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
	price, ok := p.rates().Type(facts)
	return p.estimate(price, capacityType), ok
}

// of returns Price for instances of g, by type. It is an estimate where the price is of something else than g pays for, unless the user
// states it.
func (p *Pricer) of(g *group.Group, capacityType string, zones []string) func(name string) (pricing.Price, bool) {
	elsewhere := ""
	for _, extra := range g.LaunchSpec.Unlisted() {
		elsewhere = joined("Linux on shared hardware, without "+extra, elsewhere)
	}
	onDemand := capacityType != awsmessage.Spot
	if onDemand && slices.ContainsFunc(zones, local.MatchString) {
		elsewhere = joined("the region, for a Local Zone or Wavelength Zone", elsewhere)
	}
	if onDemand && g.PaidAhead() {
		elsewhere = joined("on-demand, for a group that uses reserved capacity", elsewhere)
	}
	return func(name string) (pricing.Price, bool) {
		price, ok := p.Price(name, capacityType, zones)
		if ok && !price.Own && elsewhere != "" {
			price.Basis = joined(elsewhere, price.Basis)
		}
		return price, ok
	}
}

// local are Local Zones (us-west-2-lax-1a) and Wavelength Zones (us-east-1-wl1-bos-wlz-1). A zone with the region's prices is called like the region,
// with a letter.
var local = regexp.MustCompile(`^[a-z]+(-[a-z]+)+-\d+-`)

// estimate turns an estimated on-demand price into one of the capacity type.
func (p *Pricer) estimate(price pricing.Price, capacityType string) pricing.Price {
	if capacityType == awsmessage.Spot {
		price.Amount.PerHour *= p.prices.SpotRatio()
		price.Basis = "spot by ratio of " + price.Basis
		return price
	}
	price.Discount = p.prices.Discount(price.InstanceType)
	price.Amount.PerHour *= 1 - price.Discount
	return price
}

type Resources struct {
	CPUMillis    int64
	MemoryBytes  int64
	Accelerators map[string]int64 // by the resource they are published under
}

// OfResources estimates the on-demand price of a node with these resources.
func (p *Pricer) OfResources(r Resources) pricing.Price {
	return p.estimate(p.rates().Resources(r.CPUMillis, r.MemoryBytes, r.Accelerators), awsmessage.OnDemand)
}

// NextOfUnknownType estimates the cost of the next n instances of g by an instance type that it has now, or else by their resources.
func (p *Pricer) NextOfUnknownType(g *group.Group, n int, now string, r Resources) (c Cost) {
	add := func(capacityType string, units int) {
		price, ok := p.of(g, capacityType, g.Zones)(now)
		if price.Basis = joined("the type of its node", price.Basis); !ok {
			price = p.estimate(p.rates().Resources(r.CPUMillis, r.MemoryBytes, r.Accelerators), capacityType)
		}
		c.add(capacityType, ceilDiv(units, g.Source.MinWeight()), price)
	}
	onDemand, spot := split(g, max(0, n)*g.Source.MinWeight())
	add(awsmessage.OnDemand, onDemand)
	add(awsmessage.Spot, spot)
	return c
}
