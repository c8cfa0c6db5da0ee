package podlist

import (
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
)

// moves counts the pods of nodes that are to be replaced. Implemented by scaledown.Moves.
type moves interface {
	// Count returns the pods that have no other place. pending are the others that wait.
	Count(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) []*corev1.Pod
}

// Moving adds the pods of nodes that are to be replaced to the pending pods if they have no other place. So the core plans them together with
// all others, on free room, on nodes that come and on nodes that it launches. They stay where they are.
//
// Moving belongs before the core's own processor, which drops pods that fit on existing nodes, and before Draining, whose pods run, too. The
// core's loop alone uses it.
type Moving struct{ moves moves }

// NewMoving makes a Moving.
func NewMoving(m moves) *Moving { return &Moving{m} }

// Process adds the pods.
func (m *Moving) Process(ctx *cacontext.AutoscalingContext, unschedulable []*corev1.Pod) ([]*corev1.Pod, error) {
	return append(unschedulable, m.moves.Count(ctx, unschedulable)...), nil
}

// CleanUp implements the core's PodListProcessor.
func (*Moving) CleanUp() {}
