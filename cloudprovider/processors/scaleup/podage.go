package scaleup

import (
	"time"

	apiv1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/actionablecluster"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

// NoPodAgeDelay makes the core act on unschedulable pods in the very loop that first sees them.
//
// The core waits before it scales up for a pod: 2 seconds, or 30 seconds once a GPU is asked for, so that more of a burst may
// come. Package processors/loop waits for bursts instead, and far more briefly. Nothing else changes. The core's V(1) message
// that it waits one more iteration for very new pods appears all the same.
//
// One value is both the ActionableClusterProcessor and the ScaleUpEnforcer of the core. The core asks the first early in each loop.
type NoPodAgeDelay struct {
	actionablecluster.ActionableClusterProcessor
	Enforcer      pods.ScaleUpEnforcer
	MaxNodesTotal int  // --max-nodes-total, 0 for none
	WriteStatus   bool // --write-status-configmap
	ready         int  // nodes, as the core counts them for the limit
	limited       []*apiv1.Pod
}

// ShouldAbort counts the ready nodes and returns the answer of the wrapped processor. If that ends the loop, it writes the status, because
// the core shows such a loop to no other processor.
func (n *NoPodAgeDelay) ShouldAbort(ctx *cacontext.AutoscalingContext, allNodes, readyNodes []*apiv1.Node,
	now time.Time) (bool, errors.AutoscalerError) {
	n.ready, n.limited = len(readyNodes), nil
	writing := *ctx
	writing.WriteStatusConfigMap = n.WriteStatus
	return n.ActionableClusterProcessor.ShouldAbort(&writing, allNodes, readyNodes, now)
}

// ShouldForceScaleUp forces each scale-up that the core would do for older pods, and each that the wrapped enforcer forces.
func (n *NoPodAgeDelay) ShouldForceScaleUp(unschedulable []*apiv1.Pod) bool {
	limited := n.MaxNodesTotal > 0 && n.ready >= n.MaxNodesTotal
	if len(unschedulable) > 0 && !limited || n.Enforcer.ShouldForceScaleUp(unschedulable) {
		return true
	}
	n.limited = unschedulable
	return false
}

// Limited returns the pods that the core does not scale up for in this loop because of the limit of nodes.
func (n *NoPodAgeDelay) Limited() []*apiv1.Pod { return n.limited }
