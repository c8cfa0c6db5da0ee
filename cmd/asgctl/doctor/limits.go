package doctor

import (
	"context"
	"fmt"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
)

// checkLimits judges the limits of groups by the pods that wait.
func checkLimits(_ context.Context, in *installation, c *Check) (looked bool) {
	if in.pods.missing(c) {
		return false
	}
	in.eachGroup(func(g *group.Group) {
		waiting := in.pods.value.waiting
		switch {
		case g.DesiredCapacity >= g.MaxSize && g.MaxSize > 0 && waiting > 0:
			c.find(quoted(g), fmt.Sprintf("its maximum size of %d may keep %s waiting", g.MaxSize, why.Count(waiting, "pod")),
				fmt.Sprintf("desired capacity %d, and the pod %s is unschedulable", g.DesiredCapacity, in.pods.value.waits), in.resize(g, 2*g.MaxSize))
		case g.MaxSize == g.MinSize && len(g.Timed) == 0:
			c.find(quoted(g), fmt.Sprintf("its minimum and maximum are both %d, so that it is never scaled", g.MaxSize), "MinSize and MaxSize of DescribeAutoScalingGroups",
				in.resize(g, max(2*g.MaxSize, 1)))
		}
	})
	return true
}

// resize is the step that raises the maximum that the group has reached.
func (in *installation) resize(g *group.Group, to int) string {
	limited := &decision.Group{AutoScaling: g.Name}
	if n := decision.Nodegroup(g.ManagedNodegroup()); n.Name != "" {
		limited.EKS = &n
	}
	var limits []decision.Limit
	for _, l := range g.AtMax(g) {
		limits = append(limits, decision.Limit{Flag: l.Flag, Clock: l.Clock, Size: l.Size, Needs: to})
	}
	return why.Resize(limited, "max", limits)
}
