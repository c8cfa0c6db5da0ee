package nomination

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
)

// roomTime is how long a node that can take its pods has them, before it is looked at whether it still has room for the others. It is also
// how long what is on the nodes counts as known.
const roomTime = time.Second

// A placed pod takes room on a node.
type placed struct {
	uid      types.UID
	priority int32
	requests corev1.ResourceList
}

// lacksRoom reports whether other pods leave too little room for the pod on the node, as far as it may not preempt them. kube-scheduler may have
// put pods there that are planned for other nodes. It does not try the pod again before something changes. It needs the lock.
func (n *Nominator) lacksRoom(node *corev1.Node, pod *corev1.Pod) bool {
	if now := n.Clock.Now(); n.placed == nil || now.Sub(n.placedAt) >= roomTime {
		n.placed, n.placedAt = n.podsOnTargets(), now
	}
	used, count := resource.PodRequests(pod, resource.PodResourcesOptions{}), int64(1)
	preempts := pod.Spec.PreemptionPolicy == nil || *pod.Spec.PreemptionPolicy != corev1.PreemptNever
	for _, other := range n.placed[node.Name] {
		switch t := n.targets[other.uid]; {
		case other.uid == pod.UID:
			return false
		case t != nil && t.node != node.Name: // the pod may get its place, see exchange
			return false
		case preempts && other.priority < scheduling.PodPriority(pod):
			continue
		}
		count++
		for name, sum := range used {
			sum.Add(other.requests[name])
			used[name] = sum
		}
	}
	if most, limited := node.Status.Allocatable[corev1.ResourcePods]; limited && count > most.Value() {
		return true
	}
	for name, sum := range used {
		if allocatable := node.Status.Allocatable[name]; allocatable.Cmp(sum) < 0 {
			return true
		}
	}
	return false
}

// podsOnTargets returns the pods on the nodes of all targets. It needs the lock.
func (n *Nominator) podsOnTargets() map[string][]placed {
	all := make(map[string][]placed, len(n.on))
	for _, object := range n.Pods.GetStore().List() {
		pod, ok := object.(*corev1.Pod)
		if !ok || len(n.on[pod.Spec.NodeName]) == 0 || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		all[pod.Spec.NodeName] = append(all[pod.Spec.NodeName],
			placed{pod.UID, scheduling.PodPriority(pod), resource.PodRequests(pod, resource.PodResourcesOptions{})})
	}
	return all
}
