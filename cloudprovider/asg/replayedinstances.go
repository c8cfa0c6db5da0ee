package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// check asks AWS of instances that it says it has launched, and that a reading since does not show, whether it has ended
// them before it was asked. It costs a call per group, once.
func (p *replays) check(ctx context.Context) {
	due := p.due()
	names := slices.Sorted(maps.Keys(due))
	parallel(len(names), looksAtOnce, func(i int) { p.checkGroup(ctx, names[i], due[names[i]]) })
}

// checkGroup is readEnded for one group, whose instances can have ended until then at the latest.
func (p *replays) checkGroup(ctx context.Context, name string, until time.Time) {
	ended, err := p.activities.terminatedSince(ctx, name, until.Add(-tokenAge))
	switch {
	case ctx.Err() != nil:
	case err == nil:
		p.dropReplayed(ctx, name, ended, until)
	case awsclient.IsDenied(err):
		p.groups.update(name, func(e *entry, _ *Group) { e.replaysChecked = true })
		klog.FromContext(ctx).Info("Could not see whether AWS has repeated an answer that a process before this one had", "group", name,
			"err", awsclient.Brief(err), "remedy", "allow autoscaling:DescribeScalingActivities; until then such instances are waited for")
	default:
		klog.FromContext(ctx).V(2).Info("Could not see whether AWS has repeated an answer, trying again", "group", name, "err", awsclient.Brief(err))
	}
}

// confirmed are those of the instances just launched that did not end before they were asked for. While no process before us can
// have had the answer it makes no call; else one, and a second where a reading does not show all of them.
func (p *replays) confirmed(ctx context.Context, name string, launched []Instance) []Instance {
	p.groups.mu.Lock()
	e := p.groups.entries[name]
	sure := e == nil || !slices.ContainsFunc(launched, func(i Instance) bool { return !e.arriving[i.ID].predecessorsLast.IsZero() })
	p.groups.mu.Unlock()
	if sure {
		return launched
	}
	if err := p.reader.refreshNamed(ctx, []string{name}); err != nil {
		return launched // the readings to come tell
	}
	if until, due := p.due()[name]; due {
		p.checkGroup(ctx, name, until)
	}
	_, g := p.groups.entry(name)
	return slices.DeleteFunc(slices.Clone(launched), func(i Instance) bool { return g == nil || g.instance(i.ID) == nil })
}

// due returns the groups of whose launches an earlier process may have had the answer, with the last moment at which their
// instances can have ended then.
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

// dropReplayed waits no longer for the instances that had ended before they were asked for, and reads the group anew without them.
func (p *replays) dropReplayed(ctx context.Context, name string, ended map[string]time.Time, until time.Time) {
	dropped := 0
	p.groups.update(name, func(e *entry, g *Group) {
		e.replaysChecked = true
		for id := range ended {
			if e.endedBefore != nil {
				e.endedBefore[id] = time.Time{} // before whatever is asked from now on
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
	klog.FromContext(ctx).Info("AWS has repeated an answer that a process before this one had: the instances are gone", "group", name, "instances", dropped)
	if err := p.reader.refreshNamed(ctx, []string{name}); err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(2).Info("Reading the group anew failed, trying again", "group", name, "err", awsclient.Brief(err))
	}
}
