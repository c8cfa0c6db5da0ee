package asg

import (
	"context"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// Interrupted remembers that EC2 takes a spot instance back from the pool: for as long as after a launch that failed there, other
// pools come first. It is no more than a preference: where there is no other, the pool is tried all the same. Safe for concurrent
// use.
func (c *Cache) Interrupted(pool Pool, message string) {
	if pool.InstanceType == "" || pool.Zone == "" {
		return // of which pool, is not known
	}
	pool.CapacityType = awsmessage.Spot
	c.lost.fail("", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: pool.InstanceType, Zone: pool.Zone,
		CapacityType: pool.CapacityType}, message)
}

// WasInterrupted reports whether the group would launch where EC2 took instances back a moment ago, in all of its zones: in one
// pool, where it has only one type, or else in all of them. It makes no call and is safe for concurrent use.
func (c *Cache) WasInterrupted(g *Group) bool {
	return len(g.Zones) > 0 && !slices.ContainsFunc(g.Zones, func(zone string) bool { return !c.interruptedIn(g, zone) })
}

func (c *Cache) interruptedIn(g *Group, zone string) bool {
	if g.CapacityType() == awsmessage.OnDemand {
		return false
	}
	_, all := c.lost.closed(g, zone)
	return all
}

// leastInterrupted are those of the zones in which EC2 has not taken the group's pools back, or all where it has in each.
func (c *Cache) leastInterrupted(g *Group, zones []string) []string {
	calm := slices.DeleteFunc(slices.Clone(zones), func(zone string) bool { return c.interruptedIn(g, zone) })
	if len(calm) == 0 {
		return zones
	}
	return calm
}

// Reread reads the group now and publishes it, by one call. The error is ErrGroupNotFound or that of the reading.
func (c *Cache) Reread(ctx context.Context, name string) (*Group, error) { return c.readOne(ctx, name) }

// LaunchFailed has the group's failed launches read now, and not when their next look is due. Looks stay firstLook apart, however often it
// is called. It makes no call and is safe for concurrent use.
func (c *Cache) LaunchFailed(name string) {
	c.mu.Lock()
	if e := c.entries[name]; e != nil {
		if soonest := e.look.at.Add(firstLook); soonest.Before(e.look.due) {
			e.look.due = soonest
		}
	}
	c.mu.Unlock()
	signal(c.failures)
}
