package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// AWS answers a launch whose token it remembers with the instances that it launched the first time. It documents no length for its
// memory, so nothing depends on one beyond a call: tokens change with the window, and nobody asks again for what a reading shows.
// So a process learns the outcome of a launch that the process before it made. It may also learn of instances that have come and
// gone since. Those are no nodes to come, and differ from instances that a reading does not show yet.

// failureAge is how old a failure may be that is believed. It is shorter than the cool-down that the process which saw it began.
const failureAge = 2 * time.Minute

// endedGrace is how long ended instances are listed at least, and more than AWS's clock may be wrong by.
const endedGrace = 2 * time.Second

// mayRepeat reports whether a process before us may have asked by the tokens of the window.
func (e *entry) mayRepeat(window int64) bool { return window <= windowOf(e.metAt, tokenAge) }

// tellsOf reports whether the answer tells of an instance of which that is true.
func tellsOf(out *autoscaling.LaunchInstancesOutput, is func(id string) bool) bool {
	return slices.ContainsFunc(out.Instances, func(some types.InstanceCollection) bool { return slices.ContainsFunc(some.InstanceIds, is) })
}

// shows reports whether the group has had some of the instances already. Then the answer is one that was given before: to a
// process before us, which has seen them go.
func (g *Group) shows(out *autoscaling.LaunchInstancesOutput) bool {
	return tellsOf(out, func(id string) bool { return g.instance(id) != nil })
}

// noteEnded remembers the instances that were on their way out as of the reading before, our own terminations included, or are
// in g, with the moment at which that was known. Only while AWS may repeat an answer about them that a process before us had.
func (e *entry) noteEnded(g *Group) {
	if e.ended == nil || !e.mayRepeat(windowOf(g.ReadAt, tokenAge)) {
		e.ended = nil // for the memory alone: no launch brings back an instance that has ended
		return
	}
	for _, reading := range []*Group{e.group, g} {
		if reading == nil {
			continue
		}
		for _, i := range reading.Instances {
			if _, known := e.ended[i.ID]; !known && (i.Lifecycle.Leaving() || g.instance(i.ID) == nil) {
				e.ended[i.ID] = g.ReadAt
			}
		}
	}
}

// sawEnded reports whether some of the instances had been seen on their way out before AWS was first asked for them, and may be
// shown no more: their launch was a process's before us.
func (c *Cache) sawEnded(o order, out *autoscaling.LaunchInstancesOutput) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[o.group]
	return e != nil && tellsOf(out, func(id string) bool {
		at, ended := e.ended[id]
		return ended && at.Before(o.began)
	})
}

// repeatedFailure reports whether the answer may be the failure that a process before us was told of, and is worth asking again
// for: there may be capacity by now, and what was wrong with the group may be mended. Then AWS is asked by a token that all
// processes share for the failureAge: should this one end while AWS is at it, the next one gets its answer. What this process
// has asked before is not asked again.
func (c *Cache) repeatedFailure(g *Group, o order, out *autoscaling.LaunchInstancesOutput) bool {
	lasting := func(e types.LaunchInstancesError) bool {
		return o.restsFor(g.meaningOf(o, e).Class, len(g.launchZones()))
	}
	if o.as.again > 0 || len(out.Instances) > 0 || !slices.ContainsFunc(out.Errors, lasting) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[o.group]
	return e != nil && e.tries[o.as] == 0 && e.mayRepeat(o.as.window)
}

// restsFor reports whether a failure of the class keeps the group, of so many zones, from launching for minutes. Where a zone
// lacks capacity, the others are tried at once, if they will do.
func (o order) restsFor(class awsmessage.Class, zones int) bool {
	switch class {
	case awsmessage.NoCapacity, awsmessage.SpotLimit:
		return o.alone || zones == 1
	case awsmessage.Quota, awsmessage.Permission, awsmessage.Configuration:
		return true
	}
	return false
}

// lastOfOthers is the last moment, by AWS's clock, at which an instance of the answer can have ended for which that was given
// to a process before us; zero if this one has lived too long for that, or AWS was asked already what ended before.
func (e *entry) lastOfOthers(o order, out *autoscaling.LaunchInstancesOutput, now time.Time) time.Time {
	if e.endedAsked || !e.mayRepeat(o.as.window) {
		return time.Time{}
	}
	asked := now
	if told, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		asked = told // AWS's clock and ours may differ
	}
	return asked.Add(o.began.Sub(now) - endedGrace)
}

// readEnded asks AWS of instances that it says it has launched, and that a reading since does not show, whether it has ended
// them before it was asked. It costs a call per group, once.
func (c *Cache) readEnded(ctx context.Context) {
	due := c.endedDue()
	names := slices.Sorted(maps.Keys(due))
	parallel(len(names), looksAtOnce, func(i int) { c.readEndedOf(ctx, names[i], due[names[i]]) })
}

// readEndedOf is readEnded for one group, whose instances can have ended until then at the latest.
func (c *Cache) readEndedOf(ctx context.Context, name string, until time.Time) {
	ended, err := c.ended(ctx, name, until.Add(-tokenAge))
	switch {
	case ctx.Err() != nil:
	case err == nil:
		c.dropEnded(ctx, name, ended, until)
	case awsclient.IsDenied(err):
		c.update(name, func(e *entry, _ *Group) { e.endedAsked = true })
		klog.FromContext(ctx).Info("Could not see whether AWS has repeated an answer that a process before this one had", "group", name,
			"err", awsclient.Brief(err), "remedy", "allow autoscaling:DescribeScalingActivities; until then such instances are waited for")
	default:
		klog.FromContext(ctx).V(2).Info("Could not see whether AWS has repeated an answer, trying again", "group", name, "err", awsclient.Brief(err))
	}
}

// confirmed are those of the instances just launched that did not end before they were asked for. While no process before us can
// have had the answer it makes no call; else one, and a second where a reading does not show all of them.
func (c *Cache) confirmed(ctx context.Context, name string, launched []Instance) []Instance {
	c.mu.Lock()
	e := c.entries[name]
	sure := e == nil || !slices.ContainsFunc(launched, func(i Instance) bool { return !e.arriving[i.ID].lastOfOthers.IsZero() })
	c.mu.Unlock()
	if sure {
		return launched
	}
	if err := c.refreshNamed(ctx, []string{name}); err != nil {
		return launched // the readings to come tell
	}
	if until, due := c.endedDue()[name]; due {
		c.readEndedOf(ctx, name, until)
	}
	_, g := c.entry(name)
	return slices.DeleteFunc(slices.Clone(launched), func(i Instance) bool { return g == nil || g.instance(i.ID) == nil })
}

// endedDue returns the groups of whose launches an earlier process may have had the answer, with the last moment at which their
// instances can have ended then.
func (c *Cache) endedDue() map[string]time.Time {
	due := map[string]time.Time{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, e := range c.entries {
		if e.endedAsked {
			continue
		}
		for _, a := range e.arriving {
			if !a.lastOfOthers.IsZero() && e.group.ReadAt.After(a.at) && a.lastOfOthers.After(due[name]) {
				due[name] = a.lastOfOthers
			}
		}
	}
	return due
}

// dropEnded waits no longer for the instances that had ended before they were asked for, and reads the group anew without them.
func (c *Cache) dropEnded(ctx context.Context, name string, ended map[string]time.Time, until time.Time) {
	dropped := 0
	c.update(name, func(e *entry, g *Group) {
		e.endedAsked = true
		for id := range ended {
			if e.ended != nil {
				e.ended[id] = time.Time{} // before whatever is asked from now on
			}
		}
		for id, a := range e.arriving {
			if at, gone := ended[id]; gone && !at.After(until) && !a.lastOfOthers.IsZero() {
				delete(e.arriving, id)
				e.shift(g, -a.Weight, g.ReadAt)
				dropped++
			}
		}
	})
	if dropped == 0 {
		return
	}
	klog.FromContext(ctx).Info("AWS has repeated an answer that a process before this one had: the instances are gone", "group", name, "instances", dropped)
	if err := c.refreshNamed(ctx, []string{name}); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Reading the group anew failed, trying again", "group", name, "err", awsclient.Brief(err))
	}
}
