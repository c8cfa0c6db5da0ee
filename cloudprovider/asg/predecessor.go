package asg

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// fromPredecessor counts instances that appeared since before because a previous leader already asked for them. They satisfy part of this request.
func (c *Cache) fromPredecessor(before, g *group.Group, zone string) (come int) {
	c.look(g.Name, func(e *entry) { come = e.FromPredecessor(before, g, zone, c.clock.Now()) })
	return come
}

// replayed reports whether AWS gave the answer to a previous leader: the group already had some of the instances, or they had been on their way out
// before our first try.
func (c *Cache) replayed(g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) (replayed bool) {
	c.look(o.group, func(e *entry) {
		for _, some := range out.Instances {
			for _, id := range some.InstanceIds {
				replayed = replayed || g.Instance(id) != nil || e.EndedBefore(id, o.began)
			}
		}
	})
	return replayed
}

// isOldFailure reports whether the answer may be a failure that a previous leader had, and is worth another try: there may be capacity now, and
// somebody may have corrected the group. The retry uses a token that all processes share for FailureAge, so that the next process gets its answer if
// this one ends meanwhile. A process does not retry its own launches.
func (c *Cache) isOldFailure(g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) bool {
	lasting := func(e types.LaunchInstancesError) bool {
		return o.coolsDown(meaningOf(g, o, e).Class, len(g.LaunchZones()))
	}
	if len(out.Instances) > 0 || !slices.ContainsFunc(out.Errors, lasting) {
		return false
	}
	old := false
	c.look(o.group, func(e *entry) { old = e.MayBeOldFailure(o.key) })
	return old
}
