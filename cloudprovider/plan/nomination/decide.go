package nomination

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

const (
	// showTime bounds the time until the informer shows a nomination.
	showTime = 5 * time.Second
	// A node that can take the pod may stay without it for bindTime, or longer while kube-scheduler tries other planned pods. Other pods may
	// have taken the room. kube-scheduler does not try the pod again before something changes, and the core asks for no other node as long as
	// the pod is nominated. kube-scheduler removes the nomination when it tries the pod in vain, except from a pod that may not preempt. Such
	// a pod waits longestBind at most. A pod that claims devices has longestBind, because their driver publishes them some time after the node
	// is Ready. A nomination that kube-scheduler removes meanwhile is written again.
	bindTime, longestBind = 4 * time.Second, time.Minute
)

// target is a pod with the node that registered for it.
type target struct {
	namespace, name string
	node            string
	shape           uint64    // see plan.Shape
	nominated       string    // the node in our last nomination, "" before the first
	last            time.Time // our last nomination, zero before the first
	written         string    // the pod's resource version with it
	offered         bool      // it was written when the node could take the pod for sure
	usable          time.Time // since when the node can take the pod, zero for not yet
	over            bool      // the pod no longer waits for the node, also if the answer to the removal was lost
	failures        int       // failed writes in a row
}

// seen holds the facts about a target from which decide chooses its next step.
type seen struct {
	pod     *corev1.Pod   // nil for one that is gone
	node    *corev1.Node  // nil for one that is gone
	planned bool          // the pod is still planned for the node
	on      []*corev1.Pod // that have the node and use its room
	tried   time.Time     // when kube-scheduler last tried a planned pod
	now     time.Time
}

type step struct {
	nominate, clear bool          // write the nomination, or remove it
	end             result        // the target is dealt with, "" for not yet
	after           time.Duration // look again then, 0 for when something happens
}

// decide returns the next step. It also notes since when the node can take the pod, and that the wait is over.
func (t *target) decide(s seen, o *Options) step {
	pod, node := s.pod, s.node
	if pod == nil || pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return step{end: gone}
	}
	current := pod.Status.NominatedNodeName
	ours := current != "" && (current == t.nominated || current == t.node)
	shown := t.last.Add(showTime).Sub(s.now) // until the informer shows our last nomination at the latest
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
	case t.over || !s.planned || node == nil || node.DeletionTimestamp != nil:
		return withdraw
	}
	usable := usable(node, pod)
	left := node.CreationTimestamp.Add(o.ReadyTime).Sub(s.now) // until the node's time is over
	if !usable {
		t.usable = time.Time{}
		if ready := nodemeta.ReadySince(node); !ready.IsZero() && o.keptOut(node, pod) { // the core counts on a Ready node with such a taint
			left = min(left, ready.Add(longestBind).Sub(s.now))
		}
	} else {
		if t.usable.IsZero() {
			t.usable = s.now
		}
		longest := t.usable.Sub(s.now) + longestBind
		left = max(t.usable.Sub(s.now), s.tried.Sub(s.now)) + bindTime
		if claims(pod) {
			left = longest
		} else if ptr.Deref(pod.Spec.PreemptionPolicy, "") == corev1.PreemptNever {
			left = min(left, longest)
		}
	}
	open := nodemeta.Ready(node) && !node.Spec.Unschedulable
	switch {
	case left <= 0, usable && full(node, s.on, pod):
		t.over = true
		return withdraw
	case current != "" && !open: // the core would count on the node
		return step{clear: true, after: left}
	case current == t.node:
		return step{after: left}
	case shown > 0:
		return step{after: min(shown, left)}
	case t.offered:
		return step{end: refused}
	case usable, open && t.last.IsZero():
		return step{nominate: true}
	}
	return step{after: left}
}

func full(node *corev1.Node, on []*corev1.Pod, pod *corev1.Pod) bool {
	wanted, used := nodemeta.Requests(pod), corev1.ResourceList{}
	for _, other := range on {
		nodemeta.AddRequests(used, nodemeta.Requests(other))
	}
	for name, request := range wanted {
		request.Add(used[name])
		if room, found := node.Status.Allocatable[name]; found && request.Cmp(room) > 0 {
			return true
		}
	}
	return false
}

// claims reports whether the pod needs devices of dynamic resource allocation. No resource of the node shows whether they are published.
func claims(pod *corev1.Pod) bool { return len(pod.Spec.ResourceClaims) > 0 }

// keptOut reports whether the node has a taint that may stay. Kubernetes and Cilium take theirs off again: node.…
func (o *Options) keptOut(node *corev1.Node, pod *corev1.Pod) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool {
		return !strings.HasPrefix(taint.Key, "node.") && !(o.StartupTaint != nil && o.StartupTaint(taint.Key)) && !plan.Tolerates(pod, &taint)
	})
}

// usable goes by the node's readiness, taints and devices. Devices appear some time after the node is Ready.
func usable(node *corev1.Node, pod *corev1.Pod) bool {
	keepsOut := func(taint corev1.Taint) bool { return !plan.Tolerates(pod, &taint) }
	if node.Spec.Unschedulable || !nodemeta.Ready(node) || slices.ContainsFunc(node.Spec.Taints, keepsOut) {
		return false
	}
	for at := range pod.Spec.Containers { // no copy of a container: the core's loop writes to Env
		for name, request := range pod.Spec.Containers[at].Resources.Requests {
			if allocatable := node.Status.Allocatable[name]; allocatable.IsZero() && !request.IsZero() {
				return false
			}
		}
	}
	return true
}
