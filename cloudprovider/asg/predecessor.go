package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// fromPredecessor counts instances that g has more than before because a previous leader already asked for them. They satisfy part of this request.
func (c *Cache) fromPredecessor(before, g *group.Group, zone string) (come int) {
	c.look(g.Name, func(e *entry) { come = e.FromPredecessor(before, g, zone, c.clock.Now()) })
	return come
}

// replayed reports whether AWS gave the answer to a previous leader: the group already had some of the instances, or they had been on their way out
// before our first try. A failure that may be old counts as one, too: another try is worth it, because there may be capacity now, and somebody may have
// corrected the group.
func (c *Cache) replayed(g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) (replayed bool) {
	c.look(o.group, func(e *entry) {
		replayed = len(out.Instances) == 0 && len(out.Errors) > 0 && e.MayBeOldFailure(o.key)
		for _, some := range out.Instances {
			for _, id := range some.InstanceIds {
				replayed = replayed || g.Instance(id) != nil || e.EndedBefore(id, o.began)
			}
		}
	})
	return replayed
}

// check asks AWS whether it terminated launched instances, which no reading shows, before we asked for them. It costs one call per group.
func (c *Cache) check(ctx context.Context) {
	due := c.due()
	names := slices.Sorted(maps.Keys(due))
	parallel(len(names), looksAtOnce, func(i int) { c.checkGroup(ctx, names[i], due[names[i]]) })
}

// checkGroup is check for one group, whose instances ended by until, if at all. It then reads the group without them.
func (c *Cache) checkGroup(ctx context.Context, name string, until time.Time) {
	ended, err := c.terminatedSince(ctx, name, until.Add(-2*ledger.TokenAge))
	switch {
	case ctx.Err() != nil:
	case err == nil:
		dropped := 0
		if c.groups.update(name, func(e *entry) { dropped = e.ReplaysChecked(ended, until) }); dropped == 0 {
			return
		}
		klog.FromContext(ctx).Info("AWS replayed an answer to a previous leader: its instances are gone", "group", name, "instances", dropped)
		if err := c.refreshNamed(ctx, []string{name}); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).V(2).Info("Reading the group anew failed, trying again", "group", name, "err", awsclient.Brief(err))
		}
	case awsclient.IsForbidden(err):
		c.groups.update(name, func(e *entry) { e.ReplaysChecked(nil, until) })
		klog.FromContext(ctx).Info("Could not check whether AWS replayed an answer to a previous leader", "group", name,
			"err", awsclient.Brief(err), "remedy", "allow autoscaling:DescribeScalingActivities, because the autoscaler waits for such instances until then")
	default:
		klog.FromContext(ctx).V(2).Info("Could not check whether AWS replayed an answer, trying again", "group", name, "err", awsclient.Brief(err))
	}
}

// confirmed returns the launched instances that did not end before we asked for them. It makes no call if no previous leader can have had the answer,
// else one, and a second if a reading does not show all of them.
func (c *Cache) confirmed(ctx context.Context, name string, launched []group.Instance) []group.Instance {
	sure := true
	c.look(name, func(e *entry) {
		sure = !slices.ContainsFunc(launched, func(i group.Instance) bool { return e.MayBeReplayed(i.ID) })
	})
	if sure {
		return launched
	}
	if err := c.refreshNamed(ctx, []string{name}); err != nil {
		return launched // later readings show it
	}
	if until, due := c.due()[name]; due {
		c.checkGroup(ctx, name, until)
	}
	_, g := c.groups.entry(name)
	return slices.DeleteFunc(slices.Clone(launched), func(i group.Instance) bool { return g == nil || g.Instance(i.ID) == nil })
}

// due returns the groups with possibly replayed launches, with the last moment at which their instances can have ended.
func (c *Cache) due() map[string]time.Time {
	due := map[string]time.Time{}
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	for name, e := range c.groups.entries {
		if until := e.ReplaysUntil(); !until.IsZero() {
			due[name] = until
		}
	}
	return due
}
