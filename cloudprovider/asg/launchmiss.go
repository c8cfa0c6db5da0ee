package asg

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// afterMiss reads the group to find out what came of launches that AWS did not answer. before is the group before all launches. afterMiss adds
// the instances that the reading shows to those that were launched. If some of n are still lacking, the error is missed, or the reading's. answers
// is how often AWS had answered before the launches.
func (c *Cache) afterMiss(ctx context.Context, before *Group, zone string, n, answers int, launched []Instance, missed *missedError) ([]Instance, error) {
	if wait := missed.settled.Sub(c.clock.Now()); wait > 0 {
		select {
		case <-ctx.Done():
			return launched, ctx.Err()
		case <-c.clock.After(wait):
		}
	}
	g, err := c.readOne(ctx, before.Name)
	if err != nil {
		return launched, err
	}
	launched = withOthers(launched, g.comeSince(before, zone))
	if g.lacking(n, launched) > 0 {
		return launched, missed
	}
	klog.FromContext(ctx).Info("AWS has done what it did not answer to", "group", g.Name, "desired", g.DesiredCapacity, "err", awsclient.Brief(missed.cause))
	if zone == "" && c.mode != LaunchSynchronous && c.calls.launch.Answers(g.Name) == answers {
		c.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause) // or the next launch would wait as long
	}
	return launched, nil
}

// raiseInstead raises the desired capacity by what is lacking of n instances, because AWS did not answer the launches. before is the group before
// them, and answers is how often AWS had answered. The last reading is newer than the launches, and all growth since counts as theirs. Should the
// reading be older than a launch all the same, the raise counts from what the reading states. So it sets what AWS has already made of the desired
// capacity.
func (c *Cache) raiseInstead(ctx context.Context, before *Group, n, answers int, missed *missedError) (*Group, error) {
	_, g := c.entry(before.Name)
	if g == nil {
		return nil, fmt.Errorf("auto scaling group %q: %w", before.Name, ErrGroupNotFound)
	}
	weight := g.Source.MinWeight()
	lacking := ceilDiv(max(0, n*weight-max(0, g.DesiredCapacity-before.DesiredCapacity)), weight)
	if lacking == 0 {
		return g, nil
	}
	if lacking = min(lacking, g.room()); lacking <= 0 {
		return nil, g.full("", 1, g.room())
	}
	raised, err := c.raise(ctx, g, lacking)
	switch {
	case err != nil: // it is not the one call that is in trouble
	case c.calls.launch.Answers(g.Name) == answers:
		c.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause)
	case len(missed.zones) < len(g.launchZones()):
		c.leaveAlone(g, missed)
	}
	return raised, err
}

// missedIn decides what follows from launches of the group that AWS did not answer. answers is how often it had answered before them. Usually the
// zones are left alone, so that others are launched in. If AWS has answered no launch since, and has missed launches in two zones where each was
// for its zone alone, then the call is in trouble: the group uses the older one for a minute, and missedIn returns true.
func (c *Cache) missedIn(ctx context.Context, g *Group, zonal bool, answers int, missed *missedError) bool {
	silent := append(slices.Clone(missed.zones), c.available.failed.UnansweredZones(g.Name)...)
	slices.Sort(silent)
	if c.mode == LaunchSynchronous || c.calls.launch.Answers(g.Name) > answers || zonal && len(slices.Compact(silent)) < 2 {
		c.leaveAlone(g, missed)
		return false
	}
	c.available.failed.Answered(g.Name)
	c.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause)
	return true
}

// leaveAlone keeps the zones of launches that AWS did not answer from being launched in for a minute.
func (c *Cache) leaveAlone(g *Group, missed *missedError) {
	for _, zone := range missed.zones {
		c.available.failed.Unanswered(g.Name, zone, awsclient.Brief(missed.cause))
	}
}
