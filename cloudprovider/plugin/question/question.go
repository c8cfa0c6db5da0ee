package question

import (
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

// Read returns the options of our groups.
func Read(r *protos.BestOptionsRequest, ours func(group string) bool) ([]Option, error) {
	var options []Option
	pods := map[string]*corev1.Pod{}
	for _, m := range r.GetOptions() {
		o := Option{Group: m.GetNodeGroupId(), Nodes: int(m.GetNodeCount()), Debug: m.GetDebug(), Node: &corev1.Node{}}
		if !ours(o.Group) {
			continue
		}
		if o.Nodes < 1 || len(m.GetPodBytes()) == 0 {
			return nil, fmt.Errorf("the option %q has %d nodes for %d pods", o.Group, o.Nodes, len(m.GetPodBytes()))
		}
		for _, bytes := range m.GetPodBytes() {
			pod := pods[string(bytes)]
			if pod == nil {
				pod = &corev1.Pod{}
				if err := pod.Unmarshal(bytes); err != nil {
					return nil, fmt.Errorf("a pod of the option %q: %w", o.Group, err)
				}
				pods[string(bytes)] = pod
			}
			o.Pods = append(o.Pods, pod)
		}
		err := o.Node.Unmarshal(r.GetNodeBytesMap()[o.Group])
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

// Place puts each pod on the first node with room, and leaves out a pod that no node has room for. The pods of DaemonSets are on each
// node. Function needs returns the requests of a pod and the pod itself, of which a node takes a limited number.
func Place(pods []*corev1.Pod, nodes int, allocatable corev1.ResourceList, daemonSets []*corev1.Pod,
	needs func(*corev1.Pod) corev1.ResourceList) [][]*corev1.Pod {
	empty := allocatable.DeepCopy()
	for _, pod := range daemonSets {
		subtract(empty, needs(pod))
	}
	var placed [][]*corev1.Pod
	var free []corev1.ResourceList
	for _, pod := range pods {
		requests := needs(pod)
		at := 0
		for at < len(free) && !fits(requests, free[at]) {
			at++
		}
		if at == nodes {
			continue
		}
		if at == len(free) {
			free, placed = append(free, empty.DeepCopy()), append(placed, nil)
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
