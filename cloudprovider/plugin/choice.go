package plugin

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
)

// choice is a chosen option, as its pods on each of its nodes. The core does not say which pods it counts on which node, so they are put on
// the first node with room. Pods may be nominated for these nodes, and kube-scheduler looks elsewhere where that is wrong. Pods that only
// the core has made take room, and are left out then.
type choice struct {
	groups map[string]bool // which take all these pods: the core may balance its nodes among them
	nodes  [][]*corev1.Pod
}

func newChoice(ctx context.Context, o *expander.Option, info *framework.NodeInfo, offered []expander.Option) *choice {
	c := &choice{groups: map[string]bool{}}
	chosen := sets.New(o.Pods...)
	for _, other := range offered {
		c.groups[other.NodeGroup.Id()] = sets.New(other.Pods...).IsSuperset(chosen)
	}
	var daemonSets []*corev1.Pod
	for _, pod := range info.Pods() {
		daemonSets = append(daemonSets, pod.Pod)
	}
	c.nodes = place(ctx, o.Pods, o.NodeCount, info.Node().Status.Allocatable, daemonSets)
	for at, pods := range c.nodes {
		c.nodes[at] = slices.DeleteFunc(pods, podlist.IsFake)
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

// needs are the requests of the pod, and one pod.
func needs(pod *corev1.Pod) corev1.ResourceList {
	list := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)}
	maps.Copy(list, podutils.PodRequests(pod))
	return list
}
