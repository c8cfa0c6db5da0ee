package drain

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// The Cluster Autoscaler gives up on a pod that is still terminating when its grace ended longTerminating ago.
	longTerminating = 30 * time.Second
	// defaultGrace is the grace of a pod that states none.
	defaultGrace = corev1.DefaultTerminationGracePeriodSeconds * time.Second
)

// Moves reports whether a drain moves the pod. These are the rules by which the Cluster Autoscaler drains a node for
// scale-down, without the ones that keep a node because of a pod: this node goes anyway.
func Moves(pod *corev1.Pod, now time.Time) bool {
	return !nodemeta.BelongsToNode(pod) && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed && !overdue(pod, now)
}

// overdue reports whether the pod should have ended long ago. Its kubelet is dead, or a finalizer holds it, and a drain cannot
// help it.
func overdue(pod *corev1.Pod, now time.Time) bool {
	if pod.DeletionTimestamp == nil {
		return false
	}
	grace := defaultGrace
	if own := pod.Spec.TerminationGracePeriodSeconds; own != nil {
		grace = time.Duration(*own) * time.Second
	}
	return pod.DeletionTimestamp.Add(grace + longTerminating).Before(now)
}
