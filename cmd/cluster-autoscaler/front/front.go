// Package front is what everything needs that stands in front of the core's scale-up: the one behind it, and the context that the core
// gives it once.
package front

import (
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// Orchestrator does what the one behind it does; embedded, it leaves to be written what is done otherwise. It is used by the
// core's loop alone.
type Orchestrator struct {
	scaleup.Orchestrator
	Context *cacontext.AutoscalingContext // nil until Initialize
}

// Initialize keeps the context, and initializes the one behind.
func (o *Orchestrator) Initialize(ctx *cacontext.AutoscalingContext, processors *caprocessors.AutoscalingProcessors,
	clusterState *clusterstate.ClusterStateRegistry, estimators estimator.EstimatorBuilder, taintConfig taints.TaintConfig,
	quotas *resourcequotas.TrackerFactory) {
	o.Context = ctx
	o.Orchestrator.Initialize(ctx, processors, clusterState, estimators, taintConfig, quotas)
}
