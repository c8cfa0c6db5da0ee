package group

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// CapacityType is how the group's next instances are bought: awsmessage.OnDemand or Spot, or "" where its policy mixes both or that is not
// known.
func (g *Group) CapacityType() string { return g.Source.CapacityType(g.LaunchSpec) }

// Pools are where the group may launch in the zones. Unknown types make one pool without a type for each zone.
func (g *Group) Pools(zones ...string) []cooldown.Pool {
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
func (g *Group) Complete(m awsmessage.Meaning) awsmessage.Meaning {
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
