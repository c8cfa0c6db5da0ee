package spotprice

import (
	"maps"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// InUse returns the types, sorted, of future launches and present instances of the groups that may launch spot instances. It returns
// the zones of all groups, because a zone that comes into use waits for the next reading of each type.
func InUse(groups []*group.Group) Pools {
	types, zones := map[string]bool{}, map[string]bool{}
	for _, g := range groups {
		for _, zone := range g.Zones {
			zones[zone] = true
		}
		if g.LaunchSpec == nil || g.CapacityType() == awsmessage.OnDemand {
			continue
		}
		for _, t := range g.LaunchSpec.Types {
			types[t.Name] = true
		}
		for _, i := range g.Instances {
			types[i.Type], zones[i.Zone] = true, true
		}
	}
	delete(types, "")
	delete(zones, "")
	return Pools{Types: slices.Sorted(maps.Keys(types)), Zones: slices.Sorted(maps.Keys(zones))}
}
