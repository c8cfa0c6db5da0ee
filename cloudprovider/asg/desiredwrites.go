package asg

import (
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

// capacity writes desired capacities, and repairs lost updates of its writes.
type capacity struct {
	*shared
	reader     *reader
	activities *activities
}

// setDesired sets the desired capacity and returns when AWS accepted it, by AWS's clock if the answer has its time. The caller has the group lock,
// and g is fresh. After a lost or throttled call, the SDK repeats it only if a reading states the desired capacity of g, because another writer may
// have set theirs since.
func (w *capacity) setDesired(ctx context.Context, g *group.Group, desired int) (accepted time.Time, err error) {
	now := w.clock.Now()
	out, err := w.api.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: aws.String(g.Name), DesiredCapacity: aws.Int32(int32(desired)), HonorCooldown: aws.Bool(false),
	}, awsclient.RepeatIf(func() error {
		again, err := w.reader.Reread(ctx, g.Name)
		if err == nil && again.StatedCapacity != g.StatedCapacity {
			err = fmt.Errorf("desired capacity was %d and is %d now", g.StatedCapacity, again.StatedCapacity)
		}
		return err
	}))
	if err != nil {
		return now, fmt.Errorf("set desired capacity of auto scaling group %q from %d to %d: %w", g.Name, g.DesiredCapacity, desired, err)
	}
	klog.FromContext(ctx).V(0).Info("Set desired capacity", "group", g.Name, "from", g.DesiredCapacity, "to", desired)
	return serverTime(out.ResultMetadata, now), nil
}

// raise raises the desired capacity by n instances, from the fresh reading g. After a lost answer, a reading shows the outcome: at once, or else the
// next one that succeeds. Other writers may have raised it between the reading and the write. AWS would terminate their instances, so a reading after
// the write repairs that at once. With an n of 0 the desired capacity covers what heavy instances have brought. AWS launches nothing
// for that.
func (w *capacity) raise(ctx context.Context, g *group.Group, n int) (raised *group.Group, err error) {
	name, before, began := g.Name, g, w.clock.Now()
	plan, err := ledger.Raise{}, notFound(name)
	w.look(name, func(e *entry) { plan, err = e.PlanRaise(g, n) })
	if err != nil {
		return nil, err
	}
	defer func() {
		if n == 0 {
			return
		}
		w.report(Launch{Group: name, Call: "SetDesiredCapacity", Asked: n, Started: began}, err)
	}()
	since, err := w.setWatched(ctx, g, plan.Desired)
	if err != nil && awsclient.IsRefused(err) {
		return nil, err
	}
	g = w.groups.update(name, func(e *entry) { e.Raised(plan, err == nil, since, began, w.clock.Now()) })
	if err != nil {
		now, readErr := w.reader.Reread(ctx, name)
		if readErr != nil || now.StatedCapacity < plan.Desired {
			return g, err
		}
		klog.FromContext(ctx).Info("AWS carried out an unanswered call", "group", name, "desired", now.DesiredCapacity, "err", awsclient.Brief(err))
		g = now
	}
	if repaired, err := w.repair(ctx, before, plan.Desired, n*before.Source.MinWeight()); err == nil {
		return repaired, nil
	}
	if g == nil {
		return nil, notFound(name)
	}
	return g, nil // the next reading will do
}

// Withdraw takes back up to n instances that we asked for and AWS has not launched, and returns how many. It leaves a desired capacity of at least
// the minimum size, the instances that a reading made for the purpose counts, and the launches that AWS has begun since: after a failure AWS tries
// other zones at once. A launch that has waited for its instance for BeginsWithin counts no more. A reading after the write repairs the desired
// capacity upwards at once if an instance arrived in between.
func (w *capacity) Withdraw(ctx context.Context, name string, n int) (int, *group.Group, error) {
	return w.withdraw(ctx, name, func(ctx context.Context, g *group.Group) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, freshEnough) // the core's loop waits
		defer cancel()
		begun, err := w.activities.begun(ctx, name, g.ReadAt.Add(-ledger.ClockSkew), w.clock.Now().Add(-ledger.BeginsWithin))
		begun = slices.DeleteFunc(begun, func(id string) bool { return g.Instance(id) != nil })
		switch {
		case err != nil && !awsclient.IsDenied(err):
			return 0, err
		case len(begun) == 0:
			return n, nil
		}
		return min(n, g.NotBegun(begun)), nil
	})
}

// withdraw is Withdraw of as many instances as most allows in the fresh reading.
func (w *capacity) withdraw(ctx context.Context, name string, most func(context.Context, *group.Group) (int, error)) (int, *group.Group, error) {
	ctx, unlock, g, err := w.reader.lockAndRead(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	defer unlock()
	n, err := most(ctx, g)
	plan := ledger.Withdrawal{Desired: g.DesiredCapacity}
	w.look(name, func(e *entry) { plan = e.PlanWithdrawal(g, n) })
	if err != nil || plan.Desired == g.DesiredCapacity {
		return 0, g, err
	}
	if err := w.lower(ctx, g, plan.Desired); err != nil {
		again := !awsclient.IsDenied(err) && !awsclient.IsInvalid(err)
		return 0, w.groups.update(name, func(e *entry) { e.NotWithdrawn(again) }), err
	}
	w.groups.update(name, func(e *entry) { e.Withdrew(plan, w.clock.Now()) })
	g, err = w.repair(ctx, g, plan.Desired, 0)
	return plan.Instances, g, err
}

// lower sets a lower desired capacity. After a lost answer, a reading shows the outcome.
func (w *capacity) lower(ctx context.Context, g *group.Group, desired int) error {
	_, err := w.setWatched(ctx, g, desired)
	if err == nil || awsclient.IsRefused(err) {
		return err
	}
	if now, readErr := w.reader.Reread(ctx, g.Name); readErr == nil && now.DesiredCapacity <= desired {
		klog.FromContext(ctx).Info("AWS carried out an unanswered call", "group", g.Name, "desired", now.DesiredCapacity, "err", awsclient.Brief(err))
		return nil
	}
	return err
}
