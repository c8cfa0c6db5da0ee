package asg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

const (
	// writeTimeout bounds a write, its reading, its wait for the group's turn and its retries included.
	writeTimeout = 45 * time.Second
	// freshEnough is how old the reading may be on which a named instance is terminated.
	freshEnough = 2 * time.Second
	// terminationsAtOnce bounds the calls under way for one group.
	terminationsAtOnce = 8
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
	instances int
	since     time.Time
	failure   *LaunchFailure
	checked   time.Time // when the activities were last looked at
}

// settle takes off the request what the reading shows to be fulfilled, and tells the group what is left.
func (r *request) settle(g *Group) {
	r.instances = min(r.instances, g.Missing())
	if r.instances == 0 {
		r.failure = nil
	}
	g.Requested, g.Failure = r.instances, r.failure
}

// Increase raises the desired capacity so that AWS launches n more instances, counted from a reading made for the
// purpose: what others have asked for in the meantime stays. It costs two calls. The error is ErrGroupNotFound, a
// *LimitError, or wraps the SDK's; after an error of the second call the group's next reading tells what came of it.
func (c *Cache) Increase(ctx context.Context, name string, n int) (*Group, error) {
	if n <= 0 {
		return nil, fmt.Errorf("increase auto scaling group %q by %d: want a positive number", name, n)
	}
	ctx, done, err := c.takeTurn(ctx, name)
	if err != nil {
		return nil, err
	}
	defer done()
	g, err := c.readOne(ctx, name)
	if err != nil {
		return nil, err
	}
	desired := g.DesiredCapacity + n*g.Source.MinWeight()
	if desired > g.MaxSize {
		return nil, &LimitError{Group: name, Desired: desired, Limit: g.MaxSize, LimitIsMost: true}
	}
	since := c.clock.Now()
	if err := c.setDesired(ctx, g, desired); err != nil {
		return nil, err
	}
	return c.update(name, func(e *entry, g *Group) {
		if e.request.instances == 0 {
			e.request.since = since
		}
		e.request.failure = nil
		e.request.instances += n
		g.DesiredCapacity = desired
		e.request.settle(g)
		e.wrote(c.clock.Now())
	}), nil
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
	unit := g.Source.MinWeight()
	floor := max(g.MinSize, g.countedCapacity())
	desired := max(g.DesiredCapacity-min(n, g.Requested)*unit, floor)
	if desired >= g.DesiredCapacity {
		return 0, g, nil
	}
	taken := (g.DesiredCapacity - desired) / unit
	if err := c.setDesired(ctx, g, desired); err != nil {
		return 0, nil, err
	}
	c.update(name, func(e *entry, g *Group) {
		e.request.instances -= taken
		g.DesiredCapacity = desired
		e.request.settle(g)
		e.wrote(c.clock.Now())
	})
	g, err = c.repair(ctx, name)
	return taken, g, err
}

// repair raises a desired capacity that a write of ours left below what AWS has launched meanwhile.
func (c *Cache) repair(ctx context.Context, name string) (*Group, error) {
	g, err := c.readOne(ctx, name)
	if err != nil {
		return nil, err
	}
	counted := min(g.countedCapacity(), g.MaxSize)
	if counted <= g.DesiredCapacity {
		return g, nil
	}
	klog.FromContext(ctx).Info("An instance arrived while its request was withdrawn, raised the desired capacity again",
		"group", name, "desired", counted)
	if err := c.setDesired(ctx, g, counted); err != nil {
		return nil, err
	}
	return c.update(name, func(e *entry, g *Group) {
		g.DesiredCapacity = counted
		e.wrote(c.clock.Now())
	}), nil
}

// Terminate terminates the instances and lowers the desired capacity by them, on a reading at most two seconds old:
// members only, none that is leaving already, and not below the minimum size. An instance that is leaving or gone
// counts as done. It costs one call an instance. The error joins one error per instance that stays.
func (c *Cache) Terminate(ctx context.Context, name string, ids []string) (*Group, error) {
	ctx, done, err := c.takeTurn(ctx, name)
	if err != nil {
		return nil, err
	}
	defer done()
	_, g := c.entry(name)
	if g == nil {
		return nil, fmt.Errorf("terminate in %q: %w", name, ErrGroupNotFound)
	}
	if c.clock.Since(g.ReadAt) > freshEnough {
		if g, err = c.readOne(ctx, name); err != nil {
			return nil, err
		}
	}
	var members []Instance
	desired := g.DesiredCapacity
	for _, id := range ids {
		i := g.instance(id)
		if i == nil || i.Lifecycle.Leaving() {
			klog.FromContext(ctx).V(2).Info("Instance is on its way out already", "group", name, "instance", id)
			continue
		}
		members = append(members, *i)
		desired -= i.Weight
	}
	if desired < g.MinSize {
		return nil, &LimitError{Group: name, Desired: desired, Limit: g.MinSize}
	}
	return c.terminateEach(ctx, name, members)
}

func (c *Cache) terminateEach(ctx context.Context, name string, members []Instance) (*Group, error) {
	errs := make([]error, len(members))
	var calls errgroup.Group
	calls.SetLimit(terminationsAtOnce)
	for at, i := range members {
		calls.Go(func() error {
			_, err := c.api.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
				InstanceId: aws.String(i.ID), ShouldDecrementDesiredCapacity: aws.Bool(true),
			})
			if err != nil {
				errs[at] = fmt.Errorf("terminate instance %s of auto scaling group %q: %w", i.ID, name, err)
				return nil
			}
			klog.FromContext(ctx).V(1).Info("Terminated instance", "group", name, "instance", i.ID)
			c.update(name, func(e *entry, g *Group) { e.left(g, i, c.clock.Now()) })
			return nil
		})
	}
	_ = calls.Wait()
	_, g := c.entry(name)
	return g, errors.Join(errs...)
}

// left enters an accepted termination.
func (e *entry) left(g *Group, i Instance, now time.Time) {
	g.Instances = append([]Instance(nil), g.Instances...)
	if member := g.instance(i.ID); member != nil {
		member.Lifecycle = terminating
	}
	g.DesiredCapacity -= i.Weight
	e.leaving[i.ID] = now
	e.wrote(now)
}

func (e *entry) wrote(now time.Time) { e.writtenAt, e.movedAt, e.readDue = now, now, time.Time{} }

// setDesired sets the desired capacity. The caller has the group's turn and g is fresh.
func (c *Cache) setDesired(ctx context.Context, g *Group, desired int) error {
	_, err := c.api.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: aws.String(g.Name), DesiredCapacity: aws.Int32(int32(desired)), HonorCooldown: aws.Bool(false),
	})
	if err != nil {
		return fmt.Errorf("set desired capacity of auto scaling group %q from %d to %d: %w", g.Name, g.DesiredCapacity, desired, err)
	}
	klog.FromContext(ctx).V(0).Info("Set desired capacity", "group", g.Name, "from", g.DesiredCapacity, "to", desired)
	return nil
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
		turn, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		return turn, func() { <-e.turn; cancel(); c.writes.Done() }, nil
	case <-waiting.Done():
		c.writes.Done()
		return nil, nil, fmt.Errorf("auto scaling group %q: wait for the write before ours: %w", name, waiting.Err())
	}
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
