package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/klog/v2"
)

// StartIncrease books n more instances, or as many as the maximum leaves room for, and returns. A named zone gets all of them, as in IncreaseZones.
// AWS is asked by a goroutine, which Run awaits. Until AWS has answered, the instances count as missing in the Snapshot. A failure shows as
// a FailedIncrease, and Changed reports every end. Increases of a group that come while AWS is being asked for others wait for that answer, and
// are made together. It makes no call and waits for no lock of a group. The error is ErrGroupNotFound, a *LimitError, or wraps ErrNotZonal.
func (i *increases) StartIncrease(ctx context.Context, name, zone string, n int) error {
	e, err := i.locks.beginWrite(name)
	if err != nil {
		return fmt.Errorf("auto scaling group %q: %w", name, err)
	}
	i.groups.mu.Lock()
	defer i.groups.mu.Unlock()
	g := e.Shown()
	if n, err = i.allowed(ctx, g, zone, n, g.Room()); err != nil {
		i.locks.writes.Done()
		return err
	}
	e.Book(zone, n)
	i.groups.publish()
	if e.increasing != nil {
		i.locks.writes.Done()
		return nil // the goroutine sees to it
	}
	e.increasing = make(chan struct{})
	go i.makeIncreases(ctx, name, e)
	return nil
}

// makeIncreases makes the increases of the group until none is left.
func (i *increases) makeIncreases(ctx context.Context, name string, e *entry) {
	defer i.locks.writes.Done()
	for {
		wanted := i.nextIncrease(ctx, e)
		if wanted == nil {
			return
		}
		errs := map[string]error{}
		if n, anyZone := wanted[""]; anyZone {
			_, errs[""] = i.Increase(ctx, name, n)
		} else {
			errs = i.IncreaseZones(ctx, name, wanted)
		}
		if inDoubt(errs) {
			_, _ = i.reader.Reread(ctx, name) // or the failures count without it
		}
		i.endIncrease(ctx, name, e, wanted, errs)
	}
}

// inDoubt reports whether AWS may have launched instances all the same: it refuses to repeat a call that it has carried out and not answered.
func inDoubt(errs map[string]error) bool {
	for _, err := range errs {
		var lacking *LaunchError
		if err != nil && !errors.As(err, &lacking) {
			return true
		}
	}
	return false
}

// nextIncrease takes the next increase: the wishes for any zone, or else those for all named zones. It returns nil if there is none. Zones are
// gathered for a moment, because the core increases zone groups one by one.
func (i *increases) nextIncrease(ctx context.Context, e *entry) map[string]int {
	i.groups.mu.Lock()
	defer i.groups.mu.Unlock()
	if e.BookedInZonesOnly() {
		i.groups.mu.Unlock()
		_ = pause(ctx, i.clock, gatherZonesFor) // the increase reports the end of ctx
		i.groups.mu.Lock()
	}
	wanted := e.NextIncrease()
	if wanted == nil {
		close(e.increasing)
		e.increasing = nil
	}
	return wanted
}

// endIncrease ends the booking once AWS has answered, enters the failures, and wakes the core.
func (i *increases) endIncrease(ctx context.Context, name string, e *entry, asked map[string]int, errs map[string]error) {
	i.groups.mu.Lock()
	short := e.EndIncrease(errs)
	for _, zone := range slices.Sorted(maps.Keys(short)) {
		klog.FromContext(ctx).Info("Could not increase the group", "group", name, "zone", zone, "instances", short[zone], "of", asked[zone], "err", errs[zone])
	}
	i.groups.failures = i.groups.failures || e.Failed()
	i.groups.publish()
	i.groups.mu.Unlock()
	signal(i.groups.changed)
}

// DismissFailed ends the counting of the failed increases with the IDs. It makes no call and is safe for concurrent use.
func (i *increases) DismissFailed(name string, ids ...int) {
	i.groups.update(name, func(e *entry) { e.Dismiss(ids...) })
}

// BeginLoop dismisses the failed increases that the loop before could see from its beginning. So each shows in one whole loop, whatever the core does
// about it. It makes no call and is safe for concurrent use.
func (i *increases) BeginLoop() {
	i.groups.mu.Lock()
	defer i.groups.mu.Unlock()
	if !i.groups.failures {
		return
	}
	i.groups.failures = false
	for _, e := range i.groups.entries {
		e.BeginLoop()
		i.groups.failures = i.groups.failures || e.Failed()
	}
	i.groups.publish()
}

// AwaitIncreases waits until no increase is under way, and returns the error of ctx if that ends first.
func (i *increases) AwaitIncreases(ctx context.Context) error {
	for {
		var running chan struct{}
		i.groups.mu.Lock()
		for _, e := range i.groups.entries {
			if e.increasing != nil {
				running = e.increasing
			}
		}
		i.groups.mu.Unlock()
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
