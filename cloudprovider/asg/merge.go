package asg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
)

// apply merges a reading that began at start and publishes the result. left has the tags of groups that are no longer selected. asked names the
// groups it was about, nil for all. The error is of a group whose description lacks its sizes. Its reading before stays, and the others are merged.
func (c *Cache) apply(ctx context.Context, found map[string]types.AutoScalingGroup, left map[string]map[string]string,
	start time.Time, asked []string) (err error) {
	c.groups.mu.Lock()
	defer c.groups.mu.Unlock()
	moved, newSource := false, false
	for name, described := range found {
		// Without the sizes it is no reading: a desired capacity taken for 0 would be written back. A minimum of 0 may be left out.
		if described.MaxSize == nil || described.DesiredCapacity == nil {
			klog.FromContext(ctx).Info("AWS described an Auto Scaling group without its sizes, the reading before stays", "group", name)
			err = fmt.Errorf("describe auto scaling groups: the answer lacks the sizes of %q", name)
			continue
		}
		e := c.groups.entries[name]
		if e != nil && e.isAnother(described) {
			if aws.ToTime(described.CreatedTime).Before(e.createdAt) {
				continue // the reading is from before the group was recreated
			}
			klog.FromContext(ctx).Info("Auto Scaling group was deleted and recreated under its name", "group", name)
			c.refusals.forget(name)
			e = c.entryFor(name, described)
		}
		if e == nil && asked != nil {
			continue // dropped by a complete reading meanwhile
		}
		if e == nil {
			e = c.entryFor(name, described)
			klog.FromContext(ctx).V(2).Info("Discovered Auto Scaling group", "group", name)
		}
		if e.IsOld(start) {
			continue
		}
		before := e.Group()
		if !e.forgetAt.IsZero() {
			before, e.forgetAt = nil, time.Time{}
		}
		moved = c.merge(e, groupFrom(described, start, c.options.Types())) || moved
		newSource = newSource || !before.LaunchGroup().SameSource(e.Group().LaunchGroup())
		if !c.groups.identity.Foreign(e.Group()) && group.Replacing(before, e.Group()) {
			c.specs.Replaced(name)
			newSource = true
		}
	}
	moved = c.forget(ctx, c.missing(found, asked), left, start) || moved
	if asked == nil {
		c.groups.readAt = start
		c.noteAbsent(ctx, found)
		c.groups.identity.Forget(c.groups.allGroups(), start)
	}
	c.groups.publish()
	if moved {
		signal(c.groups.changed)
	}
	if newSource {
		signal(c.resolve)
	}
	return err
}

// merge has the entry take in the reading g, and reports whether the group moved.
func (c *Cache) merge(e *entry, g *group.Group) (moved bool) {
	before := e.Group()
	c.options.Discovery.Limit(g)
	if before != nil && maps.Equal(before.Tags, g.Tags) {
		g.Schedules, g.Denied, g.EndFailed = before.Schedules, before.Denied, before.EndFailed // a policy may ask for a tag
	} else {
		g.Schedules = group.ReadSchedules(g.Tags)
	}
	c.setSizes(e, g)
	ownership.Inherit(g, before)
	moved, inService := e.Read(g)
	moved = moved || !sameSizes(before, g)
	zones := func(g *group.Group) []string { return slices.Sorted(slices.Values(g.Zones)) }
	if before != nil && (!slices.Equal(g.SuspendedProcesses, before.SuspendedProcesses) || !slices.Equal(zones(g), zones(before))) {
		c.refusals.forget(g.Name) // it may have caused the refusal
	}
	for _, i := range inService {
		pool, launched := g.Pool(i.Type, i.Zone), i.At.Add(-ledger.ClockSkew)
		c.available.failed.Succeed(g.Name, pool, launched, true)
		if !c.groups.identity.DidLaunch(i.ID) { // an answer proves its pool itself, and its failures are newer
			c.available.failed.Succeed(g.Name, pool, launched, false)
		}
	}
	return moved
}

// entryFor returns the entry for a group that is new in a reading. A group that lost its tags for a while, or was missing from one reading, keeps its
// entry: our request stays ours, and a write under way keeps its lock. A new group of the same name starts afresh. The caller holds mu.
func (c *Cache) entryFor(name string, described types.AutoScalingGroup) *entry {
	e := c.groups.dropped[name]
	delete(c.groups.dropped, name)
	if e == nil || e.isAnother(described) {
		e = &entry{Ledger: ledger.New(), lock: make(chan struct{}, 1), arn: aws.ToString(described.AutoScalingGroupARN),
			createdAt: aws.ToTime(described.CreatedTime)}
	}
	c.groups.entries[name] = e
	return e
}

// isAnother reports whether the description is of another group of the entry's name. On AWS both ARN and time of creation differ then. Another
// endpoint may lack one of them, or make up a new one in each answer.
func (e *entry) isAnother(g types.AutoScalingGroup) bool {
	arn, createdAt := aws.ToString(g.AutoScalingGroupARN), aws.ToTime(g.CreatedTime)
	byARN, byTime := arn != "" && e.arn != "", !createdAt.IsZero() && !e.createdAt.IsZero()
	return (byARN || byTime) && !(byARN && arn == e.arn) && !(byTime && createdAt.Equal(e.createdAt))
}

// noteAbsent remembers the groups in --nodes flags that AWS does not have, and logs each once.
func (c *Cache) noteAbsent(ctx context.Context, found map[string]types.AutoScalingGroup) {
	var absent []string
	for _, named := range c.options.Discovery.Named {
		name := named.Name
		_, ok := found[name]
		if group, zone, isView := named.ZoneGroup(); isView && !ok {
			ok = slices.Contains(found[group].AvailabilityZones, zone)
		}
		if ok {
			continue
		}
		if absent = append(absent, name); !slices.Contains(c.absent, name) {
			klog.FromContext(ctx).Info("There is no Auto Scaling group of the name that a --nodes flag gives, in this region and account",
				"group", name)
		}
	}
	c.absent = absent
}

// forget drops the groups that the reading did not find, and shows for a time why.
func (c *Cache) forget(ctx context.Context, missing []string, left map[string]map[string]string, start time.Time) (dropped bool) {
	maps.DeleteFunc(c.groups.dropped, func(_ string, e *entry) bool { return start.After(e.forgetAt) })
	for _, name := range missing {
		e := c.groups.entries[name]
		if e.Group() != nil && start.Before(e.Group().ReadAt) {
			continue
		}
		klog.FromContext(ctx).Info("Auto Scaling group is gone or no longer selected, dropped it", "group", name)
		e.forgetAt, e.dropped = start.Add(droppedTTL), nil
		if left[name] == nil {
			e.forgetAt = start.Add(deletedTTL)
		}
		if g := e.Group(); g != nil && !c.groups.identity.Foreign(g) {
			gone := *g
			gone.Problems = []launchspec.Problem{c.options.Discovery.Dropped(g, start, left[name])}
			e.dropped = &gone
		}
		e.Leave()
		c.groups.dropped[name] = e
		delete(c.groups.entries, name)
		c.refusals.forget(name)
		c.calls.launch.Forget(name)
		c.calls.batchTermination.Forget(name)
		dropped = true
	}
	return dropped
}
