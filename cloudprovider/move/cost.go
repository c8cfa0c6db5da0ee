package move

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Cost returns the cost of moving the pods away from their node, by Karpenter's figures (sigs.k8s.io/karpenter v1.14.0, pkg/utils/disruption, read
// 2026-11). A pod costs 1, more or less by its deletion cost and its priority, and -10 to 10 at most. Pods that would not move cost nothing.
// Pods that run nowhere cost nothing either, because only the core has put them on their node. The sum does not depend on the order of the pods, because all
// terms are multiples of 1/2^27.
func Cost(pods []*corev1.Pod) float64 {
	sum := 0.0
	for _, pod := range pods {
		runs := pod.Spec.NodeName != "" && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
		if runs && pod.DeletionTimestamp == nil && !nodemeta.BelongsToNode(pod) {
			sum += podCost(pod)
		}
	}
	return sum
}

func podCost(pod *corev1.Pod) float64 {
	cost := 1.0
	if text := pod.Annotations[corev1.PodDeletionCost]; text != "" {
		if own, err := strconv.ParseInt(text, 10, 32); err == nil { // what Kubernetes cannot read counts nothing there either
			cost += float64(own) / (1 << 27)
		}
	}
	if priority := pod.Spec.Priority; priority != nil {
		cost += float64(*priority) / (1 << 25)
	}
	return max(-10, min(cost, 10))
}
