package podlist

import (
	corev1 "k8s.io/api/core/v1"
	capacitybuffer "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
)

// IsFake reports whether only the core has made the pod, for a capacity buffer or for proactive scale-up. No kube-scheduler will ever bind it.
func IsFake(pod *corev1.Pod) bool {
	return fake.IsFake(pod) || capacitybuffer.IsFakeCapacityBuffersPod(pod)
}
