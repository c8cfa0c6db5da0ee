package asg

import (
	"context"
	"slices"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// outcomeOf reads the group to find out the outcome of unanswered launches. before is the group before all launches, and answers is how often AWS had
// answered by then. It adds the instances in the reading to the launched ones. If some of n are still missing, the error is missed, or the reading's.
func (l *launcher) outcomeOf(ctx context.Context, before *Group, zone string, n, answers int, launched []Instance, missed *unansweredError) ([]Instance, error) {
	if wait := missed.settled.Sub(l.clock.Now()); wait > 0 {
		select {
		case <-ctx.Done():
			return launched, ctx.Err()
		case <-l.clock.After(wait):
		}
	}
	g, err := l.reader.Reread(ctx, before.Name)
	if err != nil {
		return launched, err
	}
	launched = union(launched, g.newSince(before, zone))
	if g.shortfall(n, launched) > 0 {
		return launched, missed
	}
	klog.FromContext(ctx).Info("AWS carried out an unanswered call", "group", g.Name, "desired", g.DesiredCapacity, "err", awsclient.Brief(missed.cause))
	if zone == "" && l.mode != LaunchSynchronous && l.calls.launch.Answers(g.Name) == answers {
		l.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause) // or the next launch would wait as long
	}
	return launched, nil
}

// settleUnanswered decides what follows from unanswered launches. answers is how often AWS had answered before them. Usually it leaves the zones
// alone, so that launches go elsewhere. But if AWS has answered no launch since, and has missed zonal launches in two zones, the call itself is in
// trouble: the group uses the older one for a minute, and settleUnanswered returns true.
func (l *launcher) settleUnanswered(ctx context.Context, g *Group, zonal bool, answers int, missed *unansweredError) bool {
	silent := append(slices.Clone(missed.zones), l.available.failed.UnansweredZones(g.Name)...)
	slices.Sort(silent)
	if l.mode == LaunchSynchronous || l.calls.launch.Answers(g.Name) > answers || zonal && len(slices.Compact(silent)) < 2 {
		l.leaveAlone(g, missed)
		return false
	}
	l.available.failed.Answered(g.Name)
	l.calls.launch.Missed(ctx, g.Name, missed.began, missed.cause)
	return true
}

// leaveAlone begins a cool-down of the zones of unanswered launches.
func (l *launcher) leaveAlone(g *Group, missed *unansweredError) {
	for _, zone := range missed.zones {
		l.available.failed.Unanswered(g.Name, zone, awsclient.Brief(missed.cause))
	}
}
