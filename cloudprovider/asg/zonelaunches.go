package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// IncreaseZones launches instances in several zones of a group that is scaled zone by zone: in the named zones or not at all. It reads the group once
// and makes a call per zone and 100 instances, several at a time. Zones get the group's room in alphabetical order. The errors are by zone. A zone
// without one got its instances, or as many as there were. The error of a group that is not scaled zone by zone, or turns out not to be, wraps
// ErrNotZonal. If AWS leaves the launches in one zone unanswered for some seconds, that zone is left alone for a minute, so that the others need not
// wait for it. If it answers in none of two zones, or has never answered a launch, the group is scaled as one for that time.
func (c *Cache) IncreaseZones(ctx context.Context, name string, wanted map[string]int) map[string]error {
	zones := slices.Sorted(maps.Keys(wanted))
	writing, unlock, before, g, err := c.lockAndRead(ctx, name, c.readToLaunch)
	if err != nil {
		errs := map[string]error{}
		for _, zone := range zones {
			errs[zone] = err
		}
		return errs
	}
	defer unlock()
	counts, errs := c.allot(writing, before, g, zones, wanted)
	answers := c.calls.launch.Answers(name)
	var mu sync.Mutex // guards errs and missed
	var missed *unansweredError
	var launches sync.WaitGroup
	for zone, n := range counts {
		launches.Go(func() {
			if err := c.launchIn(writing, g, zone, n); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs[zone] = err
				if m := unansweredIn(err); m != nil {
					missed = m.with(missed)
				}
			}
		})
	}
	launches.Wait()
	if missed != nil && c.settleUnanswered(writing, g, true, answers, missed) {
		for _, zone := range missed.zones {
			errs[zone] = because(notZonalNow(name, zone), errs[zone])
		}
	}
	return errs
}

// allot divides the room of g, a fresh reading, among the zones that want instances. A previous leader's launches since before count as launched, and
// so do overdue instances that AWS tries again.
func (c *Cache) allot(ctx context.Context, before, g *group.Group, zones []string, wanted map[string]int) (counts map[string]int, errs map[string]error) {
	counts, errs = map[string]int{}, map[string]error{}
	left := g.Room()
	for _, zone := range zones {
		n, err := c.allowed(ctx, g, zone, wanted[zone], left)
		if err != nil {
			errs[zone] = err
			continue
		}
		if n -= c.fromPredecessor(before, g, zone); n > 0 {
			counts[zone] = n
			left -= n
		}
	}
	c.groups.update(g.Name, func(e *entry) {
		for zone, n := range e.RetryOverdue(counts, c.clock.Now()) {
			counts[zone] -= n
		}
	})
	maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 0 })
	return counts, errs
}

// launchIn launches n instances in the zone, from the fresh reading g. The caller has the group lock.
func (c *Cache) launchIn(ctx context.Context, g *group.Group, zone string, n int) error {
	launched, err := c.launch(ctx, g, zone, n)
	if g.Shortfall(n, launched) > 0 {
		signal(c.groups.changed) // another zone may launch at once for the pods that still wait
	}
	switch {
	case errors.Is(err, errNotSynchronous):
		return because(notZonalNow(g.Name, zone), err)
	case unansweredIn(err) != nil:
		return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", n, zone, g.Name, err)
	}
	return err
}
