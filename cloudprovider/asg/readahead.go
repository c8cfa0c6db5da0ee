package asg

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// ahead is the reading of all groups that is made as pods come, so that it is there by the time a launch for them needs one.
type ahead struct {
	due   chan struct{}
	began time.Time     // guarded by the mu of groups, like done
	done  chan struct{} // closed as the reading ends, nil while there is none
}

// ReadAhead begins a reading of the groups, because a launch may follow. It makes one call, and none with more groups than a call returns, within
// aheadInterval of the last one, or if no launch may be synchronous. It returns at once, and is safe for concurrent use.
func (c *Cache) ReadAhead() {
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	now := c.clock.Now()
	if c.options.LaunchMode == LaunchDesiredCapacity || len(c.groups.entries) > maxGroupsPerCall || c.ahead.done != nil ||
		now.Sub(c.ahead.began) < aheadInterval {
		return
	}
	c.ahead.began, c.ahead.done = now, make(chan struct{})
	signal(c.ahead.due)
}

func (c *Cache) aheadLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.ahead.due:
		}
		c.groups.mu.Lock()
		names := slices.Collect(maps.Keys(c.groups.entries))
		c.groups.mu.Unlock()
		if err := c.refreshNamed(ctx, names); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).V(2).Info("Reading the groups ahead of a launch failed", "reason", awsclient.Reason(err), "err", err)
		}
		c.groups.mu.Lock()
		close(c.ahead.done)
		c.ahead.done = nil
		c.groups.mu.Unlock()
	}
}

// readToLaunch returns the group by the reading ahead, if that began no longer than aheadFor ago, or else reads it. LaunchInstances adds to what
// AWS has, so such a reading lowers nothing, and AWS itself refuses what exceeds the maximum. A write of ours since then needs a new reading. So
// does a raise of the desired capacity, and a launch that a previous leader may have made. A group whose process Launch is suspended, or that is
// paused, is an error. Before a launch the desired capacity is raised to the instances that AWS keeps beyond it. Below them AWS would end the new
// ones, because it protects none from scale-in before it is in service.
func (c *Cache) readToLaunch(ctx context.Context, name string) (g *group.Group, err error) {
	c.groups.mu.Lock()
	began, done := c.ahead.began, c.ahead.done
	c.groups.mu.Unlock()
	if done != nil {
		select {
		case <-done:
		case <-c.clock.After(aheadFor - c.clock.Since(began)):
		case <-ctx.Done():
		}
	}
	c.groups.mu.Lock()
	if e := c.groups.entries[name]; e != nil && (c.options.NoPredecessor || e.Grown(c.clock.Now())) {
		if read := e.Group(); read != nil && !read.ReadAt.Before(began) && !e.IsOld(read.ReadAt) && c.clock.Since(began) <= aheadFor {
			g = read // by the reading ahead
		}
	}
	c.groups.mu.Unlock()
	if g != nil {
		if launches, _ := c.synchronously(g); launches && g.Kept() == 0 {
			return g, suspended(g, c.clock.Now())
		}
	}
	if g, err = c.Reread(ctx, name); err == nil {
		err = suspended(g, c.clock.Now())
	}
	if err != nil || g.Kept() == 0 || g.Room() <= 0 {
		return g, err
	}
	if launches, _ := c.synchronously(g); launches {
		if err = c.raise(ctx, g, g.Reached(), 0); err == nil {
			return c.Reread(ctx, name)
		}
	}
	return g, err
}
