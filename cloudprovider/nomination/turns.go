package nomination

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

const (
	// placeTime bounds the wait for the pods of released nodes, before others are released.
	placeTime = 2 * time.Second
	// mostInTurn is how many pods may wait for nodes that are released in turn. kube-scheduler tries this many in about 2 s.
	mostInTurn = 300
)

// A lot is nodes of one group that are released together.
type lot struct {
	nodes   []string
	example *corev1.Node
	pods    []wish // that wait and are planned for the nodes
}

// A wish is what decides on which empty nodes a pod fits.
type wish struct {
	*corev1.Pod
	requests corev1.ResourceList
	affinity nodeaffinity.RequiredNodeAffinity
}

// fits reports whether the pod would fit on the node if it were empty and open.
func (w wish) fits(node *corev1.Node) bool {
	for name, request := range w.requests {
		if allocatable := node.Status.Allocatable[name]; allocatable.Cmp(request) < 0 {
			return false
		}
	}
	matches, err := w.affinity.Match(node)
	return matches && err == nil && takes(node, w.Pod)
}

// releaseInTurn releases nodes in two turns, each once the pods of its nodes are nominated. Before the second turn kube-scheduler has time to
// place the pods of the first. It tries all waiting pods in each turn, so many pods get one turn.
func (n *Nominator) releaseInTurn(ctx context.Context, nodes []string) {
	lots, pods := n.lots(nodes)
	first := len(lots)
	if pods <= mostInTurn {
		first = firstTurn(lots)
	}
	n.releaseLots(ctx, lots[:first])
	if first < len(lots) {
		n.awaitPlaced(ctx, lots[:first])
		n.releaseLots(ctx, lots[first:])
	}
}

func (n *Nominator) releaseLots(ctx context.Context, lots []*lot) {
	nodes := nodesOf(lots)
	n.open(nodes)
	n.awaitNominations(ctx, nodes)
	n.releaseAll(ctx, nodes)
	klog.FromContext(ctx).V(2).Info("Uncordoned new nodes, whose pods are nominated", "nodes", len(nodes))
}

func nodesOf(lots []*lot) (nodes []string) {
	for _, l := range lots {
		nodes = append(nodes, l.nodes...)
	}
	return nodes
}

// lots sorts nodes into lots. It also returns how many pods wait for them.
func (n *Nominator) lots(nodes []string) (all []*lot, pods int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	of := map[string]*lot{}
	for _, name := range nodes {
		node := n.node(name)
		if node == nil {
			continue
		}
		group := n.Group(node)
		l := of[group]
		if l == nil {
			l = &lot{example: node}
			of[group], all = l, append(all, l)
		}
		l.nodes = append(l.nodes, name)
		for uid := range n.on[name] {
			if pod := n.podOf(uid); pod != nil && pod.Spec.NodeName == "" {
				l.pods = append(l.pods, wish{pod, resource.PodRequests(pod, resource.PodResourcesOptions{}), nodeaffinity.GetRequiredNodeAffinity(pod)})
				pods++
			}
		}
	}
	return all, pods
}

// firstTurn moves the lots of the first turn to the front, and returns how many they are.
//
// kube-scheduler may try a pod before it sees that the pod's node is open, and then put it on another open node. So the first turn is for the
// lots on whose nodes no pod of the others fits. If there are none, or only such, one turn is for all.
func firstTurn(lots []*lot) int {
	var first, second []*lot
	for _, l := range lots {
		if strangers(l, lots) {
			second = append(second, l)
		} else {
			first = append(first, l)
		}
	}
	copy(lots, append(first, second...))
	if len(first) == 0 {
		return len(lots)
	}
	return len(first)
}

// strangers reports whether a pod of another lot fits on the nodes of the lot.
func strangers(l *lot, lots []*lot) bool {
	return slices.ContainsFunc(lots, func(other *lot) bool {
		return other != l && slices.ContainsFunc(other.pods, func(w wish) bool { return w.fits(l.example) })
	})
}

// awaitPlaced waits until kube-scheduler has put all pods that are planned for the nodes somewhere.
func (n *Nominator) awaitPlaced(ctx context.Context, lots []*lot) {
	n.await(ctx, placeTime, func() bool {
		return !slices.ContainsFunc(nodesOf(lots), func(name string) bool { return len(n.on[name]) > 0 })
	})
}
