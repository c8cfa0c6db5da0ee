package asg

import (
	"context"
	"slices"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// AWS answers a launch whose token it remembers with the instances of the first time. It documents no length for its memory, so nothing
// depends on one beyond a call: tokens change with the window, and nobody asks again for what a reading shows. So a process learns the
// outcome of a launch that a previous leader made. It may also learn of instances that have come and gone since. A reading will never show
// those.

// replays recognises answers that AWS gave a previous leader before.
type replays struct {
	groups     *groups
	reader     *reader
	activities *activities
	clock      clock.WithTicker
}

// fromPredecessor is how many of the instances that were to be launched, in those of the least weight, have come from a process before us
// since before, the group by which that was decided; in the zone if one is named. It wanted the same.
func (p *replays) fromPredecessor(before, g *Group, zone string) int {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	e := p.groups.entries[g.Name]
	if e == nil || before == nil || p.clock.Since(e.metAt) > predecessorLaunches {
		return 0
	}
	come := 0
	for _, i := range g.newSince(before, zone) {
		come += i.Weight
	}
	return min(come, max(0, g.DesiredCapacity-before.DesiredCapacity)) / g.Source.MinWeight()
}

// mayReplay reports whether a process before us may have asked by the tokens of the window.
func (e *entry) mayReplay(window int64) bool { return window <= windowOf(e.metAt, tokenAge) }

// namesAny reports whether the answer tells of an instance of which that is true.
func namesAny(out *autoscaling.LaunchInstancesOutput, is func(id string) bool) bool {
	return slices.ContainsFunc(out.Instances, func(some types.InstanceCollection) bool { return slices.ContainsFunc(some.InstanceIds, is) })
}

// hasAny reports whether the group has had some of the instances already. Then the answer is one that was given before: to a
// process before us, which has seen them go.
func (g *Group) hasAny(out *autoscaling.LaunchInstancesOutput) bool {
	return namesAny(out, func(id string) bool { return g.instance(id) != nil })
}

// noteEndedBefore remembers the instances that were on their way out as of the reading before, our own terminations included, or are
// in g, with the moment at which that was known. Only while AWS may repeat an answer about them that a process before us had.
func (e *entry) noteEndedBefore(g *Group) {
	if e.endedBefore == nil || !e.mayReplay(windowOf(g.ReadAt, tokenAge)) {
		e.endedBefore = nil // for the memory alone: no launch brings back an instance that has ended
		return
	}
	for _, reading := range []*Group{e.group, g} {
		if reading == nil {
			continue
		}
		for _, i := range reading.Instances {
			if _, known := e.endedBefore[i.ID]; !known && (i.Lifecycle.Leaving() || g.instance(i.ID) == nil) {
				e.endedBefore[i.ID] = g.ReadAt
			}
		}
	}
}

// endedBefore reports whether some of the instances had been seen on their way out before AWS was first asked for them, and may be
// shown no more: their launch was a process's before us.
func (p *replays) endedBefore(o launchRequest, out *autoscaling.LaunchInstancesOutput) bool {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	e := p.groups.entries[o.group]
	return e != nil && namesAny(out, func(id string) bool {
		at, ended := e.endedBefore[id]
		return ended && at.Before(o.began)
	})
}

// isOldFailure reports whether the answer may be the failure that a process before us was told of, and is worth asking again
// for: there may be capacity by now, and what was wrong with the group may be mended. Then AWS is asked by a token that all
// processes share for the failureAge: should this one end while AWS is at it, the next one gets its answer. What this process
// has asked before is not asked again.
func (p *replays) isOldFailure(g *Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) bool {
	lasting := func(e types.LaunchInstancesError) bool {
		return o.coolsDown(g.meaningOf(o, e).Class, len(g.launchZones()))
	}
	if o.key.retryWindow > 0 || len(out.Instances) > 0 || !slices.ContainsFunc(out.Errors, lasting) {
		return false
	}
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	e := p.groups.entries[o.group]
	return e != nil && e.keyUses[o.key] == 0 && e.mayReplay(o.key.window)
}

// coolsDown reports whether a failure of the class keeps the group, of so many zones, from launching for minutes. Where a zone
// lacks capacity, the others are tried at once, if they will do.
func (o launchRequest) coolsDown(class awsmessage.Class, zones int) bool {
	switch class {
	case awsmessage.NoCapacity, awsmessage.SpotLimit:
		return o.alone || zones == 1
	case awsmessage.Quota, awsmessage.Permission, awsmessage.Configuration:
		return true
	}
	return false
}

// predecessorsLast is the last moment, by AWS's clock, at which an instance of the answer can have ended for which that was given
// to a process before us; zero if this one has lived too long for that, or AWS was asked already what ended before.
func (e *entry) predecessorsLast(o launchRequest, out *autoscaling.LaunchInstancesOutput, now time.Time) time.Time {
	if e.replaysChecked || !e.mayReplay(o.key.window) {
		return time.Time{}
	}
	asked := now
	if told, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		asked = told // AWS's clock and ours may differ
	}
	return asked.Add(o.began.Sub(now) - clockSkew)
}

// awaitPredecessor waits while a process before us may have a launch under way whose token belongs to the window before ours. AWS would
// take our token for another launch. Then outlast reads the group and returns the instances that came of it. Only a young
// process waits, and only just after the edge of a window: a call never outlives predecessorCall.
func (p *replays) awaitPredecessor(ctx context.Context, g *Group, o launchRequest, window time.Duration) (come []Instance, err error) {
	e, _ := p.groups.entry(g.Name)
	if e == nil {
		return nil, nil
	}
	now := p.clock.Now()
	last := time.Unix(0, windowOf(now, window)*int64(window)) // when a token of the window before was last used
	if e.metAt.Before(last) {
		last = e.metAt // the process before us ended before we first read the group
	}
	wait := last.Add(predecessorCall).Sub(now)
	if wait <= 0 {
		return nil, nil
	}
	klog.FromContext(ctx).Info("Waiting for a launch that a process before this one may have begun", "group", g.Name, "zone", o.zone, "wait", wait)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.clock.After(wait):
	}
	after, err := p.reader.readOne(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	zone := ""
	if o.alone {
		zone = o.zone
	}
	return after.newSince(g, zone), nil
}
