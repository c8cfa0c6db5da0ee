package scaledown

import (
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

// Disabled keeps all nodes (--scale-down-enabled=false). The core still finds its pods other places, through the processor behind it.
type Disabled struct{ nodes.ScaleDownNodeProcessor }

// GetScaleDownCandidates returns no node.
func (Disabled) GetScaleDownCandidates(*cacontext.AutoscalingContext, []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	return nil, nil
}
