package question

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
)

// Option is a group that could grow.
type Option struct {
	Group string
	Nodes int           // at least one
	Pods  []*corev1.Pod // at least one. A pod of several options is one object, as in the core
	Node  *corev1.Node  // the next node of the group. It has allocatable resources
	Debug string
}

// Read returns the options of our groups, one for each.
func Read(r *protos.BestOptionsRequest, ours func(group string) bool) ([]Option, error) {
	var options []Option
	pods := map[string]*corev1.Pod{}
	seen := map[string]bool{}
	for _, m := range r.GetOptions() {
		o := Option{Group: m.GetNodeGroupId(), Nodes: int(m.GetNodeCount()), Debug: m.GetDebug(), Node: &corev1.Node{}}
		if !ours(o.Group) {
			continue
		}
		if seen[o.Group] { // the node of a group is read once
			return nil, fmt.Errorf("two options are of the group %q", o.Group)
		}
		seen[o.Group] = true
		if o.Nodes < 1 || len(m.GetPodBytes()) == 0 {
			return nil, fmt.Errorf("the option %q has %d nodes for %d pods", o.Group, o.Nodes, len(m.GetPodBytes()))
		}
		for _, bytes := range m.GetPodBytes() {
			pod := pods[string(bytes)]
			if pod == nil {
				pod = &corev1.Pod{}
				if err := Unmarshal(bytes, pod); err != nil {
					return nil, fmt.Errorf("a pod of the option %q: %w", o.Group, err)
				}
				pods[string(bytes)] = pod
			}
			o.Pods = append(o.Pods, pod)
		}
		err := Unmarshal(r.GetNodeBytesMap()[o.Group], o.Node)
		if err == nil && len(o.Node.Status.Allocatable) == 0 {
			err = errors.New("it has no allocatable resources")
		}
		if err != nil {
			return nil, fmt.Errorf("the node of the option %q: %w", o.Group, err)
		}
		options = append(options, o)
	}
	return options, nil
}

// mostRefusals bounds the kinds of requests that are tried in vain on one node. The node is as good as full then.
const mostRefusals = 32

// Place puts each pod on the first node with room, and leaves out a pod that no node has room for. The pods of DaemonSets are on each
// node. Function needs returns the requests of a pod and the pod itself, of which a node takes a limited number.
//
// The time is linear in the pods, because a pod begins where the last one with equal requests ended, and behind nodes with mostRefusals.
// It ends early with ctx.
func Place(ctx context.Context, pods []*corev1.Pod, nodes int, allocatable corev1.ResourceList, daemonSets []*corev1.Pod,
	needs func(*corev1.Pod) corev1.ResourceList) [][]*corev1.Pod {
	empty := allocatable.DeepCopy()
	for _, pod := range daemonSets {
		subtract(empty, needs(pod))
	}
	var placed [][]*corev1.Pod
	var free []corev1.ResourceList
	var refusals []int       // by node
	first := 0               // the first node with fewer than mostRefusals
	next := map[string]int{} // the first node that has not refused such requests
	for _, pod := range pods {
		if ctx.Err() != nil {
			break
		}
		requests := needs(pod)
		text, _ := json.Marshal(requests) // quantities can be encoded
		at := max(next[string(text)], first)
		for ; at < len(free) && !fits(requests, free[at]); at++ {
			refusals[at]++
		}
		next[string(text)] = at
		for first < len(free) && refusals[first] >= mostRefusals {
			first++
		}
		if at == nodes {
			continue
		}
		if at == len(free) {
			free, placed, refusals = append(free, empty.DeepCopy()), append(placed, nil), append(refusals, 0)
		}
		subtract(free[at], requests)
		placed[at] = append(placed[at], pod)
	}
	return placed
}

func fits(wanted, room corev1.ResourceList) bool {
	for name, amount := range wanted {
		if amount.Cmp(room[name]) > 0 {
			return false
		}
	}
	return true
}

func subtract(room, taken corev1.ResourceList) {
	for name, amount := range taken {
		left := room[name]
		left.Sub(amount)
		room[name] = left
	}
}
