package status

import (
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
)

// Draining is called after every scale-up. It lets the drain of a node go on once a scale-up has counted the node's pods. It implements
// the core's ScaleUpStatusProcessor, and the core's loop alone uses it.
type Draining func(*cacontext.AutoscalingContext)

func (d Draining) Process(ctx *cacontext.AutoscalingContext, _ *corestatus.ScaleUpStatus) { d(ctx) }

func (Draining) CleanUp() {}
