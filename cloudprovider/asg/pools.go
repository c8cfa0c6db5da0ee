package asg

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// CapacityType is how the group's next instances are bought: awsmessage.OnDemand or Spot, or "" where its policy mixes both or that is not
// known.
func (g *Group) CapacityType() string { return g.Source.CapacityType(g.Launch) }

// pools are where the group may launch in a zone. Unknown types make one pool without a type.
func (g *Group) pools(zone string) []cooldown.Pool {
	pool := cooldown.Pool{Zone: zone, CapacityType: g.CapacityType()}
	if g.Launch == nil || len(g.Launch.Types) == 0 {
		return []cooldown.Pool{pool}
	}
	pools := make([]cooldown.Pool, 0, len(g.Launch.Types))
	for _, t := range g.Launch.Types {
		pool.InstanceType = t.Name
		pools = append(pools, pool)
	}
	return pools
}

// complete fills in what a message leaves open about a pool if the group has only one choice.
func (g *Group) complete(m awsmessage.Meaning) awsmessage.Meaning {
	if m.CapacityType == "" {
		m.CapacityType = g.CapacityType()
	}
	if m.InstanceType == "" && g.Launch != nil && len(g.Launch.Types) == 1 {
		m.InstanceType = g.Launch.Types[0].Name
	}
	if m.Zone == "" && len(g.Zones) == 1 {
		m.Zone = g.Zones[0]
	}
	return m
}
