package scaledown

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// keepSpread keeps a node whose spread pods would have no place while the node exists. The core looks for their places as if the node
// were gone (findPlaceFor, read 2026-11). If the node is the last one of its zone, the zone is gone there, too, and the pods may crowd elsewhere.
// kube-scheduler counts the zone until the node object is deleted, a minute after the drain. Until then the pods are unschedulable, so the
// autoscaler launches the same node again, and removes it again, for ever.
//
// Pods that have come to a candidate move on with its own. It leaves the snapshot as it was.
func keepSpread(ctx *cacontext.AutoscalingContext, _ *nodes.ScaleDownContext, candidates []simulator.NodeToBeRemoved) (
	removable []simulator.NodeToBeRemoved, stay []simulator.UnremovableNode) {
	if !slices.ContainsFunc(candidates, func(c simulator.NodeToBeRemoved) bool { return slices.ContainsFunc(c.PodsToReschedule, spread) }) {
		return candidates, nil
	}
	cluster := ctx.ClusterSnapshot
	cluster.Fork()
	defer cluster.Revert()
	leaving, came := map[string]bool{}, map[string][]*corev1.Pod{}
	for _, c := range candidates {
		name := c.Node.Name
		pods := slices.Concat(slices.DeleteFunc(slices.Clone(c.PodsToReschedule), func(p *corev1.Pod) bool { return !spread(p) }), came[name])
		leaving[name] = true
		cluster.Fork()
		moved, on, err := placeElsewhere(cluster, name, pods, leaving)
		blocking := slices.IndexFunc(moved, func(p *corev1.Pod) bool { return on[p] == "" })
		if err == nil && blocking < 0 {
			if err = cluster.Commit(); err == nil {
				for _, p := range moved {
					came[on[p]] = append(came[on[p]], p)
				}
				removable = append(removable, c)
				continue
			}
		}
		cluster.Revert()
		leaving[name] = false
		kept := simulator.UnremovableNode{Node: c.Node, Reason: simulator.UnexpectedError}
		if err != nil {
			klog.ErrorS(err, "Could not tell whether the spread pods of a node have a place while it exists, the node stays", "node", name)
		} else {
			kept.Reason, kept.BlockingPod = simulator.NoPlaceToMovePods, &drain.BlockingPod{Pod: pods[blocking]}
			klog.V(2).InfoS("Kept a node whose spread pod has no other place while the node exists", "node", name, "pod", klog.KObj(pods[blocking]))
		}
		stay = append(stay, kept)
	}
	return removable, stay
}

// placeElsewhere schedules pods of a node elsewhere, but on no leaving node. It returns them as unbound pods, and the nodes of the pods with a
// place.
func placeElsewhere(cluster clustersnapshot.ClusterSnapshot, node string, pods []*corev1.Pod, leaving map[string]bool) (
	[]*corev1.Pod, map[*corev1.Pod]string, error) {
	unbound := make([]*corev1.Pod, len(pods))
	for i, p := range pods {
		if err := cluster.UnschedulePod(p.Namespace, p.Name, node); err != nil {
			return nil, nil, err
		}
		unbound[i] = snapshot.Unbound(p)
	}
	on, err := snapshot.Place(cluster, unbound, snapshot.Nodes{Anywhere: func(*corev1.Pod) bool { return true }, But: leaving})
	return unbound, on, err
}

// spread reports whether a pod must be spread over domains that count although their nodes are tainted.
func spread(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
		return c.WhenUnsatisfiable == corev1.DoNotSchedule && (c.NodeTaintsPolicy == nil || *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyIgnore)
	})
}
