package asg

import (
	"context"
	"reflect"
	"slices"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// resolveLaunches brings the launch specs of all groups up to date. It calls AWS only for what is unknown, changed or suspect. One resolve runs at a
// time.
func (c *Cache) resolveLaunches(ctx context.Context) {
	groups := c.groups.all()
	sources := make([]*launchspec.Group, len(groups))
	for at, g := range groups {
		sources[at] = g.launchGroup()
	}
	c.specs.Fetch(ctx, sources)
	changed := false
	c.groups.mu.Lock()
	for at, g := range groups {
		e := c.groups.entries[g.Name]
		if e == nil || !sources[at].SameSource(e.group.launchGroup()) {
			continue // gone, or a newer source waits for the next round
		}
		before := e.group.LaunchSpec
		changed = e.noteStatements(c.specs.Statements(sources[at])) || changed
		changed = e.noteSpec(c.specs.Spec(sources[at])) || changed
		if e.group.LaunchSpec != before {
			c.available.failed.Forget(g.Name)
			c.refusals.forget(g.Name)
		}
	}
	if changed {
		c.groups.publish()
	}
	c.groups.mu.Unlock()
	if changed {
		klog.FromContext(ctx).V(4).Info("Launch specs of the groups changed")
		signal(c.groups.changed)
	}
}

// noteSpec enters the group's launch spec and reports whether it is news. A known spec stays where nothing better is known, unless the group can
// launch nothing at all.
func (e *entry) noteSpec(launch *launchspec.LaunchSpec, problems []launchspec.Problem) (news bool) {
	g := *e.group
	g.Problems = problems
	if launch == nil && !g.Blocked() || launch != nil && reflect.DeepEqual(launch, g.LaunchSpec) {
		launch = g.LaunchSpec
	}
	if launch == e.group.LaunchSpec && slices.Equal(problems, e.group.Problems) {
		return false
	}
	g.LaunchSpec = launch
	e.group = &g
	return true
}
