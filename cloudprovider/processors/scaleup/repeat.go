package scaleup

import (
	stderrors "errors"
	"maps"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// repeat scales up for the pods until nothing helps the ones that are left. It simulates the nodes that were asked for.
func (o *Orchestrator) repeat(pods []*apiv1.Pod, s *simulation,
	once func([]*apiv1.Pod) (*status.ScaleUpStatus, errors.AutoscalerError)) (*status.ScaleUpStatus, errors.AutoscalerError) {
	began, most := o.Clock.Now(), o.context.MaxNodeGroupBinpackingDuration
	over := func() bool { return most > 0 && o.Clock.Since(began) >= most } // as for the core, 0 is no limit
	var all results
	helpless := podSet{}
	o.pretend(1)
	requestsNext := false // for the core's orchestrator of provisioning requests, which changes to the other kind at every call
	for {
		before := o.targetSizes()
		o.packed = packings{}
		result, err := o.phase(helpless.others(pods), s, once)
		if len(o.later) > 0 && err == nil && result.Result != status.ScaleUpSuccessful && !over() {
			o.later = nil // the plan ends here, and the core packs the pods that are left
			o.context.ProvisioningRequestScaleUpMode = false
			continue
		}
		failedAnew := all.add(result, err)
		if len(all) == 1 {
			requestsNext = o.context.ProvisioningRequestScaleUpMode
		}
		if slices.ContainsFunc(result.PodsTriggeredScaleUp, o.ofRequest) {
			_ = o.addAsked(s, result, before) // for the limits
			break
		}
		from, option := len(s.asked), podSet{}
		option.added(result.PodsTriggeredScaleUp)
		failed := o.addAsked(s, result, before)
		chosen, later, known := o.chosen(result.PodsTriggeredScaleUp)
		placed := s.assign(chosen, from)
		pods = slices.DeleteFunc(slices.Clone(pods), o.ofRequest) // their class looks for room itself
		for _, info := range result.PodsRemainUnschedulable {
			helpless[info.Pod] = true // groups only get fewer in this loop
		}
		last := failed != nil || !known || len(all) >= o.Most
		if !last && from < len(s.asked) && len(helpless.others(placed.others(pods))) > 0 {
			failed = s.fit(placed, option, pods, from, over)
		}
		if failed != nil {
			klog.Background().Error(failed, "Could not simulate the nodes just asked for: the other pods wait for the next loop")
		}
		all.count(pods, chosen[min(len(chosen), len(s.asked)-from):], placed)
		pods = placed.others(pods)
		if last || failed != nil || len(helpless.others(pods)) == 0 || len(placed) == 0 && !failedAnew {
			break
		}
		if over() {
			klog.Background().V(4).Info("The other pods wait for the next loop, because --max-nodegroup-binpacking-duration is over",
				"pods", len(pods))
			break
		}
		o.context.ProvisioningRequestScaleUpMode = false
		if o.later = later; err != nil {
			o.later = nil // the failure changes the plan
		}
	}
	o.later, o.packed = nil, packings{}
	o.context.ProvisioningRequestScaleUpMode = requestsNext
	o.raises, o.asked = all.successful(), s.nodes()
	o.pretend(-1)
	if o.Plan != nil {
		o.Plan.Asked(s.planned()...)
	}
	if len(o.raises) > 1 {
		klog.Background().V(2).Info("Scaled up several times in one loop", "scaleUps", len(o.raises), "nodes", len(o.asked))
	}
	return all.joined(pods)
}

// chosen returns the nodes of the chosen option, and those that the expander's plan has after them. It is not known where an expander has
// cut the option and nobody knows how.
func (o *Orchestrator) chosen(option []*apiv1.Pod) (nodes, later []plan.Node, known bool) {
	if o.Planner != nil {
		nodes, later = o.Planner.Plan()
	}
	if len(option) == 0 {
		return nil, later, true
	}
	if slices.Equal(podsOf(nodes), option) {
		return nodes, later, true
	}
	nodes, known = o.packed[&option[0]]
	return nodes, later, known
}

func podsOf(nodes []plan.Node) (pods []*apiv1.Pod) {
	for _, n := range nodes {
		pods = append(pods, n.Pods...)
	}
	return pods
}

// addAsked adds the nodes of a scale-up to the simulation: first those of its option, then all by which groups have grown beyond. Groups may
// also shrink meanwhile, and the nodes of the option were asked for all the same.
func (o *Orchestrator) addAsked(s *simulation, result *status.ScaleUpStatus, before map[string]int) error {
	asked, grown := make(map[string]int), o.grown(before)
	if result.Result == status.ScaleUpSuccessful {
		for _, info := range result.ScaleUpInfos {
			asked[info.Group.Id()] = info.NewSize - info.CurrentSize
			grown[info.Group.Id()] -= asked[info.Group.Id()]
		}
	}
	maps.DeleteFunc(grown, func(_ string, n int) bool { return n <= 0 })
	return stderrors.Join(s.add(asked), s.add(grown))
}

// targetSizes are the target sizes by node group ID. Our groups read them from memory, which never fails.
func (o *Orchestrator) targetSizes() map[string]int {
	sizes := make(map[string]int)
	for _, group := range o.context.CloudProvider.NodeGroups() {
		sizes[group.Id()], _ = group.TargetSize()
	}
	return sizes
}

// grown returns by how much each node group has grown. It is below 0 where nodes were removed meanwhile.
func (o *Orchestrator) grown(before map[string]int) map[string]int {
	grown := o.targetSizes()
	for id := range grown {
		grown[id] -= before[id]
	}
	return grown
}
