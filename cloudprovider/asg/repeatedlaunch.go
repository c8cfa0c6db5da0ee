package asg

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
)

// fromPredecessor counts instances that g has more than before because a previous leader already asked for them. They satisfy part of this request.
func (c *Cache) fromPredecessor(before, g *group.Group, zone string) (come int) {
	c.look(g.Name, func(e *entry) { come = e.FromPredecessor(before, g, zone, c.clock.Now()) })
	return come
}

// dropEnded takes the instances out of the answer that had ended before our first try: AWS gave it to a previous leader. It reports whether AWS did. Then
// failures in the answer are no news. A failure alone that may be old counts, too: another try is worth it, because there may be capacity now, and
// somebody may have corrected the group.
func (c *Cache) dropEnded(ctx context.Context, g *group.Group, o launchRequest, out *autoscaling.LaunchInstancesOutput) (replayed bool) {
	var ids []string
	for _, some := range out.Instances {
		ids = append(ids, some.InstanceIds...)
	}
	if ended := c.ended(ctx, g, o, ids); len(ended) > 0 {
		klog.FromContext(ctx).Info("AWS repeated an answer to a previous leader, and instances of it are gone", "group", g.Name, "gone", len(ended), "of", len(ids))
		for at := range out.Instances {
			some := &out.Instances[at]
			some.InstanceIds = slices.DeleteFunc(some.InstanceIds, func(id string) bool { return ended[id] })
		}
		replayed = true
	} else if len(ids) == 0 && len(out.Errors) > 0 {
		c.look(o.group, func(e *entry) { replayed = e.MayBeOldFailure(o.key) })
	}
	if replayed {
		out.Errors = nil
	}
	return replayed
}

// ended returns the launched instances that had ended before our first try. If a previous leader may have launched them, it asks EC2, by one call. An
// instance that the group had is on its way out, because the key names all others.
func (c *Cache) ended(ctx context.Context, g *group.Group, o launchRequest, ids []string) map[string]bool {
	ended, mayReplay := map[string]bool{}, false
	for _, id := range ids {
		if g.Instance(id) != nil {
			ended[id] = true
		}
	}
	c.look(o.group, func(e *entry) { mayReplay = e.MayReplay(o.key) })
	if !mayReplay || len(ids) == len(ended) || c.options.Instances == nil {
		return ended
	}
	ctx, cancel := context.WithTimeout(ctx, endedTimeout)
	defer cancel()
	before := c.byAWS(o.began).Add(-ledger.ClockSkew)
	err := lookup.DescribeInstances(ctx, c.options.Instances, ids, func(i ec2types.Instance) {
		if lookup.IsTerminated(i) && aws.ToTime(i.LaunchTime).Before(before) {
			ended[aws.ToString(i.InstanceId)] = true
		}
	})
	if err != nil {
		remedy := "none: the autoscaler waits a minute for such instances"
		if awsclient.IsForbidden(err) {
			remedy = "allow ec2:DescribeInstances; until then a new leader waits a minute for such instances"
		}
		klog.FromContext(ctx).V(1).Info("Could not see whether launched instances have ended before", "group", g.Name, "err", awsclient.Brief(err), "remedy", remedy)
	}
	return ended
}
