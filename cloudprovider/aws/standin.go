package aws

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// annotationStandIn is on the node of a NodeInfo that stands for a node of which nothing is known. It is on no node of the cluster.
const annotationStandIn = "asg-autoscaler/stand-in"

// addStandIns adds a NodeInfo for each node group of which none could be made. The core gives up every scale-up, of all groups,
// while an instance of such a group is on its way to become a node. No pod fits on a stand-in: it has nothing to offer.
func addStandIns(infos map[string]*framework.NodeInfo, groups []cloudprovider.NodeGroup) {
	for _, ng := range groups {
		if id := ng.Id(); infos[id] == nil {
			node := &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "unknown-node-of-" + id, Annotations: map[string]string{annotationStandIn: "true"}},
				Spec:       corev1.NodeSpec{Unschedulable: true},
			}
			ensureLists(node)
			infos[id] = framework.NewNodeInfo(node, nil)
		}
	}
}

// IsStandIn reports whether nothing is known of the node of the NodeInfo.
func IsStandIn(info *framework.NodeInfo) bool {
	return info.Node().Annotations[annotationStandIn] != ""
}
