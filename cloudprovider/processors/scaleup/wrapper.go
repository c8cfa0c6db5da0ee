package scaleup

import (
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// wrapper forwards to the orchestrator that it wraps, and keeps the context that the core hands over once.
type wrapper struct {
	corescaleup.Orchestrator
	context *cacontext.AutoscalingContext // nil until Initialize
}

// Initialize keeps the context and initializes the wrapped orchestrator.
func (w *wrapper) Initialize(ctx *cacontext.AutoscalingContext, processors *caprocessors.AutoscalingProcessors,
	clusterState *clusterstate.ClusterStateRegistry, estimators estimator.EstimatorBuilder, taintConfig taints.TaintConfig,
	quotas *resourcequotas.TrackerFactory) {
	w.context = ctx
	w.Orchestrator.Initialize(ctx, processors, clusterState, estimators, taintConfig, quotas)
}
