package asg

import (
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// CapacityType is how the group's next instances are bought: awsmessage.OnDemand or Spot, or "" where its policy mixes both or that is not
// known.
func (g *Group) CapacityType() string { return g.Source.CapacityType(g.LaunchSpec) }

// pools are where the group may launch in the zones. Unknown types make one pool without a type for each zone.
func (g *Group) pools(zones ...string) []cooldown.Pool {
	types := []launchspec.Type{{}}
	if g.LaunchSpec != nil && len(g.LaunchSpec.Types) > 0 {
		types = g.LaunchSpec.Types
	}
	capacityType := g.CapacityType()
	pools := make([]cooldown.Pool, 0, len(zones)*len(types))
	for _, zone := range zones {
		for _, t := range types {
			pools = append(pools, cooldown.Pool{InstanceType: t.Name, Zone: zone, CapacityType: capacityType})
		}
	}
	return pools
}

// complete fills in what a message leaves open about a pool if the group has only one choice.
func (g *Group) complete(m awsmessage.Meaning) awsmessage.Meaning {
	if m.CapacityType == "" {
		m.CapacityType = g.CapacityType()
	}
	if m.InstanceType == "" && g.LaunchSpec != nil && len(g.LaunchSpec.Types) == 1 {
		m.InstanceType = g.LaunchSpec.Types[0].Name
	}
	if m.Zone == "" && len(g.Zones) == 1 {
		m.Zone = g.Zones[0]
	}
	return m
}

// availability knows in which zones and pools the groups can launch now. It makes no call and is safe for concurrent use.
type availability struct {
	failed      *cooldown.List // pools in which launches failed
	interrupted *cooldown.List // pools that EC2 took spot instances back from
	shifts      *cooldown.Shifts
}

// inZone returns why nothing can be launched in a zone of the group now: a zonal shift, or the cool-down of its pools.
func (a availability) inZone(g *Group, zone string) (cooldown.Period, bool) {
	if p, shifted := a.shifted(g, zone); shifted {
		return p, true
	}
	return a.failed.All(g.Name, g.pools(zone))
}

func (a availability) shifted(g *Group, zone string) (cooldown.Period, bool) {
	if !g.ZonalShift {
		return cooldown.Period{}, false
	}
	return a.shifts.InZone(g.Name, g.arn, zone)
}

// inAllZones returns the first cool-down to end if no zone of the group is available, or not the one that is named.
func (a availability) inAllZones(g *Group, named string) (cooldown.Period, bool) {
	zones := slices.DeleteFunc(slices.Clone(g.Zones), func(zone string) bool { return named != "" && zone != named })
	return cooldown.FirstToEnd(zones, func(zone string) (cooldown.Period, bool) { return a.inZone(g, zone) })
}

// interruptedIn reports whether EC2 has lately interrupted instances in all pools of the group in the zones.
func (a availability) interruptedIn(g *Group, zones ...string) bool {
	if g.CapacityType() == awsmessage.OnDemand {
		return false
	}
	_, all := a.interrupted.All(g.Name, g.pools(zones...))
	return all
}

// leastInterrupted returns the zones without recent interruptions, or all zones where each has some.
func (a availability) leastInterrupted(g *Group, zones []string) []string {
	quiet := slices.DeleteFunc(slices.Clone(zones), func(zone string) bool { return a.interruptedIn(g, zone) })
	if len(quiet) == 0 {
		return zones
	}
	return quiet
}
