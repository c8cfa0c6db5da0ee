package asg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// Launch is one request for instances, with AWS's answer.
type Launch struct {
	Group    string // name of the Auto Scaling group
	Zone     string // "" where AWS chooses the zones
	Call     string // of AWS
	Asked    int    // instances, 0 for launches that AWS gave up on its own
	Launched int    // instances that the answer named, always 0 for SetDesiredCapacity
	Started  time.Time
	Duration time.Duration
	Failures cooldown.Failures // in AWS's words

	// Refused says why AWS was asked in vain, "" where it was not. Class is its kind, which is Unknown for a call without an answer.
	Refused     string
	RefusedCall string // "" where the error names none
	Class       awsmessage.Class
}

func (l Launch) ended(now time.Time, err error) Launch {
	l.Duration = max(0, now.Sub(l.Started))
	if _, failed := errors.AsType[*LaunchError](err); err != nil && !failed {
		l.Refused, l.RefusedCall, l.Class = awsclient.Brief(err), awsclient.Operation(err), awsmessage.OfCode(awsclient.Code(err))
	}
	return l
}

// launch launches up to n instances in the group at once, from the fresh reading g, and returns them. Heavy instances are fewer. It spreads them over
// the zones that have capacity, and tries the next zones where AWS has none or fails for a moment, or it launches them in the one named zone. Where an
// instance counts for its hardware, it launches in one zone after the other, because AWS chooses the types and the first zone may bring all. If nothing
// was launched, the error is a *LaunchError, wraps errNotSynchronous, or wraps the SDK's. An *unansweredError can come with instances. It costs a call
// per zone and 100 instances. The caller has the group lock.
func (c *Cache) launch(ctx context.Context, g *group.Group, zone string, n int) (launched []group.Instance, err error) {
	name := g.Name
	var failures cooldown.Failures
	passing := map[string]string{}
	repeated, before, answers := 0, g, c.calls.launch.Answers(name)
	for rounds := 2*len(g.Zones) + 1; g.Shortfall(n, launched) > 0 && rounds > 0; rounds-- {
		plan := c.plan(g, zone, g.Shortfall(n, launched), passing)
		if len(plan) == 0 {
			break
		}
		if g.Source.CountsHardware() {
			plan = []launchRequest{slices.MaxFunc(plan, func(a, b launchRequest) int { return cmp.Compare(a.count, b.count) })}
		}
		got := c.launchRound(ctx, g, plan)
		launched = union(launched, got.launched)
		failures = append(failures, got.failures...)
		maps.Copy(passing, got.passing)
		if got.replayed && repeated < maxReplays {
			repeated++
			rounds++ // a replay is no failure
		} else if g.Source.CountsHardware() && len(got.launched) > 0 {
			rounds++
		}
		if got.missed != nil {
			return c.outcomeOf(ctx, before, zone, n, answers, launched, got.missed)
		}
		if slices.ContainsFunc(got.launched, func(i group.Instance) bool { return i.Unweighed }) {
			return launched, nil // the next reading shows their weight
		}
		if got.err != nil {
			if len(launched) == 0 {
				return nil, got.err
			}
			klog.FromContext(ctx).Info("Launched less than asked", "group", name, "launched", len(launched), "of", n, "err", awsclient.Brief(got.err))
			return launched, nil
		}
		if _, g = c.groups.entry(name); g == nil {
			return launched, notFound(name)
		}
	}
	if len(launched) > 0 {
		for zone, why := range passing { // otherwise the next increase would begin there again
			if !slices.ContainsFunc(launched, func(i group.Instance) bool { return i.Zone == zone }) {
				c.available.failed.Passing(name, zone, why)
			}
		}
		return launched, nil
	}
	if len(failures) == 0 { // no zone was available
		coolDown, _ := c.available.inAllZones(g, zone)
		failures = cooldown.Failures{{At: c.clock.Now(), Code: string(coolDown.Class), Pool: coolDown.Pool,
			Message: fmt.Sprintf("left alone until %s: %s", coolDown.Until.UTC().Format(time.TimeOnly), coolDown.Message)}}
	}
	return nil, &LaunchError{Group: name, Failures: failures}
}

func (c *Cache) launchRound(ctx context.Context, g *group.Group, plan []launchRequest) launchResult {
	outcomes := make([]launchResult, len(plan))
	awsclient.Parallel(len(plan), launchesAtOnce, func(at int) { outcomes[at] = c.launchOrder(ctx, g, plan[at]) })
	all := launchResult{passing: map[string]string{}}
	for _, o := range outcomes {
		all.launched = union(all.launched, o.launched)
		all.failures = append(all.failures, o.failures...)
		maps.Copy(all.passing, o.passing)
		all.replayed = all.replayed || o.replayed
		if missed := unansweredIn(o.err); missed != nil {
			all.missed = missed.with(all.missed)
		} else if all.err == nil {
			all.err = o.err
		}
	}
	return all
}
