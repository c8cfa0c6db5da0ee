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

// targetSizes are the known target sizes by node group ID.
func (w *wrapper) targetSizes() map[string]int {
	sizes := make(map[string]int)
	for _, group := range w.context.CloudProvider.NodeGroups() {
		if size, err := group.TargetSize(); err == nil {
			sizes[group.Id()] = size
		}
	}
	return sizes
}

// grown returns by how much each node group has grown, and whether all sizes are known. Nodes may be removed meanwhile.
func (w *wrapper) grown(before map[string]int) (grown map[string]int, known bool) {
	grown, known = make(map[string]int), true
	for _, group := range w.context.CloudProvider.NodeGroups() {
		size, err := group.TargetSize()
		was, knew := before[group.Id()]
		if known = known && knew && err == nil; knew && err == nil && size > was {
			grown[group.Id()] = size - was
		}
	}
	return grown, known
}
