package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// repairLost raises the desired capacity of the groups in which more arrived than our last write left room for. It leaves locked groups for the next
// time.
func (c *Cache) repairLost(ctx context.Context) {
	for _, name := range c.lostUpdates() {
		writing, unlock, ok := c.groups.tryLock(ctx, name)
		if !ok {
			continue
		}
		if err := c.repairGroup(writing, name); err != nil {
			klog.FromContext(ctx).Error(err, "Could not raise the desired capacity to the launched instances, trying again", "group", name)
		}
		unlock()
	}
}

// lostUpdates returns the groups whose desired capacity we have set too low, by their last reading.
func (c *Cache) lostUpdates() []string {
	now := c.clock.Now()
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	short := map[string]bool{}
	for name, e := range c.groups.entries {
		if _, lost := e.Lost(0); lost && e.Watched(now) {
			short[name] = true
		}
	}
	return slices.Sorted(maps.Keys(short))
}

// repairGroup reads the group and raises its desired capacity to its instances, but not to instances that AWS launched to move others. The caller has the
// group lock.
func (c *Cache) repairGroup(ctx context.Context, name string) error {
	g, err := c.Reread(ctx, name)
	if err != nil {
		return err
	}
	covering, lost, from := 0, false, time.Time{}
	c.look(name, func(e *entry) { _, lost = e.Lost(0); from = e.ExcessFrom() })
	if !lost {
		return nil
	}
	moved := c.movedSince(ctx, g, c.byAWS(from))
	if c.look(name, func(e *entry) { covering, lost = e.Lost(moved) }); lost {
		return c.repairTo(ctx, g, covering)
	}
	return nil
}

// repairTo raises the desired capacity to its floor, up to the maximum.
func (c *Cache) repairTo(ctx context.Context, g *group.Group, desired int) error {
	var least int
	c.look(g.Name, func(e *entry) { least = e.Floor() })
	if desired = min(max(desired, least), g.AWSMax); desired <= g.StatedCapacity || desired < least { // the maximum may be old
		return nil
	}
	klog.FromContext(ctx).Info("AWS launched more than our write knew of, raising the desired capacity again", "group", g.Name, "desired", desired)
	c.groups.update(g.Name, func(e *entry) { e.AttemptRepair(desired, c.clock.Now()) })
	_, err := c.setDesired(ctx, g, desired)
	after := c.groups.update(g.Name, func(e *entry) {
		if err == nil {
			e.Repaired(desired, c.clock.Now())
		} else if awsclient.IsRefused(err) {
			e.Refused()
		}
	})
	if after == nil && err == nil {
		err = notFound(g.Name)
	}
	return err
}

// repair looks for a lost update after our write. before is the group behind the decision, and written our value. If AWS has launched more for
// another writer than is desired now, it is about to terminate the excess. Then repair raises the desired capacity to the other's value, as far as
// can be seen, plus extra. An excess from before the write stays, and a later write of somebody else stays theirs.
func (c *Cache) repair(ctx context.Context, before *group.Group, excess, written, extra int) error {
	g, err := c.Reread(ctx, before.Name)
	if err != nil {
		return err
	}
	ended := g.EndedSince(before)
	there := g.CountedCapacity() + ended - excess
	if there-written < g.Lightest() || g.StatedCapacity != written { // AWS may have launched a heavy instance for our own write
		return nil
	}
	if there -= c.replacements(ctx, g, before, ended); there-written < g.Lightest() {
		return nil
	}
	return c.repairTo(ctx, g, there+extra)
}
