package asg

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// availability knows in which zones and pools the groups can launch now. It makes no call and is safe for concurrent use.
type availability struct {
	failed      *cooldown.List // pools in which launches failed
	interrupted *cooldown.List // pools that EC2 took spot instances back from
	shifts      *cooldown.Shifts
	cluster     func() string // our name, "" while it is not known
}

// inZone returns why nothing can be launched in a zone of the group now: a zonal shift, or the cool-down of its pools.
func (a availability) inZone(g *group.Group, zone string) (cooldown.Period, bool) {
	if p, shifted := a.shifted(g, zone); shifted {
		return p, true
	}
	return a.failed.All(g.Name, g.Pools(zone))
}

func (a availability) shifted(g *group.Group, zone string) (cooldown.Period, bool) {
	if a.shifts.Known().Empty() { // as mostly, and each loop asks for each node
		return cooldown.Period{}, false
	}
	return a.shifts.InZone(g.Name, zone, a.shiftedBy(g))
}

// shiftedBy returns the ARNs whose zonal shifts concern the group: its own if its policy enables them, its cluster's if that may be of EKS.
func (a availability) shiftedBy(g *group.Group) (arns []string) {
	if g.ZonalShift {
		arns = append(arns, g.ARN)
	}
	name := cmp.Or(ownership.States(g), a.cluster())
	of, err := arn.Parse(g.ARN)
	if err != nil || name == "" || strings.Contains(name, ".") { // no name of EKS has a dot, and each of kOps has
		return arns
	}
	of.Service, of.Resource = "eks", "cluster/"+name
	return append(arns, of.String())
}

// inAllZones returns the first cool-down to end if no zone of the group is available, or not the one that is named.
func (a availability) inAllZones(g *group.Group, named string) (cooldown.Period, bool) {
	zones := slices.DeleteFunc(slices.Clone(g.Zones), func(zone string) bool { return named != "" && zone != named })
	return cooldown.FirstToEnd(zones, func(zone string) (cooldown.Period, bool) { return a.inZone(g, zone) })
}

// Refused returns the first cool-down to end if each pool of the group has one, or had one not long ago and has brought nothing since.
func (c *Cache) Refused(g *group.Group) (cooldown.Period, bool) {
	return cooldown.FirstToEnd(g.Pools(g.Zones...), func(p cooldown.Pool) (cooldown.Period, bool) {
		return c.available.failed.Latest(g.Name, []cooldown.Pool{p})
	})
}

// interruptedIn reports whether EC2 has lately interrupted instances in all pools of the group in the zones.
func (a availability) interruptedIn(g *group.Group, zones ...string) bool {
	if g.CapacityType() == awsmessage.OnDemand {
		return false
	}
	_, all := a.interrupted.All(g.Name, g.Pools(zones...))
	return all
}
