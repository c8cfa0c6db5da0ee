package asg

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// raise raises the desired capacity by n instances from the present capacity, by the fresh reading g. After a lost answer, a reading shows the
// outcome: at once, or else the next one that succeeds. Other writers may have raised it between the reading and the write. AWS would terminate
// their instances, so a reading after the write repairs that at once. With an n of 0 the desired capacity covers what heavy instances have
// brought, or what AWS keeps. AWS launches nothing for that.
func (c *Cache) raise(ctx context.Context, g *group.Group, present, n int) (err error) {
	name, began := g.Name, c.clock.Now()
	if err := suspended(g, began); err != nil && n > 0 { // since the reading for the increase
		return err
	}
	plan, err := ledger.Raise{}, notFound(name)
	c.look(name, func(e *entry) { plan, err = e.PlanRaise(g, present, n) })
	if err != nil {
		return err
	}
	defer func() {
		if n > 0 {
			c.options.Launched(Launch{Group: name, Call: "SetDesiredCapacity", Asked: n, Started: began}.ended(c.clock.Now(), err))
		}
	}()
	excess := max(0, g.CountedCapacity()-present)
	since, err := c.setWatched(ctx, g, excess, plan.Desired)
	if err != nil && awsclient.IsRefused(err) {
		return err
	}
	known := c.groups.update(name, func(e *entry) { e.Raised(plan, err == nil, since, began, c.clock.Now()) }) != nil
	if err != nil {
		now, readErr := c.Reread(ctx, name)
		if readErr != nil || now.StatedCapacity < plan.Desired {
			return err
		}
		klog.FromContext(ctx).Info("AWS carried out an unanswered call", "group", name, "desired", now.DesiredCapacity, "err", awsclient.Brief(err))
		known = true
	}
	if err := c.repair(ctx, g, excess, plan.Desired, n*g.Source.MinWeight()); err != nil && !known {
		return notFound(name)
	}
	return nil // the next reading will do
}

// Withdraw takes back up to n instances that we asked for and AWS has not launched, and returns how many. It leaves a desired capacity of at least
// the minimum size, the instances that a reading made for the purpose counts, and the launches that the reading may lack: it may be as old as
// ReadingLag, and after a failure AWS tries other zones at once. A launch that has waited for its instance for BeginsWithin counts no more. A
// reading after the write repairs the desired capacity upwards at once if an instance arrived in between. After an error the next try has to wait,
// and the instances are overdue until then: the core would count on them, and wait for AWS in each loop.
func (c *Cache) Withdraw(ctx context.Context, name string, n int) (int, error) {
	taken, err := c.withdraw(ctx, name, n)
	if err != nil && taken == 0 {
		until := c.clock.Now().Add(awsclient.RetryAfter(err, withdrawalPauses))
		c.groups.update(name, func(e *entry) { e.NotWithdrawn(until) })
	}
	return taken, err
}

func (c *Cache) withdraw(ctx context.Context, name string, n int) (int, error) {
	ctx, unlock, _, g, err := c.lockAndRead(ctx, name, c.Reread)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if n, err = c.notBegun(ctx, g, n); err != nil {
		return 0, err
	}
	plan := ledger.Withdrawal{Desired: g.DesiredCapacity}
	c.look(name, func(e *entry) {
		if latest := e.Group(); latest.ReadAt.After(g.ReadAt) { // meanwhile somebody else may have set the desired capacity
			g = latest
		}
		plan = e.PlanWithdrawal(g, n)
	})
	if plan.Desired == g.DesiredCapacity {
		return 0, nil
	}
	if err := c.lower(ctx, g, plan.Desired); err != nil {
		return 0, err
	}
	c.groups.update(name, func(e *entry) { e.Withdrew(plan, c.clock.Now()) })
	return plan.Instances, c.repair(ctx, g, g.Excess(), plan.Desired, 0)
}

// notBegun returns how many of n missing instances AWS has not begun to launch. All of them count if AWS does not show its launches.
func (c *Cache) notBegun(ctx context.Context, g *group.Group, n int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, freshEnough) // the core's loop waits
	defer cancel()
	begun, err := c.begun(ctx, g.Name, c.byAWS(g.ReadAt).Add(-ledger.ReadingLag), c.byAWS(c.clock.Now()).Add(-ledger.BeginsWithin))
	begun = slices.DeleteFunc(begun, func(id string) bool { i := g.Instance(id); return i != nil && i.Lifecycle.Counts() })
	switch {
	case err != nil && !awsclient.IsRefusedForGood(err):
		return 0, err
	case len(begun) == 0:
		return n, nil
	}
	return min(n, g.NotBegun(len(begun))), nil
}

// lower sets a lower desired capacity. After a lost answer, a reading shows the outcome.
func (c *Cache) lower(ctx context.Context, g *group.Group, desired int) error {
	_, err := c.setWatched(ctx, g, g.Excess(), desired)
	if err == nil || awsclient.IsRefused(err) {
		return err
	}
	if now, readErr := c.Reread(ctx, g.Name); readErr == nil && now.DesiredCapacity <= desired {
		klog.FromContext(ctx).Info("AWS carried out an unanswered call", "group", g.Name, "desired", now.DesiredCapacity, "err", awsclient.Brief(err))
		return nil
	}
	return err
}

// setDesired sets the desired capacity and returns when it began to, by AWS's clock: AWS may launch before it answers. The caller
// has the group lock, and g is fresh.
func (c *Cache) setDesired(ctx context.Context, g *group.Group, desired int) (began time.Time, err error) {
	began = c.byAWS(c.clock.Now())
	out, err := c.setWhileStated(ctx, g, desired)
	if err != nil {
		return began, fmt.Errorf("set desired capacity of auto scaling group %q from %d to %d: %w", g.Name, g.DesiredCapacity, desired, err)
	}
	klog.FromContext(ctx).V(0).Info("Set desired capacity", "group", g.Name, "from", g.DesiredCapacity, "to", desired)
	return slices.MinFunc([]time.Time{began, serverTime(out.ResultMetadata, began)}, time.Time.Compare), nil
}

// setWhileStated makes the call of setDesired. It repeats a lost or throttled call only if a reading states the desired capacity of g, because another
// writer may have set theirs since. The error is the first one that leaves open whether AWS carried the call out, if there is one: the refusal of a
// later try says nothing about that.
func (c *Cache) setWhileStated(ctx context.Context, g *group.Group, desired int) (*autoscaling.SetDesiredCapacityOutput, error) {
	var open error
	for try, most := 1, 1; ; try++ {
		out, err := c.api.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
			AutoScalingGroupName: aws.String(g.Name), DesiredCapacity: aws.Int32(int32(desired)), HonorCooldown: aws.Bool(false),
		}, awsclient.Once(&most))
		if err == nil {
			return out, nil
		}
		if !awsclient.IsRefused(err) {
			open = cmp.Or(open, err)
		}
		if try >= most || !awsclient.WouldRepeat(err) {
			if open != nil && awsclient.IsRefused(err) {
				err = fmt.Errorf("%w; then: %v", open, err)
			}
			return nil, err
		}
		if changed := c.stillStates(ctx, g); changed != nil {
			return nil, fmt.Errorf("%w; not repeated: %v", cmp.Or(open, err), changed)
		}
	}
}

// stillStates returns nil if a reading a moment later states the desired capacity of g.
func (c *Cache) stillStates(ctx context.Context, g *group.Group) error {
	if err := awsclient.Pause(ctx, c.clock, unansweredPoll); err != nil {
		return err
	}
	now, err := c.Reread(ctx, g.Name)
	if err == nil && now.StatedCapacity != g.StatedCapacity {
		err = fmt.Errorf("desired capacity was %d and is %d now", g.StatedCapacity, now.StatedCapacity)
	}
	return err
}

// setWatched is setDesired on the ground of the reading g, with excess capacity that desired is not to cover. It notes the write before the call,
// because a reading may show it before AWS answers, and the answer may be lost. It takes the note back if AWS refuses.
func (c *Cache) setWatched(ctx context.Context, g *group.Group, excess, desired int) (began time.Time, err error) {
	now := c.clock.Now()
	c.groups.update(g.Name, func(e *entry) { e.Attempt(desired, excess, now) })
	if began, err = c.setDesired(ctx, g, desired); err != nil && awsclient.IsRefused(err) {
		c.groups.update(g.Name, func(e *entry) { e.Refused() })
	}
	return began, err
}
