package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

func checkProcesses(_ context.Context, in *installation, c *Check) (looked bool) {
	in.eachGroup(func(g *group.Group) {
		if g.Suspended(group.ProcessTerminate) {
			c.find(quoted(g), "its process Terminate is suspended, so that unneeded nodes stay", "SuspendedProcesses of DescribeAutoScalingGroups",
				processCommand("resume", g, group.ProcessTerminate))
		}
		if evidence := rebalanced(g); evidence != "" {
			c.find(quoted(g), fmt.Sprintf("its process AZRebalance runs over %s: AWS terminates nodes there without a drain, to balance zones", why.Count(len(g.Zones), "zone")),
				"no suspended AZRebalance in DescribeAutoScalingGroups, and "+evidence, processCommand("suspend", g, group.ProcessRebalance))
		}
	})
	return true
}

func processCommand(verb string, g *group.Group, process string) string {
	return fmt.Sprintf("aws autoscaling %s-processes --auto-scaling-group-name %s --scaling-processes %s", verb, shellword.Quote(g.Name), process)
}

// rebalanced returns the evidence that AWS may terminate the group's instances to balance its zones, or "".
func rebalanced(g *group.Group) string {
	if len(g.Zones) < 2 || g.Suspended(group.ProcessRebalance) {
		return ""
	}
	if !g.ProtectsNewInstances {
		return "NewInstancesProtectedFromScaleIn is false"
	}
	if at := slices.IndexFunc(g.Instances, func(i group.Instance) bool { return !i.Protected }); at >= 0 {
		return "instance " + g.Instances[at].ID + " has no scale-in protection"
	}
	return ""
}
