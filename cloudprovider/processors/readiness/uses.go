package readiness

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
)

// usesOfNodes records the pods on nodes, by node name.
type usesOfNodes struct {
	used  map[string]bool      // by other pods than the pods of every node
	bound map[string]time.Time // when the first pod with an accelerator was bound to it
}

// nodeUses looks at all pods.
func nodeUses(ctx *cacontext.AutoscalingContext) usesOfNodes {
	uses := usesOfNodes{used: map[string]bool{}, bound: map[string]time.Time{}}
	if ctx.ListerRegistry == nil {
		return uses
	}
	pods, err := ctx.AllPodLister().List()
	if err != nil {
		return uses // the lister reads a cache, and the core's own listing fails too
	}
	for _, pod := range pods {
		node := pod.Spec.NodeName
		if at := boundAt(pod); !at.IsZero() && asksForAccelerator(pod) && (uses.bound[node].IsZero() || at.Before(uses.bound[node])) {
			uses.bound[node] = at
		}
		finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !finished && !podutils.IsDaemonSetPod(pod) && !podutils.IsMirrorPod(pod) && !podutils.IsStaticPod(pod) {
			uses.used[node] = true
		}
	}
	return uses
}

// boundAt returns when the pod was bound to its node, or zero.
func boundAt(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func asksForAccelerator(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return hasAccelerator(c.Resources.Requests) || hasAccelerator(c.Resources.Limits)
	})
}
