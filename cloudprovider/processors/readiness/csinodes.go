package readiness

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	csisnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/snapshot"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// addCSINodes gives every node without a CSINode an empty one in the snapshot, which is nil where the core does not simulate volumes.
// kubelet's CSINode comes a moment after its Node, and where no kubelet runs none ever does. The core would give up every loop for
// one such node.
func addCSINodes(volumes *csisnapshot.Snapshot, nodes []*corev1.Node) {
	if volumes == nil {
		return
	}
	for _, node := range nodes {
		if _, err := volumes.Get(node.Name); err == nil {
			continue
		}
		empty := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node.Name}}
		nodemeta.NoCSINode.Mark(empty)
		_ = volumes.AddCSINode(empty) // fails only for a CSINode that is there
	}
}
