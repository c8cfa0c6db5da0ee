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
			c.find(quoted(g), fmt.Sprintf("it has its maximum size of %d, while %s without a node", g.MaxSize, wait(waiting)),
				fmt.Sprintf("desired capacity %d, and the pod %s is unschedulable", g.DesiredCapacity, in.pods.value.waits), in.resize(g, "max", g.AtMax(g), 2*g.MaxSize))
		case g.MaxSize == g.MinSize:
			c.find(quoted(g), fmt.Sprintf("its minimum and maximum are both %d, so that it is never scaled", g.MaxSize), "MinSize and MaxSize of DescribeAutoScalingGroups",
				in.resize(g, "max", g.AtMax(g), max(2*g.MaxSize, 1)))
		}
	})
	return true
}

// resize is the step that changes the limits which the group has reached.
func (in *installation) resize(g *group.Group, size string, reached []group.Limit, to int) string {
	limited := &decision.Group{AutoScaling: g.Name}
	if cluster, name := g.ManagedNodegroup(); name != "" {
		limited.EKS = &decision.Nodegroup{Cluster: cluster, Name: name}
	}
	var limits []decision.Limit
	for _, l := range reached {
		limits = append(limits, decision.Limit{Flag: l.Flag, Size: l.Size, Needs: to})
	}
	return why.Resize(limited, size, limits)
}

// wait says in words how many pods wait.
func wait(n int) string {
	if n == 1 {
		return "1 pod waits"
	}
	return fmt.Sprintf("%d pods wait", n)
}
