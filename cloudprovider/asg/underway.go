package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// StartIncrease books n more instances, or as many as the maximum leaves room for, and returns. A named zone gets all of them, as in IncreaseZones.
// AWS is asked by a goroutine, which Run awaits. Until AWS has answered, the instances count as missing in the Snapshot. A failure shows as
// a FailedIncrease, and Changed reports every end. Increases of a group that come while AWS is being asked for others wait for that answer, and
// are made together. It makes no call and waits for no lock of a group. The error is ErrGroupNotFound, a *LimitError, or wraps ErrNotZonal.
func (c *Cache) StartIncrease(ctx context.Context, name, zone string, n int) error {
	e, err := c.groups.beginWrite(name)
	if err != nil {
		return fmt.Errorf("auto scaling group %q: %w", name, err)
	}
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	g := e.Shown()
	if n, err = c.allowed(ctx, g, zone, n, g.Room()); err != nil {
		c.groups.writes.Done()
		return err
	}
	e.Book(zone, n)
	c.groups.publish()
	if e.increasing != nil {
		c.groups.writes.Done()
		return nil // the goroutine sees to it
	}
	e.increasing = make(chan struct{})
	go c.makeIncreases(ctx, name, e)
	return nil
}

func (c *Cache) makeIncreases(ctx context.Context, name string, e *entry) {
	defer c.groups.writes.Done()
	for {
		wanted := c.nextIncrease(ctx, name, e)
		if wanted == nil {
			return
		}
		errs := map[string]error{}
		if n, anyZone := wanted[""]; anyZone {
			errs[""] = c.Increase(ctx, name, n)
		} else {
			errs = c.IncreaseZones(ctx, name, wanted)
		}
		if inDoubt(errs) {
			_, _ = c.Reread(ctx, name) // or the failures count without it
		}
		c.endIncrease(ctx, name, e, wanted, errs)
	}
}

// inDoubt reports whether AWS may have launched instances all the same: it refuses to repeat a call that it has carried out and not answered.
func inDoubt(errs map[string]error) bool {
	for _, err := range errs {
		if _, lacking := errors.AsType[*LaunchError](err); err != nil && !lacking {
			return true
		}
	}
	return false
}

// nextIncrease takes the next increase, or nil. Zones are gathered for a moment, because the core increases zone groups one by one.
func (c *Cache) nextIncrease(ctx context.Context, name string, e *entry) map[string]int {
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	if e.BookedInZonesOnly() {
		c.groups.mu.Unlock()
		_ = awsclient.Pause(ctx, c.clock, gatherZonesFor) // the increase reports the end of ctx
		c.groups.mu.Lock()
	}
	wanted := e.NextIncrease()
	if now := c.groups.entries[name]; now != nil && now != e { // another group has the name now, and nobody booked anything of it
		wanted = nil
	}
	if wanted == nil {
		close(e.increasing)
		e.increasing = nil
	}
	return wanted
}

// endIncrease ends the booking once AWS has answered, enters the failures, and wakes the core.
func (c *Cache) endIncrease(ctx context.Context, name string, e *entry, asked map[string]int, errs map[string]error) {
	c.groups.mu.Lock()
	short := e.EndIncrease(errs)
	for _, zone := range slices.Sorted(maps.Keys(short)) {
		klog.FromContext(ctx).Info("Could not increase the group", "group", name, "zone", zone, "instances", short[zone], "of", asked[zone], "err", errs[zone])
	}
	c.groups.publish()
	c.groups.mu.Unlock()
	signal(c.groups.changed)
}

// DismissFailed ends the counting of the failed increases with the IDs.
func (c *Cache) DismissFailed(name string, ids ...int) {
	c.groups.update(name, func(e *entry) {
		e.Dismiss(func(f group.FailedIncrease) bool { return slices.Contains(ids, f.ID) })
	})
}

// BeginLoop dismisses the failed increases that a whole loop could see, whatever the core has done about them.
func (c *Cache) BeginLoop() {
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	changed := false
	for _, e := range c.groups.entries {
		changed = e.BeginLoop() || changed
	}
	if changed {
		c.groups.publish()
	}
}

// AwaitIncreases waits until no increase is under way, and returns the error of ctx if that ends first.
func (c *Cache) AwaitIncreases(ctx context.Context) error {
	for {
		var running chan struct{}
		c.groups.mu.Lock()
		for _, e := range c.groups.entries {
			if e.increasing != nil {
				running = e.increasing
			}
		}
		c.groups.mu.Unlock()
		if running == nil {
			return nil
		}
		select {
		case <-running:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
