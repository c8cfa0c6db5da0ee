package status

import (
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
)

// ByRaise has the events on pods name only the groups that grew for them, where one loop scaled up several times. It wraps the core's
// ScaleUpStatusProcessor, and the core's loop alone uses it.
type ByRaise struct {
	corestatus.ScaleUpStatusProcessor
	// Raises takes the status of a loop apart: one status for each scale-up, with its own groups and pods.
	Raises func(*corestatus.ScaleUpStatus) []*corestatus.ScaleUpStatus
}

// Process hands the scale-ups of the loop on, one by one.
func (b ByRaise) Process(ctx *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	for _, raise := range b.Raises(s) {
		b.ScaleUpStatusProcessor.Process(ctx, raise)
	}
}
