package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// zoneLaunches launches in several zones of a group at once.
type zoneLaunches struct {
	groups    *groups
	increases *increases
	launcher  *launcher
	replays   *replays
	calls     newerCalls
}

// increaseZones is IncreaseZones.
func (z *zoneLaunches) increaseZones(ctx context.Context, name string, wanted map[string]int) map[string]error {
	_, before := z.groups.entry(name)
	zones := slices.Sorted(maps.Keys(wanted))
	held, unlock, g, err := z.increases.lockAndRead(ctx, name)
	if err != nil {
		errs := map[string]error{}
		for _, zone := range zones {
			errs[zone] = err
		}
		return errs
	}
	defer unlock()
	counts, errs := z.allot(held, before, g, zones, wanted)
	answers := z.calls.launch.Answers(name)
	var mu sync.Mutex // guards errs and missed
	var missed *unansweredError
	var launches errgroup.Group
	for zone, n := range counts {
		launches.Go(func() error {
			if err := z.launchIn(held, g, zone, n); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs[zone] = err
				if m := unansweredIn(err); m != nil {
					missed = m.with(missed)
				}
			}
			return nil
		})
	}
	_ = launches.Wait()
	if missed != nil && z.launcher.settleUnanswered(held, g, true, answers, missed) {
		for _, zone := range missed.zones {
			errs[zone] = because(notZonalNow(name, zone), errs[zone])
		}
	}
	return errs
}

// allot divides the room of g, a fresh reading, among the zones that want instances. A previous leader's launches since before count as launched.
func (z *zoneLaunches) allot(ctx context.Context, before, g *Group, zones []string, wanted map[string]int) (counts map[string]int, errs map[string]error) {
	counts, errs = map[string]int{}, map[string]error{}
	left := g.room()
	for _, zone := range zones {
		n, err := z.increases.allowed(ctx, g, zone, wanted[zone], left)
		if err != nil {
			errs[zone] = err
			continue
		}
		if n -= z.replays.fromPredecessor(before, g, zone); n > 0 {
			counts[zone] = n
			left -= n
		}
	}
	return counts, errs
}

// launchIn launches n instances in the zone, from the fresh reading g. The caller has the group lock.
func (z *zoneLaunches) launchIn(ctx context.Context, g *Group, zone string, n int) error {
	launched, err := z.launcher.launch(ctx, g, zone, n)
	if g.shortfall(n, launched) > 0 {
		signal(z.groups.changed) // another zone may launch at once for the pods that still wait
	}
	switch {
	case errors.Is(err, errNotSynchronous):
		return because(notZonalNow(g.Name, zone), err)
	case unansweredIn(err) != nil:
		return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", n, zone, g.Name, err)
	}
	return err
}
