package podlist

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	coreutils "k8s.io/autoscaler/cluster-autoscaler/core/utils"
	provreqpods "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/pods"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
)

// LeftOut reports whether the core never launches a node for the pod: its priority is too low, it is a pod of a DaemonSet, or it
// consumes a ProvisioningRequest.
func LeftOut(o config.AutoscalingOptions, pod *corev1.Pod) bool {
	return coreutils.IsExpendablePod(pod, o.ExpendablePodsPriorityCutoff) || podutils.IsDaemonSetPod(pod) ||
		o.ProvisioningRequestEnabled && RequestOf(pod) != ""
}

// RequestOf returns the name of the ProvisioningRequest that the pod consumes, or "".
func RequestOf(pod *corev1.Pod) string {
	return cmp.Or(pod.Annotations[provreqv1.ProvisioningRequestPodAnnotationKey],
		pod.Annotations[provreqpods.DeprecatedProvisioningRequestPodAnnotationKey])
}
