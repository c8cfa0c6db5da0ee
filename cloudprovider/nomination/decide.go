package nomination

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

const (
	// firstPause is the time between the first nomination and the second one, if kube-scheduler removes the first. Every further
	// pause is twice as long, up to longestPause. mostTries bounds the writes for one pod, because each removal has kube-scheduler try
	// other pods again.
	firstPause, longestPause = 100 * time.Millisecond, 8 * time.Second
	mostTries                = 12
	// bindTime is how long a node that can take the pod may stay without it. kube-scheduler waits up to 10 s before it tries a pod again.
	bindTime = time.Minute
)

// target is a pod with the node that registered for it.
type target struct {
	namespace, name string
	node            string
	nominated       string    // the node in our last nomination, "" before the first
	tries           int       // nominations so far
	last            time.Time // of them
	offered         bool      // one of them was written when the node could take the pod
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

// decide returns the next step for a pod, nil for one that is gone, on a node, nil for one that is gone. It also notes since when the
// node can take the pod. It has no other effect.
func (t *target) decide(pod *corev1.Pod, node *corev1.Node, now time.Time, readyTime time.Duration) step {
	if pod == nil || pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return step{end: gone}
	}
	current := pod.Status.NominatedNodeName
	ours := current != "" && (current == t.nominated || current == t.node)
	switch {
	case pod.Spec.NodeName == t.node:
		return step{end: kept}
	case pod.Spec.NodeName != "":
		return step{clear: ours, end: elsewhere}
	case current != "" && !ours:
		return step{end: overruled}
	case t.replanned || node == nil || node.DeletionTimestamp != nil:
		return step{clear: ours, end: withdrawn}
	}
	var left time.Duration // until the node's time is over
	if usable(node, pod) {
		if t.usable.IsZero() {
			t.usable = now
		}
		left = t.usable.Add(bindTime).Sub(now)
	} else {
		t.usable = time.Time{}
		left = node.CreationTimestamp.Add(readyTime).Sub(now)
	}
	pause := t.last.Add(t.pause()).Sub(now)
	switch {
	case left <= 0:
		return step{clear: ours, end: withdrawn}
	case current == t.node:
		return step{after: left}
	case !t.usable.IsZero() && !t.offered:
		return step{nominate: true}
	case pause > 0:
		return step{after: min(pause, left)}
	case !t.usable.IsZero():
		return step{end: refused}
	case t.tries >= mostTries:
		return step{after: left}
	}
	return step{nominate: true}
}

// pause is the least time between the last nomination and the next one.
func (t *target) pause() time.Duration {
	if t.tries == 0 {
		return 0
	}
	return min(firstPause<<(t.tries-1), longestPause)
}

// usable reports whether kube-scheduler may put the pod on the node, as far as the node's readiness, its taints and its devices say.
// Devices appear some time after the node is Ready.
func usable(node *corev1.Node, pod *corev1.Pod) bool {
	if !ready(node) || node.Spec.Unschedulable {
		return false
	}
	for _, taint := range node.Spec.Taints {
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

func ready(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
