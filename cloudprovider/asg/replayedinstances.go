package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

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
		p.groups.update(name, func(e *entry, _ *Group) { e.replaysChecked = true })
		klog.FromContext(ctx).Info("Could not check whether AWS replayed an answer to a previous leader", "group", name,
			"err", awsclient.Brief(err), "remedy", "allow autoscaling:DescribeScalingActivities, because the autoscaler waits for such instances until then")
	default:
		klog.FromContext(ctx).V(2).Info("Could not check whether AWS replayed an answer, trying again", "group", name, "err", awsclient.Brief(err))
	}
}

// confirmed returns the launched instances that did not end before we asked for them. It makes no call if no previous leader can have had the answer,
// else one, and a second if a reading does not show all of them.
func (p *replays) confirmed(ctx context.Context, name string, launched []Instance) []Instance {
	p.groups.mu.Lock()
	e := p.groups.entries[name]
	sure := e == nil || !slices.ContainsFunc(launched, func(i Instance) bool { return !e.arriving[i.ID].predecessorsLast.IsZero() })
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
	return slices.DeleteFunc(slices.Clone(launched), func(i Instance) bool { return g == nil || g.instance(i.ID) == nil })
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
	p.groups.update(name, func(e *entry, g *Group) {
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
