package asg

import (
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
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
