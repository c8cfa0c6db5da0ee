package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// AWS answers a launch whose token it remembers with the instances of the first time. It documents no length for its memory, so nothing depends on
// one beyond a call: tokens change with the window, and nobody asks again for what a reading shows. So a process learns the outcome of a launch that
// a previous leader made. It may also learn of instances that have come and gone since. A reading will never show those.

// replays recognises answers that AWS gave to a previous leader.
type replays struct {
	*shared
	reader     *reader
	activities *activities

	noPredecessor bool // no launch of an earlier process can be in progress
}

// fromPredecessor counts instances that appeared since before because a previous leader already asked for them. They satisfy part of this request. It
// counts in instances of the least weight, in the zone if one is named.
func (p *replays) fromPredecessor(before, g *group.Group, zone string) int {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	e := p.groups.entries[g.Name]
	if e == nil || before == nil || p.clock.Since(e.metAt) > predecessorLaunches {
		return 0
	}
	come := 0
	for _, i := range g.NewSince(before, zone) {
		come += i.Weight
	}
	return min(come, max(0, g.DesiredCapacity-before.DesiredCapacity)) / g.Source.MinWeight()
}

// mayReplay reports whether a previous leader may have used tokens of the window.
func (e *entry) mayReplay(window int64) bool { return window <= windowOf(e.metAt, tokenAge) }

// namesAny reports whether the answer names an instance for which is returns true.
func namesAny(out *autoscaling.LaunchInstancesOutput, is func(id string) bool) bool {
	return slices.ContainsFunc(out.Instances, func(some types.InstanceCollection) bool { return slices.ContainsFunc(some.InstanceIds, is) })
}

// hasAny reports whether the group already had some of the instances. Then the answer is a replay: a previous leader had it, and saw them go.
func hasAny(g *group.Group, out *autoscaling.LaunchInstancesOutput) bool {
	return namesAny(out, func(id string) bool { return g.Instance(id) != nil })
}

// noteEndedBefore remembers the instances that the reading before showed on their way out, our terminations included, or that g shows so, with the
// time. It stops when AWS can no longer replay an answer about them.
func (e *entry) noteEndedBefore(g *group.Group) {
	if e.endedBefore == nil || !e.mayReplay(windowOf(g.ReadAt, tokenAge)) {
		e.endedBefore = nil // to free the memory: no launch brings back an ended instance
		return
	}
	for _, reading := range []*group.Group{e.group, g} {
		if reading == nil {
			continue
		}
		for _, i := range reading.Instances {
			if _, known := e.endedBefore[i.ID]; !known && (i.Lifecycle.Leaving() || g.Instance(i.ID) == nil) {
				e.endedBefore[i.ID] = g.ReadAt
			}
		}
	}
}

// endedBefore reports whether some of the instances had been on their way out before our first try: a previous leader launched them.
func (p *replays) endedBefore(o launchRequest, out *autoscaling.LaunchInstancesOutput) bool {
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	e := p.groups.entries[o.group]
	return e != nil && namesAny(out, func(id string) bool {
		at, ended := e.endedBefore[id]
		return ended && at.Before(o.began)
	})
}

// isOldFailure reports whether the answer may be a failure that a previous leader had, and is worth another try: there may be capacity now, and
// somebody may have mended the group. The retry uses a token that all processes share for failureAge, so that the next process gets its answer if
// this one ends meanwhile. A process does not retry its own launches.
func (p *replays) isOldFailure(g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) bool {
	lasting := func(e types.LaunchInstancesError) bool {
		return o.coolsDown(meaningOf(g, o, e).Class, len(g.LaunchZones()))
	}
	if o.key.retryWindow > 0 || len(out.Instances) > 0 || !slices.ContainsFunc(out.Errors, lasting) {
		return false
	}
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	e := p.groups.entries[o.group]
	return e != nil && e.keyUses[o.key] == 0 && e.mayReplay(o.key.window)
}

// coolsDown reports whether a failure of the class keeps a group of so many zones from launching for minutes. If one zone lacks capacity, other zones
// are tried at once, where they serve.
func (o launchRequest) coolsDown(class awsmessage.Class, zones int) bool {
	switch class {
	case awsmessage.NoCapacity, awsmessage.SpotLimit:
		return o.alone || zones == 1
	case awsmessage.Quota, awsmessage.Permission, awsmessage.Configuration:
		return true
	}
	return false
}

// predecessorsLast returns the last moment, by AWS's clock, at which a replayed instance can have ended. It is zero if this process has lived too
// long for replays, or has already asked AWS.
func (e *entry) predecessorsLast(o launchRequest, out *autoscaling.LaunchInstancesOutput, now time.Time) time.Time {
	if e.replaysChecked || !e.mayReplay(o.key.window) {
		return time.Time{}
	}
	return serverTime(out.ResultMetadata, now).Add(o.began.Sub(now) - clockSkew)
}

// awaitPredecessor waits while a previous leader's launch with a token of the window before may be in progress. AWS would take our token for another
// launch. Then it reads the group and returns the new instances. Only a young process waits, just after the edge of a window, because no call
// outlives predecessorCall. It does not wait if the previous leader had ended its work.
func (p *replays) awaitPredecessor(ctx context.Context, g *group.Group, o launchRequest, window time.Duration) (come []group.Instance, err error) {
	e, _ := p.groups.entry(g.Name)
	if e == nil || p.noPredecessor {
		return nil, nil
	}
	now := p.clock.Now()
	last := time.Unix(0, windowOf(now, window)*int64(window)) // the last use of a token of the window before
	if e.metAt.Before(last) {
		last = e.metAt // the previous leader ended before our first reading
	}
	wait := last.Add(predecessorCall).Sub(now)
	if wait <= 0 {
		return nil, nil
	}
	klog.FromContext(ctx).Info("Waiting for a launch that a previous leader may have begun", "group", g.Name, "zone", o.zone, "wait", wait)
	if err := pause(ctx, p.clock, wait); err != nil {
		return nil, err
	}
	after, err := p.reader.Reread(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	zone := ""
	if o.alone {
		zone = o.zone
	}
	return after.NewSince(g, zone), nil
}

// check asks AWS whether it terminated launched instances, which no reading shows, before we asked for them. It costs one call per group.
func (p *replays) check(ctx context.Context) {
	due := p.due()
	names := slices.Sorted(maps.Keys(due))
	parallel(len(names), looksAtOnce, func(i int) { p.checkGroup(ctx, names[i], due[names[i]]) })
}

// checkGroup is check for one group. Its instances can have ended until then at the latest.
func (p *replays) checkGroup(ctx context.Context, name string, until time.Time) {
	ended, err := p.activities.terminatedSince(ctx, name, until.Add(-tokenAge))
	switch {
	case ctx.Err() != nil:
	case err == nil:
		p.dropReplayed(ctx, name, ended, until)
	case awsclient.IsDenied(err):
		p.groups.update(name, func(e *entry, _ *group.Group) { e.replaysChecked = true })
		klog.FromContext(ctx).Info("Could not check whether AWS replayed an answer to a previous leader", "group", name,
			"err", awsclient.Brief(err), "remedy", "allow autoscaling:DescribeScalingActivities, because the autoscaler waits for such instances until then")
	default:
		klog.FromContext(ctx).V(2).Info("Could not check whether AWS replayed an answer, trying again", "group", name, "err", awsclient.Brief(err))
	}
}

// confirmed returns the launched instances that did not end before we asked for them. It makes no call if no previous leader can have had the answer,
// else one, and a second if a reading does not show all of them.
func (p *replays) confirmed(ctx context.Context, name string, launched []group.Instance) []group.Instance {
	p.groups.mu.Lock()
	e := p.groups.entries[name]
	sure := e == nil || !slices.ContainsFunc(launched, func(i group.Instance) bool { return !e.arriving[i.ID].predecessorsLast.IsZero() })
	p.groups.mu.Unlock()
	if sure {
		return launched
	}
	if err := p.reader.refreshNamed(ctx, []string{name}); err != nil {
		return launched // later readings show it
	}
	if until, due := p.due()[name]; due {
		p.checkGroup(ctx, name, until)
	}
	_, g := p.groups.entry(name)
	return slices.DeleteFunc(slices.Clone(launched), func(i group.Instance) bool { return g == nil || g.Instance(i.ID) == nil })
}

// due returns the groups with possibly replayed launches, with the last moment at which their instances can have ended.
func (p *replays) due() map[string]time.Time {
	due := map[string]time.Time{}
	p.groups.mu.Lock()
	defer p.groups.mu.Unlock()
	for name, e := range p.groups.entries {
		if e.replaysChecked {
			continue
		}
		for _, a := range e.arriving {
			if !a.predecessorsLast.IsZero() && e.group.ReadAt.After(a.at) && a.predecessorsLast.After(due[name]) {
				due[name] = a.predecessorsLast
			}
		}
	}
	return due
}

// dropReplayed stops waiting for instances that had ended before we asked for them, and reads the group without them.
func (p *replays) dropReplayed(ctx context.Context, name string, ended map[string]time.Time, until time.Time) {
	dropped := 0
	p.groups.update(name, func(e *entry, g *group.Group) {
		e.replaysChecked = true
		for id := range ended {
			if e.endedBefore != nil {
				e.endedBefore[id] = time.Time{} // before every later request
			}
		}
		for id, a := range e.arriving {
			if at, gone := ended[id]; gone && !at.After(until) && !a.predecessorsLast.IsZero() {
				delete(e.arriving, id)
				e.shift(g, -a.Weight, g.ReadAt, false)
				dropped++
			}
		}
	})
	if dropped == 0 {
		return
	}
	klog.FromContext(ctx).Info("AWS replayed an answer to a previous leader: its instances are gone", "group", name, "instances", dropped)
	if err := p.reader.refreshNamed(ctx, []string{name}); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Reading the group anew failed, trying again", "group", name, "err", awsclient.Brief(err))
	}
}
