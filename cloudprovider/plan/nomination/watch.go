package nomination

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// nodeAdded counts a node that registers while this process leads.
func (n *Nominator) nodeAdded(object any, isInInitialList bool) {
	if isInInitialList {
		return
	}
	name := object.(*corev1.Node).Name
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fresh[name] = true
	n.queue.Add(key{node: name})
}

func (n *Nominator) nodeUpdated(before, after any) {
	old, node := before.(*corev1.Node), after.(*corev1.Node)
	if nodemeta.Ready(old) == nodemeta.Ready(node) && old.Spec.Unschedulable == node.Spec.Unschedulable &&
		(old.DeletionTimestamp == nil) == (node.DeletionTimestamp == nil) &&
		equality.Semantic.DeepEqual(old.Spec.Taints, node.Spec.Taints) && equality.Semantic.DeepEqual(old.Status.Allocatable, node.Status.Allocatable) {
		return
	}
	n.nodeChanged(node.Name)
}

func (n *Nominator) nodeDeleted(object any) {
	if node, ok := nodemeta.LastState(object).(*corev1.Node); ok {
		n.nodeChanged(node.Name)
	}
}

func (n *Nominator) nodeChanged(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fresh[name] {
		n.queue.Add(key{node: name})
	}
	n.lookAgainAt(name)
}

// lookAgainAt has workers look at the targets of the node. It needs the lock.
func (n *Nominator) lookAgainAt(name string) {
	for uid := range n.on[name] {
		n.queue.Add(key{pod: uid})
	}
}

func (n *Nominator) podUpdated(before, after any) {
	old, pod := before.(*corev1.Pod), after.(*corev1.Pod)
	n.podChanged(pod, old.Spec.NodeName == "" && pod.Spec.NodeName != "")
}

func (n *Nominator) podDeleted(object any) {
	if pod, ok := nodemeta.LastState(object).(*corev1.Pod); ok {
		n.podChanged(pod, true)
	}
}

// podChanged looks again at a target. A pod that no longer waits leaves the plan. If it is no target, it may have taken the room of one.
func (n *Nominator) podChanged(pod *corev1.Pod, settled bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if settled { // under the lock, because a worker that hears of it would end the target before it is seen here
		n.Plan.Drop(pod.UID)
	}
	if n.targets[pod.UID] != nil {
		n.tried = n.Clock.Now()
		n.queue.Add(key{pod: pod.UID})
	} else if settled {
		n.lookAgainAt(pod.Spec.NodeName)
	}
}

func (n *Nominator) node(name string) *corev1.Node {
	object, _, _ := n.Nodes.GetStore().GetByKey(name) // fails for no key
	node, _ := object.(*corev1.Node)
	return node
}

func (n *Nominator) pod(namespace, name string, uid types.UID) *corev1.Pod {
	object, _, _ := n.Pods.GetStore().GetByKey(namespace + "/" + name)
	if pod, ok := object.(*corev1.Pod); ok && pod.UID == uid {
		return pod
	}
	return nil
}
