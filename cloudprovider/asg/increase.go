package asg

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Increase makes AWS launch n more instances, or as many as the maximum leaves room for. Where the group can be launched
// synchronously, the Snapshot then has the instances, maybe fewer than n. Elsewhere Increase raises the desired capacity, from a reading made
// for the purpose, so that requests of others stay. The error is ErrGroupNotFound, a *LimitError, a *LaunchError, or wraps the SDK's.
func (c *Cache) Increase(ctx context.Context, name string, n int) error {
	began := c.clock.Now()
	ctx, unlock, before, g, n, err := c.beginIncrease(ctx, name, "", n)
	if err != nil {
		return err
	}
	defer unlock()
	if n = c.retryOverdue(g, "", n); n == 0 {
		return nil
	}
	now, err := c.synchronously(g)
	if err != nil {
		return fmt.Errorf("increase auto scaling group %q: %w", name, err)
	}
	if now || !c.options.NoPredecessor { // otherwise another writer has raised it
		if n -= c.fromPredecessor(before, g, ""); n <= 0 {
			return nil
		}
	}
	if now {
		answers := c.calls.launch.Answers(name)
		launched, err := c.launch(ctx, g, "", n)
		if g.Shortfall(n, launched) > 0 {
			signal(c.groups.changed) // another group may launch at once for the pods that still wait
		}
		if missed := unansweredIn(err); missed != nil {
			if c.options.LaunchMode != LaunchSynchronous {
				return c.raiseInstead(ctx, g, n, answers, missed)
			}
			c.leaveAlone(g, missed)
		}
		if err == nil || !errors.Is(err, errNotSynchronous) || c.options.LaunchMode == LaunchSynchronous {
			return err
		}
	}
	if now || g.ReadAt.Before(began) { // a failed launch took its time
		if g, err = c.Reread(ctx, name); err != nil {
			return err
		}
		if n = min(n, g.Room()); n <= 0 {
			return g.Full("", 1, g.Room())
		}
	}
	return c.raise(ctx, g, g.Reached(), n)
}

// IncreaseAtomically launches n more instances or none. If AWS launches fewer, it terminates those that an answer of AWS named. Only
// groups that can be launched synchronously can do that. The error of others wraps ErrNotAtomic. A named zone gets all instances, as in
// IncreaseZones.
func (c *Cache) IncreaseAtomically(ctx context.Context, name, zone string, n int) error {
	ctx, unlock, before, g, room, err := c.beginIncrease(ctx, name, zone, n)
	if err != nil {
		return err
	}
	defer unlock()
	if room < n {
		return g.Full(zone, n, g.Room())
	}
	if now, err := c.synchronously(g); !now {
		return because(fmt.Errorf("increase auto scaling group %q: %w", name, ErrNotAtomic), err)
	}
	if n = c.retryOverdue(g, zone, n); n == 0 {
		return nil
	}
	if n -= c.fromPredecessor(before, g, zone); n <= 0 {
		return nil
	}
	answers := c.calls.launch.Answers(name)
	launched, err := c.launch(ctx, g, zone, n)
	if len(launched) > 0 {
		err = nil // instances that came must not stay alone
	}
	lacking := g.Shortfall(n, launched)
	if missed := unansweredIn(err); missed != nil && c.settleUnanswered(ctx, g, zone != "", answers, missed) {
		err = because(errNotSynchronous, err)
	}
	switch {
	case awsclient.IsThrottled(err): // it passes, and the next try may have all
		return err
	case errors.Is(err, errNotSynchronous) && zone != "":
		signal(c.groups.changed)
		return because(notZonalNow(name, zone), err)
	case errors.Is(err, errNotSynchronous):
		return because(ErrNotAtomic, err)
	case err != nil || lacking == 0:
		return err
	}
	c.groups.mu.Lock()
	named := slices.DeleteFunc(launched, func(l group.Instance) bool { return !c.groups.identity.DidLaunch(l.ID) }) // not another writer's
	c.groups.mu.Unlock()
	t := &termination{Cache: c, group: name, stays: map[string]error{}}
	t.all(ctx, named)
	err = fmt.Errorf("auto scaling group %q: AWS launched %d instances of %d, and %d were terminated again", name, n-lacking, n, len(named)-len(t.stays))
	if len(t.stays) > 0 {
		err = because(err, &TerminationError{Group: name, Stays: t.stays})
	}
	return err
}

// retryOverdue has AWS's own next attempt count for the increase of g by n in the zone, and returns what is left of n.
func (c *Cache) retryOverdue(g *group.Group, zone string, n int) int {
	c.groups.update(g.Name, func(e *entry) { n -= e.RetryOverdue(map[string]int{zone: n}, c.clock.Now())[zone] })
	return n
}

var ErrNotAtomic = errors.New("cannot launch all or nothing")

// beginIncrease is lockAndRead for an increase, and returns how many of n instances fit in the zone.
func (c *Cache) beginIncrease(ctx context.Context, name, zone string, n int) (
	writing context.Context, unlock func(), before, g *group.Group, room int, err error) {
	if writing, unlock, before, g, err = c.lockAndRead(ctx, name, c.readToLaunch); err != nil {
		return nil, nil, nil, nil, 0, err
	}
	if room, err = c.allowed(writing, g, zone, n, g.Room()); err != nil {
		unlock()
		return nil, nil, nil, nil, 0, err
	}
	return writing, unlock, before, g, room, nil
}

// allowed returns the number of instances, up to n, that the group may launch in the zone: at least one, or an error. g is a fresh reading,
// and left is its room that other zones leave.
func (c *Cache) allowed(ctx context.Context, g *group.Group, zone string, n, left int) (int, error) {
	room := min(left, g.RoomIn(zone))
	switch {
	case n <= 0:
		return 0, fmt.Errorf("increase auto scaling group %q by %d: want a positive number", g.Name, n)
	case !c.servesZone(g, zone):
		signal(c.groups.changed)
		return 0, notZonalNow(g.Name, zone)
	case room <= 0:
		return 0, g.Full(zone, n, left)
	case n > room:
		klog.FromContext(ctx).Info("The group has less room than it seemed", "group", g.Name, "zone", zone, "asked", n, "room", room)
	}
	return min(n, room), nil
}

// raiseInstead raises the desired capacity by the shortfall of n instances, because AWS did not answer the launches. before is the group before them,
// and answers is how often AWS had answered. The last reading is newer than the launches, so all growth since counts as theirs. If the reading is
// older than a launch all the same, the raise counts from the reading's value, and so sets what AWS has already reached.
func (c *Cache) raiseInstead(ctx context.Context, before *group.Group, n, answers int, missed *unansweredError) error {
	_, g := c.groups.entry(before.Name)
	if g == nil {
		return notFound(before.Name)
	}
	lacking := g.InstancesFor(n*g.Source.MinWeight() - max(0, g.DesiredCapacity-before.DesiredCapacity))
	if lacking == 0 {
		return nil
	}
	if lacking = min(lacking, g.Room()); lacking <= 0 {
		return g.Full("", 1, g.Room())
	}
	err := c.raise(ctx, g, g.Reached(), lacking)
	switch {
	case err != nil: // the trouble is not with the one call
	case c.refusals.of(g.Name) != nil: // nor with a zone
	case c.calls.launch.Answers(g.Name) == answers:
		c.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause)
	case len(missed.zones) < len(g.Zones):
		c.leaveAlone(g, missed)
	}
	return err
}
