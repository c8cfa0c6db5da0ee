package nodeinfos

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// addPlaceholders adds a placeholder NodeInfo for each node group that has none. Without it the core would give up every scale-up, for
// all groups, while an instance of such a group is on its way to become a node. No pod fits on a placeholder.
func addPlaceholders(infos map[string]*framework.NodeInfo, groups []cloudprovider.NodeGroup) {
	for _, ng := range groups {
		if id := ng.Id(); infos[id] == nil {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "unknown-node-of-" + id}, Spec: corev1.NodeSpec{Unschedulable: true}}
			nodemeta.Placeholder.Mark(node)
			ensureLists(node)
			infos[id] = framework.NewNodeInfo(node, nil)
		}
	}
}
