package why

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// Nodes returns the number of such nodes that the pods fill, one after the other. It looks at requests alone.
func (n *GroupNode) Nodes(pods []*corev1.Pod) int {
	nodes, used := 0, corev1.ResourceList{}
	for _, pod := range pods {
		asked := nodemeta.Requests(pod)
		nodemeta.AddRequests(used, asked)
		if nodes == 0 || len(n.resources(used)) > 0 {
			nodes, used = nodes+1, asked
		}
	}
	return nodes
}

// Takes reports whether a next node of the group has all that the pod asks for.
func (n *GroupNode) Takes(pod *corev1.Pod, g *decision.Group) bool {
	return len(n.failing(pod, nodemeta.Requests(pod), podzone.Need{}, g)) == 0
}
