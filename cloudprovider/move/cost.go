package move

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Cost returns the cost of moving the pods away from their node, by Karpenter's figures (sigs.k8s.io/karpenter v1.14.0, pkg/utils/disruption, read
// 2026-11). A pod costs 1, more or less by its deletion cost and its priority, and -10 to 10 at most. Pods that would not move cost nothing.
// Pods that run nowhere cost nothing either, because only the core has put them on their node. The sum does not depend on the order of the pods, because all
// terms are multiples of 1/2^27.
func Cost(pods []*corev1.Pod) float64 {
	sum := 0.0
	for _, pod := range pods {
		if pod.Spec.NodeName == "" || podutil.IsPodTerminal(pod) || pod.DeletionTimestamp != nil || nodemeta.BelongsToNode(pod) {
			continue
		}
		cost := 1 + float64(ptr.Deref(pod.Spec.Priority, 0))/(1<<25)
		if own, err := strconv.ParseInt(pod.Annotations[corev1.PodDeletionCost], 10, 32); err == nil { // Kubernetes reads the others as 0
			cost += float64(own) / (1 << 27)
		}
		sum += max(-10, min(cost, 10))
	}
	return sum
}
