package scaledown

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// sharedMinimum keeps the nodes that the minimum size of an Auto Scaling group asks for. It counts over all zone groups of the group,
// and counts removals that began while the group had another form, and nodes that AWS takes. It also keeps nodes with pods for a while after
// AWS failed to terminate one of their group: they would be drained in vain. Empty nodes go on, and show when AWS can again.
type sharedMinimum struct{ *aws.Provider }

func (m sharedMinimum) filter(ctx *cacontext.AutoscalingContext, scaleDown *nodes.ScaleDownContext,
	candidates []simulator.NodeToBeRemoved) ([]simulator.NodeToBeRemoved, []simulator.UnremovableNode) {
	if len(candidates) == 0 {
		return nil, nil
	}
	spare, asked, going := map[string]int{}, map[string]int{}, going(ctx, scaleDown) // the first two by Auto Scaling group
	var stay, inVain []simulator.UnremovableNode
	removable := slices.DeleteFunc(slices.Clone(candidates), func(c simulator.NodeToBeRemoved) bool {
		group := m.NodeGroupOf(c.Node)
		if group == nil {
			return false
		}
		if len(c.PodsToReschedule) > 0 && m.FailsToEnd(c.Node, ctx.ScaleDownDelayAfterFailure) {
			inVain = append(inVain, simulator.UnremovableNode{Node: c.Node, Reason: simulator.NodeGroupMaxDeletionCountReached})
			return true
		}
		name := group.AutoScalingGroup()
		if _, counted := spare[name]; !counted {
			spare[name], asked[name] = m.spare(name, going)
		}
		least := asked[name] // AWS would not let the node go if it refuses these, and the node is drained by then
		if followed(c.Node) {
			least = 0
		}
		if spare[name] <= least {
			stay = append(stay, simulator.UnremovableNode{Node: c.Node, Reason: simulator.NodeGroupMinSizeReached})
			return true
		}
		spare[name]--
		return false
	})
	if len(stay) > 0 {
		klog.V(2).InfoS("Kept nodes that the minimum size of a group asks for over all its zones", "nodes", len(stay))
	}
	return removable, append(stay, inVain...)
}

// going are the nodes that are being removed, or drained because AWS takes them.
func going(ctx *cacontext.AutoscalingContext, scaleDown *nodes.ScaleDownContext) []*corev1.Node {
	empty, drained := scaleDown.ActuationStatus.DeletionsInProgress()
	removing := append(empty, drained...)
	all, _ := ctx.AllNodeLister().List()
	return slices.DeleteFunc(all, func(n *corev1.Node) bool { return !leavesSoon(n) && !slices.Contains(removing, n.Name) })
}

// followed reports whether another node of the group is there before the node goes.
func followed(n *corev1.Node) bool {
	s, _ := move.StateOf(n)
	moves := s.Step == move.Placing && s.Reason != move.Consolidation && s.Reason != move.Schedule && !nodemeta.ToGo(n)
	return moves || nodemeta.RemovalRequested.Of(n) == nodemeta.ReplaceFirst
}

// spare counts the nodes of an Auto Scaling group beyond its minimum size, without the nodes that go. Some are only asked for, and AWS may
// refuse to launch these.
func (m sharedMinimum) spare(name string, going []*corev1.Node) (spare, asked int) {
	v := m.View()
	g := v.AutoScalingGroup(name)
	if g == nil {
		return 0, 0
	}
	spare = g.TargetInstances() - g.MinInstances()
	for _, node := range going {
		if i, owner := v.Instance(node); owner == g && i.Lifecycle.Counts() {
			spare--
		}
	}
	return spare, g.Booked + g.FailedInstances()
}
