package nomination

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

const (
	// placeTime bounds the wait for the pods of released nodes, before others are released. After turnsTime all others are released.
	placeTime, turnsTime = 2 * time.Second, 6 * time.Second
	// mostTurns bounds the turns, and mostTries the turns times the pods that wait. kube-scheduler tries so many pods in some seconds.
	mostTurns, mostTries = 20, 1000
	// mostInTurns is how many pods may wait for nodes that are released in many turns, and mostInTwo for two.
	mostInTurns, mostInTwo = 150, 300
)

// A lot is nodes of one group.
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

func newWish(pod *corev1.Pod) wish {
	return wish{pod, resource.PodRequests(pod, resource.PodResourcesOptions{}), nodeaffinity.GetRequiredNodeAffinity(pod)}
}

// fits reports whether the pod would fit on the node if it were empty and open.
func (w wish) fits(node *corev1.Node) bool {
	if !within(w.requests, node.Status.Allocatable) {
		return false
	}
	matches, err := w.affinity.Match(node)
	return matches && err == nil && takes(node, w.Pod)
}

// releaseInTurns releases nodes in turns, each once the pods of its nodes are nominated. Between two turns kube-scheduler has time to place
// the pods of the first. If all this takes too long, the last turn is for all that are left.
func (n *Nominator) releaseInTurns(ctx context.Context, nodes []string) {
	end := n.Clock.Now().Add(turnsTime)
	for left := turns(n.lots(nodes)); len(left) > 0; {
		turn := left[0]
		if left = left[1:]; n.Clock.Now().After(end) || n.isBusy() {
			turn, left = slices.Concat(append([][]string{turn}, left...)...), nil
		}
		n.open(turn)
		n.awaitNominations(ctx, turn)
		n.releaseAll(ctx, turn)
		klog.FromContext(ctx).V(2).Info("Uncordoned new nodes, whose pods are nominated", "nodes", len(turn))
		if len(left) > 0 {
			n.awaitPlaced(ctx, turn)
			n.awaitCalm(ctx)
		}
	}
}

// turns are the nodes that are released together.
//
// kube-scheduler sees released nodes one after the other. It may try a pod before it sees that the pod's node is open, and then put it on
// another open node. So the nodes on which no pod of others fits are released first. The fewer nodes are released at a time, the fewer
// others are open. But kube-scheduler tries all waiting pods in each turn, so the more nodes and pods there are, the fewer are the turns.
func turns(lots []*lot) [][]string {
	nodes, pods := namesOf(lots), 0
	for _, l := range lots {
		pods += len(l.pods)
	}
	if pods > mostInTwo {
		return [][]string{nodes}
	}
	first, second := safe(lots)
	return append(split(first, pods), split(second, pods)...)
}

// split splits the nodes into turns, while so many pods wait. Nodes of a lot with a pod each stay together if no pod of the other lots fits
// there, because then each pod gets one of them.
func split(lots []*lot, pods int) (turns [][]string) {
	nodes := namesOf(lots)
	if pods > mostInTurns {
		return slices.Collect(slices.Chunk(nodes, max(1, len(nodes))))
	}
	if len(nodes)*pods > mostTries {
		together, _ := safe(lots)
		together = slices.DeleteFunc(together, func(l *lot) bool { return len(l.pods) > len(l.nodes) })
		if len(together) > 0 {
			turns = append(turns, namesOf(together))
		}
		nodes = namesOf(slices.DeleteFunc(slices.Clone(lots), func(l *lot) bool { return slices.Contains(together, l) }))
	}
	most := max(1, (len(nodes)*pods+mostTries-1)/mostTries, (len(nodes)+mostTurns-1)/mostTurns)
	return slices.AppendSeq(turns, slices.Chunk(nodes, most))
}

func namesOf(lots []*lot) (nodes []string) {
	for _, l := range lots {
		nodes = append(nodes, l.nodes...)
	}
	return nodes
}

// lots sorts nodes into lots. Nodes with more pods come first in a lot, because theirs are smaller. If a large pod takes their place, they fit on
// its node later. A large pod that has lost its node fits nowhere.
func (n *Nominator) lots(nodes []string) (all []*lot) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nodes = slices.SortedFunc(slices.Values(nodes), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(n.on[b]), len(n.on[a])), cmp.Compare(a, b))
	})
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
		for _, pod := range n.waitingFor(name) {
			l.pods = append(l.pods, newWish(pod))
		}
	}
	return all
}

// safe returns the lots on which no pod fits that is planned for nodes of another lot, and the others. A pod whose own place is large enough for
// the pods of the lot does no harm there: one of them can have that place.
func safe(lots []*lot) (first, second []*lot) {
	for _, l := range lots {
		if slices.ContainsFunc(lots, func(other *lot) bool { return other != l && other.harms(l) }) {
			second = append(second, l)
		} else {
			first = append(first, l)
		}
	}
	return first, second
}

// harms reports whether a pod of the lot fits on nodes of the other lot, but not each pod of that in its place.
func (l *lot) harms(other *lot) bool {
	fit := !slices.ContainsFunc(other.pods, func(w wish) bool { return !w.fits(l.example) })
	largest := corev1.ResourceList{}
	for _, w := range other.pods {
		for name, request := range w.requests {
			if most, known := largest[name]; !known || most.Cmp(request) < 0 {
				largest[name] = request
			}
		}
	}
	return slices.ContainsFunc(l.pods, func(w wish) bool { return w.fits(other.example) && !(fit && within(largest, w.requests)) })
}

// awaitPlaced waits until kube-scheduler has put all pods that are planned for the nodes somewhere.
func (n *Nominator) awaitPlaced(ctx context.Context, nodes []string) {
	n.await(ctx, placeTime, func() bool {
		return !slices.ContainsFunc(nodes, func(name string) bool { return len(n.on[name]) > 0 })
	})
}
