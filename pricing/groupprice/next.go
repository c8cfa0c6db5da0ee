package groupprice

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Allocation strategies (EC2 Auto Scaling API reference, InstancesDistribution, read 2026-11).
const (
	lowestPrice            = "lowest-price"
	prioritized            = "prioritized"
	priceCapacityOptimized = "price-capacity-optimized"
	inOrderOfCapacity      = "capacity-optimized-prioritized"
	defaultSpotPools       = 2
)

// Next returns the cost of the instances that come if the desired capacity grows by n nodes of the least weight. With weights, AWS may
// launch fewer and larger instances. It is not ok where the group's instance types are unknown. n below 1 costs nothing.
func (p *Pricer) Next(g *group.Group, n int) (c Cost, ok bool) {
	types := p.candidates(g)
	if len(types) == 0 {
		return Cost{}, false
	}
	onDemand, spot := split(g, max(0, n)*g.Source.MinWeight())
	c.plus(pricing.Amount{Currency: p.prices.Currency()}, true)
	for _, want := range []struct {
		capacityType string
		units        int
	}{{awsmessage.OnDemand, onDemand}, {awsmessage.Spot, spot}} {
		if want.units <= 0 {
			continue
		}
		choices := p.choose(g, types, want.capacityType)
		if len(choices) == 0 {
			return Cost{}, false
		}
		least := g.Source.MinWeight() // an instance is whole, so no pool gets a part of one
		parts := ceilDiv(want.units, least)
		if parts%len(choices) > 0 { // the next pool depends on its spare capacity, which only AWS knows
			choices = estimated(choices, "one of the %d cheapest pools", len(choices))
		}
		for i, choice := range choices {
			// The first pools get one part more where the division leaves a rest.
			units := min(want.units, (parts+len(choices)-1-i)/len(choices)*least)
			want.units -= units
			c.add(want.capacityType, ceilDiv(units, choice.weight), choice.price)
		}
	}
	return c, true
}

// split divides additional units. The present instances follow the policy already: AWS launches and replaces to keep it.
func split(g *group.Group, units int) (onDemand, spot int) {
	if !g.Source.Mixed {
		if g.LaunchSpec != nil && g.LaunchSpec.Spot {
			return 0, units
		}
		return units, 0
	}
	onDemand = onDemandUnits(g.Source, g.DesiredCapacity+units) - onDemandUnits(g.Source, g.DesiredCapacity)
	return onDemand, units - onDemand
}

// onDemandUnits is everything up to the base, and the percentage above it, with fractions in favour of on-demand.
func onDemandUnits(s launchspec.Source, capacity int) int {
	capacity = max(0, capacity)
	above := max(0, capacity-max(0, s.OnDemandBase))
	return capacity - above + ceilDiv(above*min(max(s.OnDemandPercentageAboveBase, 0), 100), 100)
}

type candidate struct {
	name   string
	weight int // units of desired capacity
	search *ec2types.InstanceRequirementsRequest
}

type choice struct {
	candidate
	price pricing.Price
}

func (c choice) perUnit() float64 { return c.price.Amount.PerHour / float64(c.weight) }

// listed is perUnit as AWS compares it: AWS knows no discount.
func (c choice) listed() float64 { return c.perUnit() / (1 - c.price.Discount) }

// candidates are the types that g can launch: those its image runs on, unless that leaves none. While its launch template
// is unread, they are the types of its instances.
func (p *Pricer) candidates(g *group.Group) []candidate {
	spec := g.LaunchSpec
	if spec == nil {
		spec = &launchspec.LaunchSpec{}
		for _, i := range g.Instances {
			spec.Types = append(spec.Types, launchspec.Type{Name: i.Type, Weight: i.Weight})
		}
	}
	var all, fit []candidate
	for _, t := range spec.Types {
		c := candidate{name: t.Name, weight: max(1, t.Weight), search: t.Search}
		if units, known := g.Source.WeightOf(t.Name, p.catalogue); known && g.Source.CountsHardware() {
			c.weight = units
		}
		all = append(all, c)
		if p.runs(cmp.Or(t.Image, spec.Image), t.Name) {
			fit = append(fit, c)
		}
	}
	if len(fit) > 0 {
		return fit
	}
	return all
}

// runs reports whether the image, as far as it is known, runs on the type, as far as that is known.
func (p *Pricer) runs(image *launchspec.Image, name string) bool {
	facts, known := p.catalogue.Lookup(name)
	ofEC2 := map[string]string{instancetypes.ArchitectureAMD64: "x86_64", instancetypes.ArchitectureARM64: "arm64"}[facts.Architecture]
	return image == nil || image.Allows(name) && (image.Architecture == "" || !known || ofEC2 == image.Architecture)
}

// choose returns the types that come by the allocation strategy for the capacity type, each for an equal share. Where that is unknown, it
// returns the most likely type or a mean, marked as an estimate. It skips types without a price, and returns none if none has one.
func (p *Pricer) choose(g *group.Group, types []candidate, capacityType string) []choice {
	priced, of := make([]choice, 0, len(types)), p.of(g, capacityType, g.Zones)
	for _, t := range types {
		if price, ok := of(t.name); ok {
			priced = append(priced, choice{candidate: t, price: price})
		}
	}
	if missing := len(types) - len(priced); missing > 0 {
		priced = estimated(priced, "without %d of %d types, whose price is unknown", missing, len(types))
	}
	if g.LaunchSpec == nil {
		priced = estimated(priced, "the dearest type of its instances")
	}
	if priced = p.affordable(g, priced, capacityType); len(priced) < 2 {
		return priced
	}
	cheapest := slices.Clone(priced)
	slices.SortStableFunc(cheapest, func(a, b choice) int { return cmp.Compare(a.listed(), b.listed()) })
	switch strategy := strategyOf(g, capacityType, priced[0].search != nil); {
	case g.LaunchSpec == nil: // so that no spend cap is exceeded
		return []choice{slices.MaxFunc(priced, func(a, b choice) int { return cmp.Compare(a.perUnit(), b.perUnit()) })}
	case strategy == prioritized:
		return priced[:1]
	case strategy == inOrderOfCapacity:
		return estimated(priced[:1], "the first of %d types: %s goes by capacity as well", len(priced), strategy)
	case strategy == priceCapacityOptimized:
		return estimated(cheapest[:1], "the cheapest of %d types: %s goes by capacity as well", len(priced), strategy)
	case strategy != lowestPrice: // capacity-optimized, and future strategies
		return []choice{meanOf(priced, strategy)}
	case capacityType == awsmessage.Spot:
		return cheapest[:min(len(priced), cmp.Or(max(0, g.Source.SpotPools), defaultSpotPools))]
	}
	return cheapest[:1]
}

// usual are the families by which AWS's price protection goes: C, M and R of a current generation.
var usual = regexp.MustCompile(`^[cmr]([5-9]|\d\d)`)

// affordable leaves out types that requirements find and that AWS does not launch, because they cost more than its price protection
// allows (EC2 Auto Scaling API reference, InstanceRequirements, read 2026-11). By default it allows 20 % above the least price on demand.
// Since 2024 AWS no longer says how much for spot. It was 100 % before. The cheapest type stays, because prices may be estimates.
func (p *Pricer) affordable(g *group.Group, priced []choice, capacityType string) []choice {
	found := map[*ec2types.InstanceRequirementsRequest][]choice{}
	for _, c := range priced {
		if c.search != nil {
			found[c.search] = append(found[c.search], c)
		}
	}
	each := func(c choice) float64 {
		if g.Source.CountsHardware() {
			return c.listed()
		}
		return c.listed() * float64(c.weight)
	}
	least := func(of []choice) float64 {
		lowest := math.Inf(1)
		for _, c := range of {
			lowest = min(lowest, each(c))
		}
		return lowest
	}
	for search, its := range found {
		compared, percent := its, 100+float64(*cmp.Or(search.OnDemandMaxPricePercentageOverLowestPrice, aws.Int32(20)))
		if capacityType == awsmessage.Spot {
			percent = 100 + float64(*cmp.Or(search.SpotMaxPricePercentageOverLowestPrice, aws.Int32(100)))
			if ofOnDemand := search.MaxSpotPriceAsPercentageOfOptimalOnDemandPrice; ofOnDemand != nil {
				compared, percent = nil, float64(*ofOnDemand)
				for _, c := range its {
					if price, ok := p.Price(c.name, awsmessage.OnDemand, nil); ok {
						compared = append(compared, choice{candidate: c.candidate, price: price})
					}
				}
			}
		}
		others := func(c choice) bool { return !usual.MatchString(c.name) }
		if few := slices.DeleteFunc(slices.Clone(compared), others); len(few) > 0 {
			compared = few
		}
		most := max(least(its), least(compared)*percent/100*(1+1e-9))
		priced = slices.DeleteFunc(priced, func(c choice) bool { return c.search == search && each(c) > most })
	}
	return priced
}

// strategyOf returns the allocation strategy, with AWS's defaults. Types that were found by requirements have no priorities.
func strategyOf(g *group.Group, capacityType string, found bool) string {
	if capacityType == awsmessage.Spot {
		return cmp.Or(g.Source.SpotStrategy, lowestPrice)
	}
	strategy := cmp.Or(g.Source.OnDemandStrategy, prioritized)
	if strategy == prioritized && found {
		return lowestPrice
	}
	return strategy
}

func estimated(choices []choice, format string, args ...any) []choice {
	for i := range choices {
		choices[i].price.Basis = joined(fmt.Sprintf(format, args...), choices[i].price.Basis)
	}
	return choices
}

func joined(basis, more string) string {
	if more == "" {
		return basis
	}
	return basis + "; " + more
}

// meanOf represents types of which any may come: their mean weight, at the mean price of a unit. There must be some.
func meanOf(priced []choice, strategy string) choice {
	weights, perUnit := 0, 0.0
	for _, c := range priced {
		weights += c.weight
		perUnit += c.perUnit()
	}
	count := len(priced)
	mean := choice{candidate: candidate{weight: max(1, weights/count)}, price: priced[0].price}
	mean.price.InstanceType = ""
	mean.price.Amount.PerHour = perUnit / float64(count) * float64(mean.weight)
	return estimated([]choice{mean}, "mean of %d types: %s goes by capacity", count, strategy)[0]
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
