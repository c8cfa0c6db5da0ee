package scaledown

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/klog/v2"
)

// Spread keeps a node whose spread pods would have no place while the node exists. The core looks for their places as if the node were gone
// (findPlaceFor, read 2026-11). If the node is the last one of its zone, the zone is gone there, too, and the pods may crowd elsewhere.
// kube-scheduler counts the zone until the node object is deleted, a minute after the drain. Until then the pods are unschedulable, so the
// autoscaler launches the same node again, and removes it again, for ever. It wraps another processor of the core.
type Spread struct {
	nodes.ScaleDownSetProcessor
	simulator *scheduling.HintingSimulator
}

// NewSpread wraps then.
func NewSpread(then nodes.ScaleDownSetProcessor) *Spread {
	return &Spread{ScaleDownSetProcessor: then, simulator: scheduling.NewHintingSimulator()}
}

// FilterUnremovableNodes returns the nodes that may be removed, and the nodes that stay. It leaves the snapshot as it was.
func (s *Spread) FilterUnremovableNodes(ctx *cacontext.AutoscalingContext, scaleDown *nodes.ScaleDownContext,
	candidates []simulator.NodeToBeRemoved) ([]simulator.NodeToBeRemoved, []simulator.UnremovableNode) {
	removable, stay := candidates, []simulator.UnremovableNode(nil)
	if slices.ContainsFunc(candidates, func(c simulator.NodeToBeRemoved) bool { return slices.ContainsFunc(c.PodsToReschedule, spread) }) {
		ctx.ClusterSnapshot.Fork()
		removable, stay = s.divide(ctx.ClusterSnapshot, candidates)
		ctx.ClusterSnapshot.Revert()
	}
	removable, unremovable := s.ScaleDownSetProcessor.FilterUnremovableNodes(ctx, scaleDown, removable)
	return removable, append(stay, unremovable...)
}

// divide moves the spread pods of one candidate after the other. Pods that have come to a candidate move on with its own.
func (s *Spread) divide(snapshot clustersnapshot.ClusterSnapshot, candidates []simulator.NodeToBeRemoved) (removable []simulator.NodeToBeRemoved, stay []simulator.UnremovableNode) {
	leaving, came := map[string]bool{}, map[string][]*corev1.Pod{}
	elsewhere := clustersnapshot.SchedulingOptions{IsNodeAcceptable: func(n *framework.NodeInfo) bool { return !leaving[n.Node().Name] }}
	for _, c := range candidates {
		name := c.Node.Name
		pods := slices.Concat(slices.DeleteFunc(slices.Clone(c.PodsToReschedule), func(p *corev1.Pod) bool { return !spread(p) }), came[name])
		leaving[name] = true
		snapshot.Fork()
		moved, err := s.move(snapshot, name, pods, elsewhere)
		if err == nil && len(moved) == len(pods) {
			if err = snapshot.Commit(); err == nil {
				for _, m := range moved {
					came[m.NodeName] = append(came[m.NodeName], m.Pod)
				}
				removable = append(removable, c)
				continue
			}
		}
		snapshot.Revert()
		leaving[name] = false
		kept := simulator.UnremovableNode{Node: c.Node, Reason: simulator.UnexpectedError}
		if err != nil {
			klog.ErrorS(err, "Could not tell whether the spread pods of a node have a place while it exists, the node stays", "node", name)
		} else {
			kept.Reason, kept.BlockingPod = simulator.NoPlaceToMovePods, &drain.BlockingPod{Pod: pods[len(moved)]}
			klog.V(2).InfoS("Kept a node whose spread pod has no other place while the node exists", "node", name, "pod", klog.KObj(pods[len(moved)]))
		}
		stay = append(stay, kept)
	}
	s.simulator.DropOldHints()
	return removable, stay
}

// move schedules pods of a node elsewhere, one after the other until one has no place, and returns those that have one.
func (s *Spread) move(snapshot clustersnapshot.ClusterSnapshot, node string, pods []*corev1.Pod, elsewhere clustersnapshot.SchedulingOptions) ([]scheduling.Status, error) {
	unbound := make([]*corev1.Pod, len(pods))
	for i, p := range pods {
		if err := snapshot.UnschedulePod(p.Namespace, p.Name, node); err != nil {
			return nil, err
		}
		free := *p // the snapshot changes no pod, so the parts may be shared
		free.Spec.NodeName = ""
		unbound[i] = &free
	}
	moved, _, err := s.simulator.TrySchedulePods(snapshot, unbound, true, elsewhere)
	return moved, err
}

// spread reports whether a pod must be spread over domains that count although their nodes are tainted.
func spread(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
		return c.WhenUnsatisfiable == corev1.DoNotSchedule && (c.NodeTaintsPolicy == nil || *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyIgnore)
	})
}
