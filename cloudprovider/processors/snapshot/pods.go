package snapshot

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	provreqpods "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
)

// Pods returns the pods of a node in a new list.
func Pods(info *framework.NodeInfo) []*corev1.Pod {
	all := info.GetPods()
	pods := make([]*corev1.Pod, len(all))
	for at, on := range all {
		pods[at] = on.GetPod()
	}
	return pods
}

// ToPlace returns the pods that need another node before this one goes, by the core's rules. Pods that are going need none. Pods without a
// controller count.
func ToPlace(info *framework.NodeInfo) []*corev1.Pod {
	return podutil.FilterRecreatablePods(slices.DeleteFunc(Pods(info), func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }))
}

// Unbound returns a copy of a pod that runs, as one that waits for a node. Kubernetes before 1.35 keeps the nomination of a pod that runs, and the core
// would put the pod back there. The copy shares its parts with the pod, because a snapshot changes none.
func Unbound(pod *corev1.Pod) *corev1.Pod {
	free := *pod
	free.Spec.NodeName, free.Status.NominatedNodeName = "", ""
	return &free
}

// WithoutRequest returns a copy of the pod that consumes no ProvisioningRequest. The core launches no node for a pod that does. The copy
// shares its other parts with the pod.
func WithoutRequest(pod *corev1.Pod) *corev1.Pod {
	other := *pod
	other.Annotations = maps.Clone(pod.Annotations)
	delete(other.Annotations, provreqv1.ProvisioningRequestPodAnnotationKey)
	delete(other.Annotations, provreqpods.DeprecatedProvisioningRequestPodAnnotationKey)
	return &other
}
