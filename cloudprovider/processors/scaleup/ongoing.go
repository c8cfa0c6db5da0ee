package scaleup

import (
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/estimator"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/resourcequotas"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// rest is the part of an expander's plan that was not asked for yet: the UIDs of the pods on each node, by node group ID.
type rest map[string][][]types.UID

// Initialize wraps the estimators. While an expander's plan goes on, an option is the plan's part for its group. The core packs the pods on
// new nodes of every group otherwise, at every scale-up: it takes seconds for thousands of pods and dozens of groups.
func (s *Salvo) Initialize(ctx *cacontext.AutoscalingContext, processors *caprocessors.AutoscalingProcessors,
	clusterState *clusterstate.ClusterStateRegistry, estimators estimator.EstimatorBuilder, taintConfig taints.TaintConfig,
	quotas *resourcequotas.TrackerFactory) {
	s.wrapper.Initialize(ctx, processors, clusterState, func(snapshot clustersnapshot.ClusterSnapshot, c estimator.EstimationContext) estimator.Estimator {
		if len(s.rest) > 0 {
			return s.rest
		}
		return estimators(snapshot, c)
	}, taintConfig, quotas)
}

// Estimate returns the nodes that the plan still has for the group, and those of its pods that the group can take.
func (r rest) Estimate(pending []estimator.PodEquivalenceGroup, _ *framework.NodeInfo, group cloudprovider.NodeGroup) (int, []*apiv1.Pod) {
	planned := r[group.Id()]
	if len(planned) == 0 {
		return 0, nil
	}
	by := make(map[types.UID]*apiv1.Pod)
	for _, similar := range pending {
		for _, pod := range similar.Pods {
			by[pod.UID] = pod
		}
	}
	nodes := 0
	var pods []*apiv1.Pod
	for _, uids := range planned {
		before := len(pods)
		for _, uid := range uids {
			if pod := by[uid]; pod != nil {
				pods = append(pods, pod)
			}
		}
		if len(pods) > before {
			nodes++
		}
	}
	return nodes, pods
}
