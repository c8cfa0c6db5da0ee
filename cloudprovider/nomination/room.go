package nomination

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
)

const (
	// roomTime is how long kube-scheduler must have tried no planned pod, before a node that has no room for its pods counts as full.
	// Until then other nodes may become free for them.
	roomTime = 3 * time.Second
	// roomLook is how often this is looked at.
	roomLook = time.Second
)

// A placed pod takes room on a node.
type placed struct {
	uid      types.UID
	priority int32
	requests corev1.ResourceList
}

// settled reports whether the target's node is open, and kube-scheduler has put all pods somewhere that it can. It needs the lock.
func (n *Nominator) settled(t *target) bool {
	return !t.usable.IsZero() && len(n.held) == 0 && n.Clock.Since(t.usable) >= roomTime && n.Clock.Since(n.tried) >= roomTime
}

// lacksRoom reports whether other pods leave too little room for the pod on the node, as far as it may not preempt them. kube-scheduler may have
// put pods there that are planned for other nodes. It does not try the pod again before something changes. It needs the lock.
func (n *Nominator) lacksRoom(node *corev1.Node, pod *corev1.Pod) bool {
	if now := n.Clock.Now(); n.placed == nil || now.Sub(n.placedAt) >= roomLook {
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
	return !within(used, node.Status.Allocatable)
}

// within reports whether there is room for the requests.
func within(requests, room corev1.ResourceList) bool {
	for name, request := range requests {
		if most := room[name]; most.Cmp(request) < 0 {
			return false
		}
	}
	return true
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
