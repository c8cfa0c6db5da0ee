package readiness

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// usesOfNodes records the pods on nodes, by node name.
type usesOfNodes struct {
	used  map[string]bool      // by other pods than the pods of every node
	bound map[string]time.Time // when the first pod with an accelerator was bound to it
}

func nodeUses(ctx *cacontext.AutoscalingContext) usesOfNodes {
	uses := usesOfNodes{used: map[string]bool{}, bound: map[string]time.Time{}}
	if ctx.ListerRegistry == nil {
		return uses
	}
	pods, _ := ctx.AllPodLister().List() // the lister reads a cache
	for _, pod := range pods {
		node := pod.Spec.NodeName
		_, c := podutil.GetPodCondition(&pod.Status, corev1.PodScheduled)
		bound := c != nil && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero()
		if first := uses.bound[node]; bound && asksForAccelerator(pod) && (first.IsZero() || c.LastTransitionTime.Time.Before(first)) {
			uses.bound[node] = c.LastTransitionTime.Time
		}
		if !podutil.IsPodTerminal(pod) && !podutils.IsDaemonSetPod(pod) && !podutils.IsMirrorPod(pod) && !podutils.IsStaticPod(pod) {
			uses.used[node] = true
		}
	}
	return uses
}

func asksForAccelerator(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return nodetemplate.HasAccelerator(c.Resources.Requests) || nodetemplate.HasAccelerator(c.Resources.Limits)
	})
}
