package plugin

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
)

// choice is a chosen option, as its pods on each of its nodes. The core does not say which pods it counts on which node, so they are put on
// the first node with room. Pods may be nominated for these nodes, and kube-scheduler looks elsewhere where that is wrong.
type choice struct {
	groups map[string]bool // which take all these pods: the core may balance its nodes among them
	nodes  [][]*corev1.Pod
}

func newChoice(o *expander.Option, info *framework.NodeInfo, offered []expander.Option) *choice {
	c := &choice{groups: map[string]bool{}}
	chosen := sets.New(o.Pods...)
	for _, other := range offered {
		c.groups[other.NodeGroup.Id()] = sets.New(other.Pods...).IsSuperset(chosen)
	}
	var free []corev1.ResourceList
	for _, pod := range o.Pods {
		requests := needs(pod)
		at := 0
		for at < len(free) && !fits(requests, free[at]) {
			at++
		}
		if at == o.NodeCount {
			continue
		}
		if at == len(free) {
			free, c.nodes = append(free, room(info)), append(c.nodes, nil)
		}
		subtract(free[at], requests)
		c.nodes[at] = append(c.nodes[at], pod)
	}
	return c
}

// take removes the first nodes, and returns the pods of each.
func (c *choice) take(nodes int) [][]*corev1.Pod {
	nodes = min(nodes, len(c.nodes))
	taken := c.nodes[:nodes]
	c.nodes = c.nodes[nodes:]
	return taken
}

// room returns the resources that the pods of DaemonSets leave on the node.
func room(info *framework.NodeInfo) corev1.ResourceList {
	left := info.Node().Status.Allocatable.DeepCopy()
	for _, pod := range info.Pods() {
		subtract(left, needs(pod.Pod))
	}
	return left
}

// needs are the requests of the pod, and the pod itself, of which a node takes so many.
func needs(pod *corev1.Pod) corev1.ResourceList {
	list := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)}
	maps.Copy(list, podutils.PodRequests(pod))
	return list
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
