package aws

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
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

// KnownOnly stands in front of the core's scale-up, so that stand-ins raise no group to its minimum size: what that launches does not
// depend on what the NodeInfo offers, and without one the core passes over the group. It is used by the core's loop alone.
type KnownOnly struct{ scaleup.Orchestrator }

// ScaleUpToNodeGroupMinSize has the core raise those groups of whose nodes something is known.
func (k KnownOnly) ScaleUpToNodeGroupMinSize(nodes []*corev1.Node, infos map[string]*framework.NodeInfo) (
	*corestatus.ScaleUpStatus, caerrors.AutoscalerError) {
	known := maps.Clone(infos)
	maps.DeleteFunc(known, func(_ string, info *framework.NodeInfo) bool { return isStandIn(info) })
	return k.Orchestrator.ScaleUpToNodeGroupMinSize(nodes, known)
}

// isStandIn reports whether nothing is known of the node of the NodeInfo.
func isStandIn(info *framework.NodeInfo) bool {
	return info.Node().Annotations[annotationStandIn] != ""
}
