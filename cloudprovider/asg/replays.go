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
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

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
	come := 0
	p.look(g.Name, func(e *entry) { come = e.FromPredecessor(before, g, zone, p.clock.Now()) })
	return come
}

// namesAny reports whether the answer names an instance for which is returns true.
func namesAny(out *autoscaling.LaunchInstancesOutput, is func(id string) bool) bool {
	return slices.ContainsFunc(out.Instances, func(some types.InstanceCollection) bool { return slices.ContainsFunc(some.InstanceIds, is) })
}

// hasAny reports whether the group already had some of the instances. Then the answer is a replay: a previous leader had it, and saw them go.
func hasAny(g *group.Group, out *autoscaling.LaunchInstancesOutput) bool {
	return namesAny(out, func(id string) bool { return g.Instance(id) != nil })
}

// endedBefore reports whether some of the instances had been on their way out before our first try: a previous leader launched them.
func (p *replays) endedBefore(o launchRequest, out *autoscaling.LaunchInstancesOutput) bool {
	ended := false
	p.look(o.group, func(e *entry) {
		ended = namesAny(out, func(id string) bool { return e.EndedBefore(id, o.began) })
	})
	return ended
}

// isOldFailure reports whether the answer may be a failure that a previous leader had, and is worth another try: there may be capacity now, and
// somebody may have mended the group. The retry uses a token that all processes share for FailureAge, so that the next process gets its answer if
// this one ends meanwhile. A process does not retry its own launches.
func (p *replays) isOldFailure(g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) bool {
	lasting := func(e types.LaunchInstancesError) bool {
		return o.coolsDown(meaningOf(g, o, e).Class, len(g.LaunchZones()))
	}
	if len(out.Instances) > 0 || !slices.ContainsFunc(out.Errors, lasting) {
		return false
	}
	old := false
	p.look(o.group, func(e *entry) { old = e.MayBeOldFailure(o.key) })
	return old
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

// awaitPredecessor waits while a previous leader's launch with a token of the window before may be in progress. AWS would take our token for another
// launch. Then it reads the group and returns the new instances. Only a young process waits, just after the edge of a window, because no call
// outlives ledger.PredecessorCall. It does not wait if the previous leader had ended its work.
func (p *replays) awaitPredecessor(ctx context.Context, g *group.Group, o launchRequest, window time.Duration) (come []group.Instance, err error) {
	wait, now := time.Duration(0), p.clock.Now()
	p.look(g.Name, func(e *entry) { wait = e.LastPredecessor(window, now).Add(ledger.PredecessorCall).Sub(now) })
	if wait <= 0 || p.noPredecessor {
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
	ended, err := p.activities.terminatedSince(ctx, name, until.Add(-ledger.TokenAge))
	switch {
	case ctx.Err() != nil:
	case err == nil:
		p.dropReplayed(ctx, name, ended, until)
	case awsclient.IsDenied(err):
		p.groups.update(name, func(e *entry) { e.ReplaysChecked(nil, until) })
		klog.FromContext(ctx).Info("Could not check whether AWS replayed an answer to a previous leader", "group", name,
			"err", awsclient.Brief(err), "remedy", "allow autoscaling:DescribeScalingActivities, because the autoscaler waits for such instances until then")
	default:
		klog.FromContext(ctx).V(2).Info("Could not check whether AWS replayed an answer, trying again", "group", name, "err", awsclient.Brief(err))
	}
}

// confirmed returns the launched instances that did not end before we asked for them. It makes no call if no previous leader can have had the answer,
// else one, and a second if a reading does not show all of them.
func (p *replays) confirmed(ctx context.Context, name string, launched []group.Instance) []group.Instance {
	sure := true
	p.look(name, func(e *entry) {
		sure = !slices.ContainsFunc(launched, func(i group.Instance) bool { return e.MayBeReplayed(i.ID) })
	})
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
		if until := e.ReplaysUntil(); !until.IsZero() {
			due[name] = until
		}
	}
	return due
}

// dropReplayed stops waiting for instances that had ended before we asked for them, and reads the group without them.
func (p *replays) dropReplayed(ctx context.Context, name string, ended map[string]time.Time, until time.Time) {
	dropped := 0
	p.groups.update(name, func(e *entry) { dropped = e.ReplaysChecked(ended, until) })
	if dropped == 0 {
		return
	}
	klog.FromContext(ctx).Info("AWS replayed an answer to a previous leader: its instances are gone", "group", name, "instances", dropped)
	if err := p.reader.refreshNamed(ctx, []string{name}); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Reading the group anew failed, trying again", "group", name, "err", awsclient.Brief(err))
	}
}
