package asg

import (
	"slices"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// availability knows in which zones and pools the groups can launch now. It makes no call and is safe for concurrent use.
type availability struct {
	failed      *cooldown.List // pools in which launches failed
	interrupted *cooldown.List // pools that EC2 took spot instances back from
	shifts      *cooldown.Shifts
}

func newAvailability(c clock.PassiveClock, apis cooldown.ShiftAPIs) availability {
	return availability{failed: cooldown.NewList(c), interrupted: cooldown.NewList(c), shifts: cooldown.NewShifts(apis, c)}
}

// inZone returns why nothing can be launched in a zone of the group now: a zonal shift, or the cool-down of its pools.
func (a availability) inZone(g *Group, zone string) (cooldown.Period, bool) {
	if g.ZonalShift {
		if p, shifted := a.shifts.InZone(g.Name, g.arn, zone); shifted {
			return p, true
		}
	}
	return a.failed.All(g.Name, g.pools(zone))
}

// inAllZones returns the first cool-down to end if no zone of the group is available, or not the one that is named.
func (a availability) inAllZones(g *Group, named string) (cooldown.Period, bool) {
	var first cooldown.Period
	for _, zone := range g.Zones {
		if named != "" && zone != named {
			continue
		}
		p, unavailable := a.inZone(g, zone)
		if !unavailable {
			return cooldown.Period{}, false
		}
		if first.Until.IsZero() || p.Until.Before(first.Until) {
			first = p
		}
	}
	return first, !first.Until.IsZero()
}

// interruptedIn reports whether EC2 has lately interrupted instances in all pools of the group in the zone.
func (a availability) interruptedIn(g *Group, zone string) bool {
	if g.CapacityType() == awsmessage.OnDemand {
		return false
	}
	_, all := a.interrupted.All(g.Name, g.pools(zone))
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

// Resting returns the first cool-down to end if no zone of the group is available. It makes no call and is safe for concurrent use.
func (c *Cache) Resting(g *Group) (cooldown.Period, bool) { return c.available.inAllZones(g, "") }

// Shifted reports whether a zonal shift keeps launches out of the group's zone. It makes no call and is safe for concurrent use.
func (c *Cache) Shifted(g *Group, zone string) bool {
	p, unavailable := c.available.inZone(g, zone)
	return unavailable && p.Class == cooldown.ZonalShift
}

// Trouble returns the latest failure to launch in any pool of the group, during its cool-down and for as long after it. Nothing has come
// from the pool since. Other pools of the group may work. It makes no call and is safe for concurrent use.
func (c *Cache) Trouble(g *Group) (cooldown.Period, bool) {
	var pools []cooldown.Pool
	for _, zone := range g.Zones {
		pools = append(pools, g.pools(zone)...)
	}
	return c.available.failed.Latest(g.Name, pools)
}

// Interrupted remembers for the length of a cool-down that EC2 takes a spot instance back from the pool. Other pools come first meanwhile.
// A group without another pool is still launched there. Safe for concurrent use.
func (c *Cache) Interrupted(pool cooldown.Pool, message string) {
	if pool.InstanceType == "" || pool.Zone == "" {
		return // the pool is not known
	}
	c.available.interrupted.Fail("", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: pool.InstanceType, Zone: pool.Zone,
		CapacityType: awsmessage.Spot}, message)
}

// WasInterrupted reports whether EC2 has lately interrupted instances in all pools and zones where the group would launch. It makes no
// call and is safe for concurrent use.
func (c *Cache) WasInterrupted(g *Group) bool {
	return len(g.Zones) > 0 && !slices.ContainsFunc(g.Zones, func(zone string) bool { return !c.available.interruptedIn(g, zone) })
}
