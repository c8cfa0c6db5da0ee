package scaledown

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// Listers leave out pods whose grace ended long ago from nodes under removal. The core's rules skip such a pod, and its drain evicts it all the same,
// waits for it, and fails. It is often the sickness of its node that holds the pod.
type Listers struct{ kubernetes.ListerRegistry }

func (l Listers) AllPodLister() kubernetes.PodLister { return withoutOverdue(l) }

type withoutOverdue Listers

func (l withoutOverdue) List() ([]*corev1.Pod, error) {
	pods, err := l.ListerRegistry.AllPodLister().List()
	now := time.Now()
	return slices.DeleteFunc(pods, func(pod *corev1.Pod) bool {
		if !drain.IsPodLongTerminating(pod, now) {
			return false
		}
		node, err := l.AllNodeLister().Get(pod.Spec.NodeName)
		return err == nil && taints.HasToBeDeletedTaint(node)
	}), err
}
