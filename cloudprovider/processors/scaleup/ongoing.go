package scaleup

import (
	"slices"

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

// packings are the pods of options, node by node. The key is the first place in the option's list of pods, by which an option is known that
// no expander has cut.
type packings map[**apiv1.Pod][][]*apiv1.Pod

// add adds an option, and returns the number of its nodes, and its pods.
func (p packings) add(nodes [][]*apiv1.Pod, pods []*apiv1.Pod) (int, []*apiv1.Pod) {
	if len(pods) == 0 {
		return 0, nil
	}
	p[&pods[0]] = nodes
	return len(nodes), pods
}

// Initialize wraps the estimators, and notes how they pack. While an expander's plan goes on, an option is the plan's part for its group.
// The core packs the pods on new nodes of every group otherwise, at every scale-up: it takes seconds for thousands of pods and dozens of groups.
func (s *Salvo) Initialize(ctx *cacontext.AutoscalingContext, processors *caprocessors.AutoscalingProcessors,
	clusterState *clusterstate.ClusterStateRegistry, estimators estimator.EstimatorBuilder, taintConfig taints.TaintConfig,
	quotas *resourcequotas.TrackerFactory) {
	s.wrapper.Initialize(ctx, processors, clusterState, func(snapshot clustersnapshot.ClusterSnapshot, c estimator.EstimationContext) estimator.Estimator {
		if len(s.rest) > 0 {
			return ongoing{s.rest, s.packed}
		}
		p := &packer{ClusterSnapshot: snapshot, pods: make(map[string][]*apiv1.Pod), packed: s.packed}
		p.inner = estimators(p, c)
		return p
	}, taintConfig, quotas)
}

// ongoing is an estimator that does not pack.
type ongoing struct {
	rest   rest
	packed packings
}

// Estimate returns the nodes that the plan still has for the group, and those of its pods that the group can take.
func (o ongoing) Estimate(pending []estimator.PodEquivalenceGroup, _ *framework.NodeInfo, group cloudprovider.NodeGroup) (int, []*apiv1.Pod) {
	planned := o.rest[group.Id()]
	if len(planned) == 0 {
		return 0, nil
	}
	by := make(map[types.UID]*apiv1.Pod)
	for _, similar := range pending {
		for _, pod := range similar.Pods {
			by[pod.UID] = pod
		}
	}
	var nodes [][]*apiv1.Pod
	for _, uids := range planned {
		var on []*apiv1.Pod
		for _, uid := range uids {
			if pod := by[uid]; pod != nil {
				on = append(on, pod)
			}
		}
		if len(on) > 0 {
			nodes = append(nodes, on)
		}
	}
	return o.packed.add(nodes, slices.Concat(nodes...))
}
