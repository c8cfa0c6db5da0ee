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

// IncreaseZones is IncreaseIn for several zones at once, at one reading of the group and by a call per zone and 100 instances, several
// at a time. What room the group has goes to the zones in alphabetical order. The errors are by zone; those without one have got
// what they were to get, or as many as there were. A zone in which AWS does not say for some seconds what came of a launch is
// left alone for a minute, so that the others need not wait for it. Where AWS answers in none of two zones, the group is
// scaled as one for that time.
func (z *zoneLaunches) increaseZones(ctx context.Context, name string, wanted map[string]int) map[string]error {
	_, before := z.groups.entry(name)
	zones := slices.Sorted(maps.Keys(wanted))
	turn, done, g, err := z.increases.lockAndRead(ctx, name)
	if err != nil {
		errs := map[string]error{}
		for _, zone := range zones {
			errs[zone] = err
		}
		return errs
	}
	defer done()
	counts, errs := z.allot(turn, before, g, zones, wanted)
	answers := z.calls.launch.Answers(name)
	var mu sync.Mutex // guards errs and missed
	var missed *unansweredError
	var launches errgroup.Group
	for zone, n := range counts {
		launches.Go(func() error {
			if err := z.launchIn(turn, g, zone, n); err != nil {
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
	if missed != nil && z.launcher.settleUnanswered(turn, g, true, answers, missed) {
		for _, zone := range missed.zones {
			errs[zone] = because(notZonalNow(name, zone), errs[zone])
		}
	}
	return errs
}

// allot divides what room g, a fresh reading, has among the zones that want instances. What a process before us has launched there
// since before was read counts as launched.
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

// launchIn launches n instances in the zone, g being a fresh reading. The caller has the group's turn.
func (z *zoneLaunches) launchIn(ctx context.Context, g *Group, zone string, n int) error {
	launched, err := z.launcher.launch(ctx, g, zone, n)
	if g.shortfall(n, launched) > 0 {
		signal(z.groups.changed) // what pods still wait for is another zone's to launch, at once
	}
	switch {
	case errors.Is(err, errNotSynchronous):
		return because(notZonalNow(g.Name, zone), err)
	case unansweredIn(err) != nil:
		return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", n, zone, g.Name, err)
	}
	return err
}
