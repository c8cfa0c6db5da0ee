package readiness

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// usesOfNodes says what pods show of nodes.
type usesOfNodes struct {
	used     map[string]bool          // by other pods than the pods of every node, by node name
	shortest map[string]time.Duration // from Ready until a pod with an accelerator was bound to a node, by Auto Scaling group
}

func (s *StartingNodes) nodeUses(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) usesOfNodes {
	uses, firsts := usesOfNodes{used: map[string]bool{}, shortest: map[string]time.Duration{}}, map[string]time.Time{}
	if ctx.ListerRegistry == nil {
		return uses
	}
	pods, _ := ctx.AllPodLister().List() // the lister reads a cache
	for _, pod := range pods {
		node := pod.Spec.NodeName
		_, c := podutil.GetPodCondition(&pod.Status, corev1.PodScheduled)
		bound := c != nil && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero()
		if first := firsts[node]; bound && asksForAccelerator(pod) && (first.IsZero() || c.LastTransitionTime.Time.Before(first)) {
			firsts[node] = c.LastTransitionTime.Time
		}
		if !podutil.IsPodTerminal(pod) && !podutils.IsDaemonSetPod(pod) && !podutils.IsMirrorPod(pod) && !podutils.IsStaticPod(pod) {
			uses.used[node] = true
		}
	}
	for _, node := range nodes {
		first, ready, group := firsts[node.Name], nodemeta.ReadySince(node), s.provider.NodeGroupOf(node)
		took := first.Sub(ready)
		if first.IsZero() || ready.IsZero() || took < 0 || took > ctx.NodeGroupDefaults.MaxNodeStartupTime || group == nil {
			continue
		}
		if shortest := uses.shortest[group.AutoScalingGroup()]; shortest == 0 || took < shortest {
			uses.shortest[group.AutoScalingGroup()] = took
		}
	}
	return uses
}

func asksForAccelerator(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return nodetemplate.HasAccelerator(c.Resources.Requests) || nodetemplate.HasAccelerator(c.Resources.Limits)
	})
}
