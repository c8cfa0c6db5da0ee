package groupprice

import (
	"cmp"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Present returns the cost of g's instances, without Parts, for each capacity type that g can launch, zero where it has no
// instance. An instance counts until it is terminating, and while AWS retains it. AWS's list of a group's instances has no capacity types. Where the
// policy allows both, each instance counts for both by the policy's shares, and unless all instances are alike, the result is
// an estimate, as it is where instances of unknown types are left out.
func (p *Pricer) Present(g *group.Group) map[string]Cost {
	ends := func(i group.Instance) bool { return i.Lifecycle.Leaving() && !i.Lifecycle.Retained() }
	running := slices.DeleteFunc(slices.Clone(g.Instances), ends)
	units := 0
	for _, i := range running {
		units += i.Weight
	}
	costs := map[string]Cost{}
	for capacityType, share := range shares(g, units) {
		var c Cost
		c.plus(pricing.Amount{Currency: p.prices.Currency()}, true)
		alike, first := true, 0.0
		for at, i := range running {
			price, ok := p.of(g, capacityType, []string{i.Zone})(i.Type)
			if !ok {
				c.Unpriced, c.Amount.Estimated = c.Unpriced+1, true
				continue
			}
			price.Amount.PerHour *= share
			if at == 0 {
				first = price.Amount.PerHour
			}
			alike = alike && i.Type == running[0].Type && price.Amount.PerHour == first
			c.plus(price.Amount, share == 0 || price.Exact())
		}
		if share > 0 && share < 1 && !alike { // AWS does not list which instances are spot
			c.Amount.Estimated, c.Estimated.PerHour = true, c.Amount.PerHour
		}
		costs[capacityType] = c
	}
	return costs
}

// Instance returns the cost of one instance of g, of a mixed group by the policy's shares. It is zero without a price.
func (p *Pricer) Instance(g *group.Group, i *group.Instance) (cost pricing.Amount) {
	for capacityType, share := range shares(g, g.DesiredCapacity) {
		price, known := p.of(g, capacityType, []string{i.Zone})(i.Type)
		if share > 0 && !known {
			return pricing.Amount{}
		}
		price.Amount.PerHour *= share
		price.Amount.Estimated = share > 0 && (!price.Exact() || share < 1)
		cost = cost.Plus(price.Amount)
	}
	return cost
}

// shares are how much of the capacity the policy keeps of each capacity type that the group can launch, together 1.
func shares(g *group.Group, units int) map[string]float64 {
	if !g.Source.Mixed {
		return map[string]float64{cmp.Or(g.CapacityType(), awsmessage.OnDemand): 1}
	}
	s, list := g.Source, map[string]float64{}
	onDemand := 0.0
	if units > 0 {
		onDemand = float64(onDemandUnits(s, units)) / float64(units)
	}
	if onDemand > 0 || s.OnDemandBase > 0 || s.OnDemandPercentageAboveBase > 0 {
		list[awsmessage.OnDemand] = onDemand
	}
	if s.OnDemandPercentageAboveBase < 100 {
		list[awsmessage.Spot] = 1 - onDemand
	}
	return list
}

// Committed returns the cost of g's instances that are Present or asked for. An instance that was asked for counts as the next one, and so does a present
// one without a price. It is not ok where such instances have no price, and count for nothing.
func (p *Pricer) Committed(g *group.Group, present map[string]Cost) (cost pricing.Amount, ok bool) {
	unpriced := 0
	for _, c := range present {
		cost, unpriced = cost.Plus(c.Amount), max(unpriced, c.Unpriced)
	}
	counted := *g
	counted.DesiredCapacity = g.CountedCapacity()
	missing := unpriced + max(0, g.Missing()-g.FailedInstances())
	if missing == 0 {
		return cost, true
	}
	next, ok := p.Next(&counted, missing)
	cost = cost.Plus(next.Amount)
	cost.Estimated = cost.Estimated || !ok
	return cost, ok
}
