package loop

import (
	"slices"
	"sync/atomic"
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/tools/cache"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// nodeSettleTime and nodeSettleLimit are the settle times of changes of nodes. They are longer than the times of pods, because no
	// pod waits. Nodes that become empty together are found by one loop, so they leave together as well.
	nodeSettleTime  = 500 * time.Millisecond
	nodeSettleLimit = 2 * time.Second
	// nodeRest bounds the share of the time that loops for changes of nodes take. After a loop that took a second, no change of a node
	// starts another for nineteen seconds.
	nodeRest = 19
)

// nodeChanges remembers that nodes changed in a way that the core acts on: a node takes pods that it refused, its last pod is gone, or
// kube-scheduler keeps its room for a waiting pod no longer. On a busy cluster that happens all the time, see nodeRest.
type nodeChanges struct {
	*burst
	rested time.Time   // no loop starts for a change before
	waits  atomic.Bool // a pod has lost its place, so the loop for it does not rest
}

func (n *nodeChanges) forget() {
	n.waits.Store(false)
	n.burst.forget()
}

// due returns when a loop is due for the changes, zero if there are none.
func (n *nodeChanges) due(now time.Time) time.Time {
	settled := n.burst.due(now)
	if !settled.IsZero() && settled.Before(n.rested) && !n.waits.Load() {
		return n.rested
	}
	return settled
}

// PodLostPlace wakes the Trigger for a pod that waits and whose planned node has no room for it any more.
func (t *Trigger) PodLostPlace() {
	t.nodes.waits.Store(true)
	t.nodes.add(t.clock.Now())
}

// NodeHandler returns the handler that wakes the Trigger when a node takes pods that it refused: it is Ready, or a taint is gone. Add it
// to the informer whose lister the loop reads.
func (t *Trigger) NodeHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: func(before, after any) {
		old, node := before.(*apiv1.Node), after.(*apiv1.Node)
		if nodemeta.Ready(node) && (!nodemeta.Ready(old) || lostTaint(old.Spec.Taints, node.Spec.Taints)) {
			t.nodes.add(t.clock.Now())
		}
	}}
}

// lostTaint reports whether a taint that keeps pods away is gone. The core's own taint of a node that is being removed does not count. It
// goes when the removal failed, and a loop right then would try it again, and again.
func lostTaint(before, after []apiv1.Taint) bool {
	return slices.ContainsFunc(before, func(old apiv1.Taint) bool {
		return old.Effect != apiv1.TaintEffectPreferNoSchedule && old.Key != taints.ToBeDeletedTaint &&
			!slices.ContainsFunc(after, func(taint apiv1.Taint) bool { return taint.MatchTaint(&old) })
	})
}

// EmptiedHandler returns the handler that wakes the Trigger when the last pod of a node is gone, so that the node's unneeded time begins
// then. Add it to the informer of all pods if the core removes nodes.
func (t *Trigger) EmptiedHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: t.movePod,
		DeleteFunc: func(pod any) { t.movePod(nodemeta.LastState(pod), nil) },
	}
}

// movePod looks whether the node that a pod has left is empty. Nil stands for a pod that does not exist.
func (t *Trigger) movePod(before, after any) {
	from := occupied(before)
	if from != "" && from != occupied(after) && !slices.ContainsFunc(t.config.PodsOn(from), func(pod *apiv1.Pod) bool { return occupied(pod) != "" }) {
		t.nodes.add(t.clock.Now())
	}
}

// occupied returns the node that the pod keeps from being empty, "" for none. The pods of DaemonSets and the node's own static pods
// keep no node.
func occupied(obj any) string {
	pod, ok := obj.(*apiv1.Pod)
	if !ok || podutil.IsPodTerminal(pod) || nodemeta.BelongsToNode(pod) {
		return ""
	}
	return pod.Spec.NodeName
}
