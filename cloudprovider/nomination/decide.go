package nomination

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodeready"
)

const (
	// calm is how long kube-scheduler must have tried no planned pod before one is nominated for a node that is not Ready. kube-scheduler
	// removes the nominations of the pods that it tries in vain, and each removal has it try others.
	calm = 200 * time.Millisecond
	// showTime is how long the informer may take to show a nomination.
	showTime = 5 * time.Second
	// bindTime is how long a node that can take the pod may stay without it, or longer while kube-scheduler deals with other planned pods, but
	// longestBind at most. kube-scheduler waits up to 10 s before it tries a pod again.
	bindTime, longestBind = 12 * time.Second, time.Minute
)

// target is a pod with the node that registered for it.
type target struct {
	namespace, name string
	node            string
	nominated       string    // the node in our last nomination, "" before the first
	last            time.Time // our last nomination, zero before the first
	written         string    // the pod's resource version with it
	offered         bool      // it was written when the node could take the pod
	usable          time.Time // since when the node can take the pod, zero for not yet
	replanned       bool      // the pod is planned for another node
	failures        int       // failed writes in a row
}

// step is what to do about a target now.
type step struct {
	nominate, clear bool          // write the nomination, or remove it
	end             result        // the target is dealt with, "" for not yet
	after           time.Duration // look again then, 0 for when something happens
}

// decide returns the next step for a pod, nil for one that is gone, on a node, nil for one that is gone. The pod is nominated after from,
// or at once if the node can take it. kube-scheduler last tried a planned pod when tried says. Other pods may have made the node full. decide
// also notes since when the node can take the pod. It has no other effect.
func (t *target) decide(pod *corev1.Pod, node *corev1.Node, now, from, tried time.Time, full bool, readyTime time.Duration) step {
	if pod == nil || pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return step{end: gone}
	}
	current := pod.Status.NominatedNodeName
	ours := current != "" && (current == t.nominated || current == t.node)
	shown := t.last.Add(showTime).Sub(now) // until the informer shows our last nomination at the latest
	if order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, t.written); err == nil && order >= 0 {
		shown = 0
	}
	withdraw := step{clear: ours, end: withdrawn}
	if current == "" && shown > 0 { // a nomination that nobody removes would keep the pod from getting a node
		withdraw = step{after: shown}
	}
	switch {
	case pod.Spec.NodeName == t.node:
		return step{end: kept}
	case pod.Spec.NodeName != "":
		return step{end: elsewhere} // the nomination means nothing any more
	case current != "" && !ours:
		return step{end: overruled}
	case t.replanned || node == nil || node.DeletionTimestamp != nil:
		return withdraw
	}
	var left time.Duration // until the node's time is over
	if usable(node, pod) {
		if t.usable.IsZero() {
			t.usable = now
		}
		left = min(max(t.usable.Sub(now), tried.Sub(now))+bindTime, t.usable.Sub(now)+longestBind)
	} else {
		t.usable = time.Time{}
		left = node.CreationTimestamp.Add(readyTime).Sub(now)
	}
	wait := max(shown, from.Sub(now))
	switch {
	case left <= 0:
		return withdraw
	case current == t.node && full:
		return step{clear: true, end: refused}
	case current == t.node && !t.usable.IsZero():
		return step{after: min(left, roomLook)}
	case current == t.node:
		return step{after: left}
	case !t.usable.IsZero() && !t.offered:
		return step{nominate: true}
	case !t.usable.IsZero() && shown <= 0:
		return step{end: refused}
	case wait > 0:
		return step{after: min(wait, left)}
	}
	return step{nominate: true}
}

// usable reports whether kube-scheduler may put the pod on the node, as far as the node's readiness, its taints and its devices say.
// Devices appear some time after the node is Ready.
func usable(node *corev1.Node, pod *corev1.Pod) bool {
	return !node.Spec.Unschedulable && takes(node, pod)
}

// takes is usable for a node that may be held.
func takes(node *corev1.Node, pod *corev1.Pod) bool {
	if !nodeready.Is(node) {
		return false
	}
	for _, taint := range node.Spec.Taints {
		if node.Spec.Unschedulable && taint.Key == corev1.TaintNodeUnschedulable {
			continue
		}
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
			return t.ToleratesTaint(klog.Background(), &taint, true)
		}) {
			return false
		}
	}
	for _, container := range pod.Spec.Containers {
		for name, request := range container.Resources.Requests {
			if allocatable := node.Status.Allocatable[name]; allocatable.IsZero() && !request.IsZero() {
				return false
			}
		}
	}
	return true
}
