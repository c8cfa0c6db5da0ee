package asg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// writeTimeout bounds a write, its reading, its wait for the group's turn and its retries included.
	writeTimeout = 45 * time.Second
)

// LimitError tells that a write would have taken a group beyond its limits; nothing was written.
type LimitError struct {
	Group       string
	Desired     int // the desired capacity it would have had
	Limit       int
	LimitIsMost bool
}

func (e *LimitError) Error() string {
	side, verb := "minimum", "below"
	if e.LimitIsMost {
		side, verb = "maximum", "above"
	}
	return fmt.Sprintf("auto scaling group %q: a desired capacity of %d is %s its %s size of %d", e.Group, e.Desired, verb, side, e.Limit)
}

// request is what we asked AWS to launch and it has not launched.
type request struct {
	asked     int       // of which none has been in service yet
	instances int       // of these, the ones that are missing
	since     time.Time // by AWS's clock where it told
	failure   *cooldown.Failure
	// withdrawalFailed tells that AWS did not let us take it back.
	withdrawalFailed bool
}

// fulfil takes off the request what the reading shows in service. An instance that is starting may still die: then it is ours to withdraw.
func (r *request) fulfil(g *Group) { r.asked = max(0, min(r.asked, g.notInService())) }

// settle enters in the group what is missing of the request.
func (r *request) settle(g *Group) {
	if r.asked == 0 {
		*r = request{}
	}
	r.instances = min(r.asked, g.Missing())
	g.Requested, g.Failure, g.withdrawalFailed = r.instances, r.failure, r.withdrawalFailed
	if r.instances == 0 {
		g.Failure = nil
	}
}

// Increase makes AWS launch n more instances, or as many as the maximum leaves room for, counted from a reading made for the
// purpose: what others have asked for in the meantime stays. Where the group can be launched synchronously, the instances
// are in the Group it returns, maybe fewer than asked; elsewhere the desired capacity is raised. The error is
// ErrGroupNotFound, a *LimitError, a *LaunchError, or wraps the SDK's.
func (c *Cache) Increase(ctx context.Context, name string, n int) (*Group, error) {
	_, before := c.entry(name)
	ctx, done, g, n, err := c.beginIncrease(ctx, name, "", n)
	if err != nil {
		return nil, err
	}
	defer done()
	if again := c.countAgain(name, n); again > 0 {
		if _, g = c.entry(name); again == n || g == nil {
			return g, nil
		}
		n -= again
	}
	now, err := c.synchronously(g)
	if err != nil {
		return nil, fmt.Errorf("increase auto scaling group %q: %w", name, err)
	}
	if now {
		if n -= c.inherited(before, g, ""); n <= 0 {
			return g, nil
		}
		answers := c.calls.launch.Answers(name)
		launched, err := c.launch(ctx, g, "", n)
		if g.lacking(n, launched) > 0 {
			signal(c.changed) // what pods still wait for is another group's to launch, at once
		}
		if missed := missedOf(err); missed != nil {
			if c.mode != LaunchSynchronous {
				return c.raiseInstead(ctx, g, n, answers, missed)
			}
			c.leaveAlone(g, missed)
		}
		if err == nil || !errors.Is(err, errNotSynchronous) || c.mode == LaunchSynchronous {
			_, g = c.entry(name)
			return g, err
		}
		if g, err = c.readOne(ctx, name); err != nil { // that took its time
			return nil, err
		}
		if n = min(n, g.room()); n <= 0 {
			return nil, g.full("", 1, g.room())
		}
	}
	return c.raise(ctx, g, n)
}

// countAgain has overdue instances count again as part of an increase by n, and returns how many. AWS goes on launching what is desired, and
// instances that die would otherwise add up: each increase would leave one more to be launched for ever. Where AWS lacks capacity, another
// launch finds out sooner than its next attempt whether there is some now.
func (c *Cache) countAgain(name string, n int) int {
	again := 0
	c.update(name, func(e *entry, g *Group) {
		if e.short.failure == nil || e.short.failure.LacksCapacity() || g.Overdue == 0 {
			return
		}
		again = min(n, g.Overdue)
		now := c.clock.Now()
		e.short.began, e.short.since, e.short.failure = now, now, nil
		e.look.soon(now)
		e.markOverdue(g)
	})
	return again
}

// room is how many instances the maximum size leaves room for.
func (g *Group) room() int { return (g.MaxSize - g.DesiredCapacity) / g.Source.MinWeight() }

// full is the error of an increase by n for which there is no room: not in the group, of whose room others leave some, or else
// not in the zone.
func (g *Group) full(zone string, n, left int) error {
	e := &LimitError{Group: g.Name, Desired: g.DesiredCapacity + (g.room()-left)*g.Source.MinWeight(), Limit: g.MaxSize, LimitIsMost: true}
	if v := g.viewIn(zone); v != nil && left > 0 {
		e.Group, e.Desired, e.Limit = v.ID(), v.DesiredCapacity, v.most
	}
	e.Desired += n * g.Source.MinWeight()
	return e
}

// IncreaseAtomically launches n more instances or none: what was launched of fewer is terminated again. Only groups that can
// be launched synchronously can do that; the error of others wraps ErrNotAtomic. For the zone see IncreaseIn.
func (c *Cache) IncreaseAtomically(ctx context.Context, name, zone string, n int) (*Group, error) {
	_, before := c.entry(name)
	ctx, done, g, room, err := c.beginIncrease(ctx, name, zone, n)
	if err != nil {
		return nil, err
	}
	defer done()
	if room < n {
		return nil, g.full(zone, n, g.room())
	}
	if now, err := c.synchronously(g); !now {
		return nil, because(fmt.Errorf("increase auto scaling group %q: %w", name, ErrNotAtomic), err)
	}
	if n -= c.inherited(before, g, zone); n <= 0 {
		return g, nil
	}
	answers := c.calls.launch.Answers(name)
	launched, err := c.launchSurely(ctx, g, zone, n)
	lacking := g.lacking(n, launched)
	if missed := missedOf(err); missed != nil && c.missedIn(ctx, g, zone != "", answers, missed) {
		err = because(errNotSynchronous, err)
	}
	_, g = c.entry(name)
	switch {
	case errors.Is(err, errNotSynchronous) && zone != "":
		signal(c.changed)
		return nil, because(notZonalNow(name, zone), err)
	case errors.Is(err, errNotSynchronous):
		return nil, because(ErrNotAtomic, err)
	case err != nil || lacking == 0:
		return g, err
	}
	t := &termination{cache: c, group: name, stays: map[string]error{}}
	t.all(ctx, launched)
	_, g = c.entry(name)
	err = fmt.Errorf("auto scaling group %q: AWS launched %d instances of %d, which were given back", name, n-lacking, n)
	if len(t.stays) > 0 {
		err = because(err, &TerminationError{Group: name, Stays: t.stays})
	}
	return g, err
}

// launchSurely is launch, and again for those of the instances that had ended before: a caller that wants all or nothing must not
// take them for nodes to come.
func (c *Cache) launchSurely(ctx context.Context, g *Group, zone string, n int) (launched []Instance, err error) {
	for range mostRepeated {
		some, err := c.launch(ctx, g, zone, g.lacking(n, launched))
		real := c.confirmed(ctx, g.Name, some)
		if launched = append(launched, real...); err != nil && len(launched) == 0 {
			return nil, err
		}
		if err != nil || len(real) == len(some) {
			break
		}
		if _, g = c.entry(g.Name); g == nil {
			break
		}
	}
	return launched, nil
}

// ErrNotAtomic is the error of a group that cannot launch all or nothing.
var ErrNotAtomic = errors.New("cannot launch all or nothing")

// beginIncrease takes the group's turn, reads the group, and returns how many instances there is room for in the zone, at most n.
func (c *Cache) beginIncrease(ctx context.Context, name, zone string, n int) (turn context.Context, done func(), g *Group, room int, err error) {
	if turn, done, g, err = c.turnToIncrease(ctx, name); err != nil {
		return nil, nil, nil, 0, err
	}
	if room, err = c.allowed(turn, g, zone, n, g.room()); err != nil {
		done()
		return nil, nil, nil, 0, err
	}
	return turn, done, g, room, nil
}

// allowed is how many of n instances the group may launch in the zone, g being a fresh reading and left what others leave of its
// room. It is at least one, or there is an error.
func (c *Cache) allowed(ctx context.Context, g *Group, zone string, n, left int) (int, error) {
	room := min(left, g.roomIn(zone))
	switch {
	case n <= 0:
		return 0, fmt.Errorf("increase auto scaling group %q by %d: want a positive number", g.Name, n)
	case !c.servesZone(g, zone):
		signal(c.changed)
		return 0, notZonalNow(g.Name, zone)
	case room <= 0:
		return 0, g.full(zone, n, left)
	case n > room:
		klog.FromContext(ctx).Info("The group has less room than it seemed", "group", g.Name, "zone", zone, "asked", n, "room", room)
	}
	return min(n, room), nil
}

// turnToIncrease takes the group's turn and reads the group.
func (c *Cache) turnToIncrease(ctx context.Context, name string) (turn context.Context, done func(), g *Group, err error) {
	if turn, done, err = c.takeTurn(ctx, name); err != nil {
		return nil, nil, nil, err
	}
	if g, err = c.readOne(turn, name); err != nil {
		done()
		return nil, nil, nil, err
	}
	return turn, done, g, nil
}

// raise raises the desired capacity by n instances, g being a fresh reading. Where the answer is lost, a reading tells what came
// of it: at once, or else the next one that succeeds. Others may have raised it between the reading and the write, and AWS
// would end what it launched for them: a reading after the write repairs that at once.
func (c *Cache) raise(ctx context.Context, g *Group, n int) (*Group, error) {
	name := g.Name
	before, extra, least := g, n*g.Source.MinWeight(), c.least(name)
	began, wanted := c.clock.Now(), max(g.DesiredCapacity+extra, min(least, g.MaxSize))
	desired := max(wanted, g.stated) // a reading that seems old may show what another writer has just asked for
	if desired > g.MaxSize {
		return nil, &LimitError{Group: name, Desired: desired, Limit: g.MaxSize, LimitIsMost: true}
	}
	asked := c.asked(name) + max(0, wanted-least)/g.Source.MinWeight() // the instances that are still starting are among them
	missing := g.Requested + (wanted-g.DesiredCapacity)/g.Source.MinWeight()
	refused := c.overwriting(g, desired)
	since, err := c.setDesired(ctx, g, desired)
	if err != nil && awsclient.IsRefused(err) {
		refused()
		return nil, err
	}
	g = c.update(name, func(e *entry, g *Group) {
		e.request = request{asked: asked, instances: missing, since: since}
		e.look.soon(began)
		e.wrote(c.clock.Now())
		if err == nil {
			e.set(g, desired, c.clock.Now())
			e.request.settle(g)
		} // else the answer was lost: the next reading tells whether the request is one
	})
	if err == nil {
		if repaired, err := c.repair(ctx, before, desired, extra); err == nil {
			return repaired, nil
		}
		if g == nil {
			return nil, fmt.Errorf("auto scaling group %q: %w", name, ErrGroupNotFound)
		}
		return g, nil // the next reading will do
	}
	if now, readErr := c.readOne(ctx, name); readErr == nil && now.stated >= desired {
		klog.FromContext(ctx).Info("AWS has done what it did not answer to", "group", name, "desired", now.DesiredCapacity, "err", awsclient.Brief(err))
		return now, nil
	}
	return g, err
}

// Withdraw takes back up to n instances that we asked for and AWS has not launched, and returns how many. The desired
// capacity never goes below what a reading made for the purpose counts, nor below the minimum size; a reading after the
// write repairs it upwards at once if an instance arrived in between.
func (c *Cache) Withdraw(ctx context.Context, name string, n int) (int, *Group, error) {
	ctx, done, err := c.takeTurn(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	defer done()
	g, err := c.readOne(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	desired := g.afterWithdrawal(n)
	if desired == g.DesiredCapacity || g.stated != g.DesiredCapacity { // or somebody else may have set it
		return 0, g, nil
	}
	taken := (g.DesiredCapacity - desired) / g.Source.MinWeight()
	left, before := c.asked(name)-taken, g
	if err := c.lower(ctx, g, desired); err != nil {
		g = c.update(name, func(e *entry, g *Group) {
			e.request.withdrawalFailed = awsclient.IsDenied(err) || awsclient.IsInvalid(err) // else the next try may succeed
			e.request.settle(g)
		})
		return 0, g, err
	}
	c.update(name, func(e *entry, g *Group) {
		e.request.asked = min(e.request.asked, left)
		e.set(g, desired, c.clock.Now())
		e.request.settle(g)
	})
	g, err = c.repair(ctx, before, desired, 0)
	return taken, g, err
}

// asked is how many instances of our request have not been in service yet.
func (c *Cache) asked(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.find(name); e != nil {
		return e.request.asked
	}
	return 0
}

// lower sets a lower desired capacity. Where the answer is lost, a reading tells what came of it.
func (c *Cache) lower(ctx context.Context, g *Group, desired int) error {
	refused := c.overwriting(g, desired)
	_, err := c.setDesired(ctx, g, desired)
	switch {
	case err == nil:
		return nil
	case awsclient.IsRefused(err):
		refused()
		return err
	}
	if now, readErr := c.readOne(ctx, g.Name); readErr == nil && now.DesiredCapacity <= desired {
		klog.FromContext(ctx).Info("AWS has done what it did not answer to", "group", g.Name, "desired", now.DesiredCapacity, "err", awsclient.Brief(err))
		return nil
	}
	return err
}

// repair looks for what a write of ours has overwritten, before being the group as it was when that was decided, and written
// what we set: AWS has launched for another writer's request more than is desired now, and ends it, or is about to. Then the
// desired capacity is raised again, to what the other asked for, as far as can be seen, and extra capacity on top of it. An
// excess that was there before the write stays one, and what somebody else has set since stays theirs.
func (c *Cache) repair(ctx context.Context, before *Group, written, extra int) (*Group, error) {
	g, err := c.readOne(ctx, before.Name)
	if err != nil {
		return nil, err
	}
	there := g.countedCapacity() + g.endedSince(before) - before.excess()
	if there <= written || g.stated != written {
		return g, nil
	}
	return c.raiseAgain(ctx, g, there+extra)
}

// endedSince is the capacity of the instances that are leaving and were not, or not there, before.
func (g *Group) endedSince(before *Group) int {
	capacity := 0
	for _, i := range g.Instances {
		if was := before.instance(i.ID); i.Lifecycle.Leaving() && (was == nil || !was.Lifecycle.Leaving()) {
			capacity += i.Weight
		}
	}
	return capacity
}

func (e *entry) wrote(now time.Time) { e.writtenAt, e.movedAt, e.readDue = now, now, time.Time{} }

// setDesired sets the desired capacity and returns when AWS accepted that, by its own clock where it tells. The caller has
// the group's turn and g is fresh.
func (c *Cache) setDesired(ctx context.Context, g *Group, desired int) (accepted time.Time, err error) {
	accepted = c.clock.Now()
	out, err := c.api.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: aws.String(g.Name), DesiredCapacity: aws.Int32(int32(desired)), HonorCooldown: aws.Bool(false),
	})
	if err != nil {
		return accepted, fmt.Errorf("set desired capacity of auto scaling group %q from %d to %d: %w", g.Name, g.DesiredCapacity, desired, err)
	}
	if told, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		accepted = told
	}
	klog.FromContext(ctx).V(0).Info("Set desired capacity", "group", g.Name, "from", g.DesiredCapacity, "to", desired)
	return accepted, nil
}

// readOne reads the group now.
func (c *Cache) readOne(ctx context.Context, name string) (*Group, error) {
	if err := c.refreshNamed(ctx, []string{name}); err != nil {
		return nil, fmt.Errorf("auto scaling group %q: %w", name, err)
	}
	if _, g := c.entry(name); g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("auto scaling group %q: %w", name, ErrGroupNotFound)
}

// takeTurn waits until no other write to the group is under way. done ends the turn. A write that has its turn is not
// cancelled with ctx: half of one is worse than a late end.
func (c *Cache) takeTurn(ctx context.Context, name string) (turn context.Context, done func(), err error) {
	e, err := c.beginWrite(name)
	if err != nil {
		return nil, nil, fmt.Errorf("auto scaling group %q: %w", name, err)
	}
	waiting, stopWaiting := context.WithTimeout(ctx, writeTimeout)
	defer stopWaiting()
	select {
	case e.turn <- struct{}{}:
		turn, done = c.turnOf(ctx, e)
		if now, _ := c.entry(name); now != e { // dropped or made anew while we waited
			done()
			return nil, nil, fmt.Errorf("auto scaling group %q: %w", name, ErrGroupNotFound)
		}
		return turn, done, nil
	case <-waiting.Done():
		c.writes.Done()
		return nil, nil, fmt.Errorf("auto scaling group %q: wait for the write before ours: %w", name, waiting.Err())
	}
}

// tryTurn is takeTurn where that needs no waiting.
func (c *Cache) tryTurn(ctx context.Context, name string) (turn context.Context, done func(), ok bool) {
	e, err := c.beginWrite(name)
	if err != nil {
		return nil, nil, false
	}
	select {
	case e.turn <- struct{}{}:
		turn, done = c.turnOf(ctx, e)
		return turn, done, true
	default:
		c.writes.Done()
		return nil, nil, false
	}
}

func (c *Cache) turnOf(ctx context.Context, e *entry) (turn context.Context, done func()) {
	turn, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	return turn, func() { <-e.turn; cancel(); c.writes.Done() }
}

// errEnding is the error of a write that came after Run began to end.
var errEnding = errors.New("the autoscaler is stopping: nothing was written")

// beginWrite counts a write to the group, which the caller must end with writes.Done.
func (c *Cache) beginWrite(name string) (*entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	switch {
	case c.ending:
		return nil, errEnding
	case e == nil:
		return nil, ErrGroupNotFound
	case c.identity.foreign(e.group):
		return nil, &OtherClusterError{Group: name, Why: c.identity.whyForeign(e.group)}
	}
	c.writes.Add(1)
	return e, nil
}

// endWrites lets no further write begin, and waits for those under way.
func (c *Cache) endWrites() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.writes.Wait()
}

// because is err with the reason for it, on one line as events and logs show errors. Without a reason it is err.
func because(err, reason error) error {
	if reason == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, reason)
}
