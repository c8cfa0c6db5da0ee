package nodemeta

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// daemonSetPod makes the Cluster Autoscaler treat a pod as one of a DaemonSet.
const daemonSetPod = "cluster-autoscaler.kubernetes.io/daemonset-pod"

// HasClaim reports whether a claim stands behind the volume, be it the volume's own.
func HasClaim(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil || v.Ephemeral != nil }

// BelongsToNode reports whether the pod never moves to another node: it is a DaemonSet's, or stands for a static pod. It reads the pod alone. A
// DaemonSet that is being deleted takes its pods with it.
func BelongsToNode(pod *corev1.Pod) bool {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil && owner.Kind == "DaemonSet" {
		return true
	}
	_, static := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return static || pod.Annotations[daemonSetPod] == "true"
}
