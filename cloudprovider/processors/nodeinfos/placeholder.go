package nodeinfos

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// addPlaceholders adds a Placeholder for each node group that has no NodeInfo.
func addPlaceholders(infos map[string]*framework.NodeInfo, groups []cloudprovider.NodeGroup) {
	for _, ng := range groups {
		if id := ng.Id(); infos[id] == nil {
			infos[id] = framework.NewNodeInfo(Placeholder(id), nil)
		}
	}
}

// Placeholder is a node of a group about which nothing is known. No pod fits on it. Without a NodeInfo of the group the core would give up
// every scale-up, for all groups, while an instance of it is on its way to become a node.
func Placeholder(group string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "unknown-node-of-" + group}, Spec: corev1.NodeSpec{Unschedulable: true}}
	nodemeta.Placeholder.Mark(node)
	ensureLists(node)
	return node
}
