package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"k8s.io/klog/v2"
)

// An increase under way is one that nobody waits for. Only readers of the Snapshot see it: their Group counts it as though AWS had accepted it.
// Writes do not count it, so an increase that AWS may still refuse neither lowers nor raises a desired capacity.

// underWay has the increases of a group that are under way. One goroutine makes them, one after the other. The mu of groups guards it. Slices are
// replaced and never changed, because Groups share them.
type underWay struct {
	done   chan struct{}  // closed by the goroutine as it ends, nil while there is none
	wanted map[string]int // instances that AWS will be asked for, by zone, "" for any
	asked  map[string]int // instances that AWS is being asked for
	before *group.Group   // the group before AWS was asked
	from   int            // its desired capacity, less our terminations since
	failed []group.FailedIncrease
	count  int // of all failures so far
	shown  int // the last failure that a whole loop could see
}

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
	g := e.shown()
	if n, err = i.allowed(ctx, g, zone, n, g.Room()); err != nil {
		i.locks.writes.Done()
		return err
	}
	u := &e.underWay
	if u.wanted == nil {
		u.wanted = map[string]int{}
	}
	u.wanted[zone] += n
	i.groups.publish()
	if u.done != nil {
		i.locks.writes.Done()
		return nil // the goroutine sees to it
	}
	u.done = make(chan struct{})
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
		i.endIncrease(ctx, name, e, errs)
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
	u := &e.underWay
	if len(u.wanted) > 0 && u.wanted[""] == 0 {
		i.groups.mu.Unlock()
		_ = pause(ctx, i.clock, gatherZonesFor) // the increase reports the end of ctx
		i.groups.mu.Lock()
	}
	switch n, anyZone := u.wanted[""]; {
	case len(u.wanted) == 0:
		close(u.done)
		u.done = nil
		return nil
	case anyZone:
		u.asked = map[string]int{"": n}
		delete(u.wanted, "")
	default:
		u.asked, u.wanted = u.wanted, nil
	}
	u.before, u.from = e.group, e.group.DesiredCapacity
	return maps.Clone(u.asked)
}

// endIncrease ends the booking once AWS has answered, enters the failures, and wakes the core.
func (i *increases) endIncrease(ctx context.Context, name string, e *entry, errs map[string]error) {
	i.groups.mu.Lock()
	u := &e.underWay
	failed := slices.Clone(u.failed)
	for _, zone := range slices.Sorted(maps.Keys(errs)) {
		err, short := errs[zone], u.awaited(e.group, zone)
		if err == nil {
			continue
		}
		klog.FromContext(ctx).Info("Could not increase the group", "group", name, "zone", zone, "instances", short, "of", u.asked[zone], "err", err)
		if short > 0 {
			u.count++
			failed = append(failed, group.FailedIncrease{ID: u.count, Zone: zone, Instances: short, Err: err})
			i.groups.failures = true
		}
	}
	u.failed, u.asked, u.before = failed, nil, nil
	i.groups.publish()
	i.groups.mu.Unlock()
	signal(i.groups.changed)
}

// awaited returns how many of the instances that AWS is being asked for have not come: all growth since counts for them.
func (u *underWay) awaited(g *group.Group, zone string) int {
	come := g.DesiredCapacity - u.from
	if zone != "" {
		come = g.CapacityOf(func(i *group.Instance) bool {
			return i.Lifecycle.Counts() && i.Zone == zone && u.before.Instance(i.ID) == nil
		})
	}
	return max(0, u.asked[zone]-max(0, come)/g.Source.MinWeight())
}

// unlisted is the capacity that AWS is launching in named zones, counts in the desired capacity, and does not list yet. It is awaited in its zones.
func (u *underWay) unlisted(g *group.Group) int {
	awaited := 0
	for zone := range u.asked {
		if zone != "" {
			awaited += u.awaited(g, zone)
		}
	}
	if awaited == 0 {
		return 0
	}
	listed := g.CapacityOf(func(i *group.Instance) bool { return i.Lifecycle.Counts() && u.before.Instance(i.ID) == nil })
	return min(awaited*g.Source.MinWeight(), max(0, g.DesiredCapacity-u.from-listed))
}

// shown returns the group with the increases that are under way or have failed. The caller holds mu.
func (e *entry) shown() *group.Group {
	u := &e.underWay
	if len(u.wanted)+len(u.asked)+len(u.failed) == 0 {
		return e.group
	}
	g := *e.group
	g.BookedIn, g.Failed = maps.Clone(u.wanted), u.failed
	if g.BookedIn == nil {
		g.BookedIn = map[string]int{}
	}
	for zone := range u.asked {
		g.BookedIn[zone] += u.awaited(e.group, zone)
	}
	g.DesiredCapacity -= u.unlisted(e.group)
	for _, n := range g.BookedIn {
		g.Booked += n
	}
	g.DesiredCapacity = g.Reached() + g.BookedCapacity()
	return &g
}

// DismissFailed ends the counting of the failed increases with the IDs. It makes no call and is safe for concurrent use.
func (i *increases) DismissFailed(name string, ids ...int) {
	i.groups.update(name, func(e *entry, _ *group.Group) {
		e.underWay.failed = slices.DeleteFunc(slices.Clone(e.underWay.failed), func(f group.FailedIncrease) bool { return slices.Contains(ids, f.ID) })
	})
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
		u := &e.underWay
		u.failed = slices.DeleteFunc(slices.Clone(u.failed), func(f group.FailedIncrease) bool { return f.ID <= u.shown })
		u.shown = u.count
		i.groups.failures = i.groups.failures || len(u.failed) > 0
	}
	i.groups.publish()
}

// AwaitIncreases waits until no increase is under way, and returns the error of ctx if that ends first.
func (i *increases) AwaitIncreases(ctx context.Context) error {
	for {
		var running chan struct{}
		i.groups.mu.Lock()
		for _, e := range i.groups.entries {
			if e.underWay.done != nil {
				running = e.underWay.done
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
