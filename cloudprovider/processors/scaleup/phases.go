package scaleup

import (
	"maps"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/interpodaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
)

// phase has the core scale up once, for pods that can run anywhere and for pods that need a zone in alternate phases.
//
// The core spreads new nodes over similar node groups only if each of them helps all pods of the option it chose. With one
// pod that needs a volume's zone among many that do not, all nodes would come up in that zone. So they would with a pod that must be
// spread if only one zone may take it now. The phase of the others comes first, because kube-scheduler gives nodes to pods as they come: a
// node launched earlier for a pod with a volume would go to one of the others. Their phase lasts while an expander's plan goes on.
//
// It scales up for all pods where no node group helps this phase, the other phase has no pods, or there are no zone groups. The pods of the
// other phase count as awaiting evaluation.
func (o *Orchestrator) phase(pods []*apiv1.Pod, s *simulation,
	once func([]*apiv1.Pod) (*status.ScaleUpStatus, errors.AutoscalerError)) (*status.ScaleUpStatus, errors.AutoscalerError) {
	later, now := o.divide(pods, s)
	// Room of a capacity buffer comes last.
	onlyFakes := !slices.ContainsFunc(now, func(pod *apiv1.Pod) bool { return !podlist.IsFake(pod) })
	o.zonalNext = onlyFakes || o.zonalNext && len(o.later) == 0
	if o.zonalNext {
		later, now = now, later
	}
	if len(now) == 0 || len(later) == 0 {
		o.zonalNext = false
		return once(pods)
	}
	forRequests := o.context.ProvisioningRequestScaleUpMode
	result, err := once(now)
	unhelped := err == nil && (result.Result == status.ScaleUpNoOptionsAvailable || result.Result == status.ScaleUpNotNeeded)
	if o.zonalNext || unhelped {
		// The core's orchestrator of provisioning requests changes to the other kind of pods at every call. Pods that need a zone
		// are neither kind. If their phase counted, every phase of the others would be for requests. These have had their turn with the others.
		o.context.ProvisioningRequestScaleUpMode = forRequests && o.zonalNext
	}
	o.zonalNext = !o.zonalNext
	if unhelped {
		o.zonalNext = false
		return once(pods)
	}
	result.PodsAwaitEvaluation = append(result.PodsAwaitEvaluation, later...)
	return result, err
}

// divide separates the pods that keep the core from spreading new nodes from the others. They need a zone, must share one, or other pods
// keep them out of one now. Without zone groups there are none. Pods of a provisioning request stay together, because they want all or
// nothing or count for each other.
func (o *Orchestrator) divide(pods []*apiv1.Pod, s *simulation) (zonal, others []*apiv1.Pod) {
	if o.Zones == nil || !o.Zones.Views() {
		return nil, pods
	}
	near, apart := leastcost.NearEachOther(pods, true), podSet{}
	var free []*apiv1.Pod
	for _, pod := range pods {
		switch {
		case o.ofRequest(pod):
		case near[pod], o.Zones.Needs(pod):
			apart[pod] = true
		default:
			free = append(free, pod)
		}
	}
	apart.added(s.keptOut(free))
	for _, pod := range pods {
		if apart[pod] {
			zonal = append(zonal, pod)
		} else {
			others = append(others, pod)
		}
	}
	return zonal, others
}

// keptOut returns the pods that other pods keep out of a zone. Once a group's next node takes a pod, so do the others of the zone. While no
// node stands in any zone, each zone takes pods that must be spread, and one scale-up is for them and the others. If the others' nodes
// came first, each scale-up could add one node for them.
func (s *simulation) keptOut(pods []*apiv1.Pod) (list []*apiv1.Pod) {
	kinds := snapshot.EqualPods(slices.DeleteFunc(slices.Clone(pods), func(pod *apiv1.Pod) bool { return !podzone.DependsOnPods(pod) }))
	type place struct {
		kind int
		zone string
	}
	taken := map[place]bool{}
	for _, group := range slices.Sorted(maps.Keys(s.templates)) {
		zone := s.templates[group].Node().Labels[apiv1.LabelTopologyZone]
		var open []int // kinds
		for at, kind := range kinds {
			if kind != nil && !taken[place{at, zone}] {
				open = append(open, at)
			}
		}
		if len(open) == 0 {
			continue
		}
		s.snapshot.Fork()
		if node, err := s.addNode(group); err == nil {
			for _, at := range open {
				err := s.snapshot.CheckPredicates(kinds[at][0], node.Name)
				switch {
				case err == nil:
					taken[place{at, zone}] = true
				case slices.Contains(err.FailingPredicateReasons(), podtopologyspread.ErrReasonNodeLabelNotMatch):
					// Other groups of the zone may have the label.
				case slices.Contains([]string{podtopologyspread.Name, interpodaffinity.Name}, err.FailingPredicateName()):
					list, kinds[at] = append(list, kinds[at]...), nil
				}
			}
		}
		s.snapshot.Revert()
	}
	return list
}
