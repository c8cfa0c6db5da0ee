package scaleup

import (
	stderrors "errors"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// A Plan keeps for which pods nodes were asked for.
type Plan interface {
	// Asked receives the nodes that one loop asked for in a node group, as the pods that fit on each. A node may have none.
	Asked(nodeGroupID string, nodes [][]*apiv1.Pod)
}

// Planner is an expander whose choice is one part of a plan.
type Planner interface {
	// Chosen returns the pods of the last choice node by node, nil for a whole option.
	Chosen() [][]*apiv1.Pod
	// Rest returns what is left of the plan, as the UIDs of the pods on each node, by node group ID.
	Rest() map[string][][]types.UID
}

// Salvo has the core scale up several times in one loop, until no group helps the pods that are left.
//
// The core scales up for one option a loop, and the other pods wait for the next loops. A Salvo repeats the scale-up as the next
// loop would. The nodes just asked for are in the core's snapshot of the cluster, as copies of their templates. The pods that they
// were asked for are on them, and other pods take the room that is left. The nodes count for the limits of the cluster, and the
// target sizes for the limits of the groups. A further call in one loop is safe because the core keeps nothing of the last but the
// backoffs. It reverts every fork of the snapshot, makes pod groups, quotas and the limits of its packing again, and runs the processors of
// the status once, after ScaleUp. It writes to nodeInfos only where it creates node groups, which ours never need.
//
// While an expander's plan goes on, its rest makes the options of the next scale-up, see Planner. Once none is chosen, the core packs the pods that are
// left on nodes of all groups again.
//
// The pods of each node are those for which the expander or the core's estimator counted the node. So no time limit leaves a pod out of the
// plan once its node was asked for. A later loop asks again for a pod that the scheduler's filters then reject on all nodes.
//
// Pods of a provisioning request get one scale-up a loop, and so do pods that want all or nothing.
type Salvo struct {
	// Expander is nil for expanders without plans.
	Expander Planner

	wrapper
	most   int // scale-ups in one loop
	plan   Plan
	clock  clock.PassiveClock
	rest   rest                    // for the scale-up under way, none while the core packs the pods
	packed packings                // of the scale-up under way
	raises []*status.ScaleUpStatus // successful ones of the last salvo
	asked  []*apiv1.Node           // by the last salvo, until the loop has raised groups to their minimum sizes
}

// NewSalvo wraps inner. most is how often a loop scales up. plan may be nil.
func NewSalvo(inner corescaleup.Orchestrator, most int, plan Plan, clock clock.PassiveClock) *Salvo {
	return &Salvo{wrapper: wrapper{Orchestrator: inner}, most: most, plan: plan, clock: clock}
}

// ScaleUp scales up until no pod is left, none was helped, or most is reached. After a failure it goes on if a group failed for the
// first time, because the core leaves that group alone. No scale-up begins later than --max-nodegroup-binpacking-duration after the
// first. The snapshot is as before in the end.
//
// The result is a success if one scale-up was, and otherwise the first failure. Raises takes it apart again.
func (s *Salvo) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet,
	nodeInfos map[string]*framework.NodeInfo, allOrNothing bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	s.raises, s.asked, s.packed = nil, nil, packings{}
	if s.context == nil || allOrNothing || s.most <= 1 && s.plan == nil {
		return s.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	r := newRoom(s.context.ClusterSnapshot, nodeInfos, "asked")
	defer r.close()
	end := s.clock.Now().Add(s.context.MaxNodeGroupBinpackingDuration)
	over := func() bool { return !s.clock.Now().Before(end) }
	m := merged{failed: make(map[string]bool)}
	helpless := podSet{}
	requestsNext := false // for the core's orchestrator of provisioning requests, which changes to the other kind at every call
	for {
		before := s.targetSizes()
		s.packed = packings{}
		result, err := s.Orchestrator.ScaleUp(helpless.others(pods), slices.Concat(nodes, r.list()), daemonSets, nodeInfos, false)
		if len(s.rest) > 0 && err == nil && result != nil && result.Result != status.ScaleUpSuccessful && !over() {
			s.rest = nil // the plan ends here, and the core packs the pods that are left
			s.context.ProvisioningRequestScaleUpMode = false
			continue
		}
		failedAnew := m.add(result, err)
		if len(m.tries) == 1 {
			requestsNext = s.context.ProvisioningRequestScaleUpMode
		}
		if result == nil || slices.ContainsFunc(result.PodsTriggeredScaleUp, ofRequest) {
			break
		}
		from, option := len(r.nodes), podSet{}
		option.added(result.PodsTriggeredScaleUp)
		failed := s.addAsked(r, result, before)
		packed, known := s.packing(result.PodsTriggeredScaleUp)
		placed := r.assign(packed, from)
		pods = slices.DeleteFunc(slices.Clone(pods), ofRequest) // their class looks for room itself
		for _, info := range result.PodsRemainUnschedulable {
			helpless[info.Pod] = true // groups only get fewer in this loop
		}
		last := failed != nil || !known || len(m.tries) >= s.most
		if !last && from < len(r.nodes) && len(helpless.others(placed.others(pods))) > 0 {
			failed = r.fit(placed, option, pods, from, over)
		}
		if failed != nil {
			klog.Background().Error(failed, "Could not simulate the nodes just asked for: the other pods wait for the next loop")
		}
		m.place(pods, placed)
		pods = placed.others(pods)
		if last || failed != nil || len(helpless.others(pods)) == 0 || len(placed) == 0 && !failedAnew {
			break
		}
		if over() {
			klog.Background().V(4).Info("The other pods wait for the next loop, because --max-nodegroup-binpacking-duration is over", "pods", len(pods))
			break
		}
		s.context.ProvisioningRequestScaleUpMode = false
		s.rest = s.left(err)
	}
	s.rest, s.packed = nil, packings{}
	s.context.ProvisioningRequestScaleUpMode = requestsNext
	return s.finish(&m, r, pods)
}

// left returns what is left of the expander's plan after a scale-up, nothing after a failure.
func (s *Salvo) left(err errors.AutoscalerError) rest {
	if s.Expander == nil || err != nil {
		return nil
	}
	return s.Expander.Rest()
}

// packing returns the pods of the chosen option node by node, or false where an expander has cut the option and nobody knows how.
func (s *Salvo) packing(option []*apiv1.Pod) ([][]*apiv1.Pod, bool) {
	if len(option) == 0 {
		return nil, true
	}
	if s.Expander != nil {
		if chosen := s.Expander.Chosen(); slices.Equal(slices.Concat(chosen...), option) {
			return chosen, true
		}
	}
	packed, known := s.packed[&option[0]]
	return packed, known
}

// addAsked adds the nodes of a scale-up to the room: first those of its option, then all by which groups have grown beyond. Groups may also
// shrink meanwhile, and the nodes of the option were asked for all the same.
func (s *Salvo) addAsked(r *room, result *status.ScaleUpStatus, before map[string]int) error {
	asked := make(map[string]int)
	grown, known := s.grown(before)
	if result.Result == status.ScaleUpSuccessful {
		for _, info := range result.ScaleUpInfos {
			asked[info.Group.Id()] = info.NewSize - info.CurrentSize
			grown[info.Group.Id()] -= asked[info.Group.Id()]
		}
	}
	if err := stderrors.Join(r.add(asked), r.add(grown)); err != nil || known {
		return err
	}
	return stderrors.New("a node group has no known target size")
}

// finish returns the result of a salvo that leaves the pods. It hands the nodes to the plan.
func (s *Salvo) finish(m *merged, r *room, left []*apiv1.Pod) (*status.ScaleUpStatus, errors.AutoscalerError) {
	s.raises, s.asked = m.successful(), r.list()
	if s.plan != nil {
		groups := r.byGroup()
		for _, id := range slices.Sorted(maps.Keys(groups)) {
			s.plan.Asked(id, groups[id])
		}
	}
	if len(s.raises) > 1 {
		klog.Background().V(2).Info("Scaled up several times in one loop", "scaleUps", len(s.raises), "nodes", len(s.asked))
	}
	return m.result(left)
}

// ScaleUpToNodeGroupMinSize raises the groups below their minimum sizes. The nodes that the loop has just asked for count for the
// limits of the cluster.
func (s *Salvo) ScaleUpToNodeGroupMinSize(nodes []*apiv1.Node, nodeInfos map[string]*framework.NodeInfo) (
	*status.ScaleUpStatus, errors.AutoscalerError) {
	nodes = slices.Concat(nodes, s.asked)
	s.raises, s.asked = nil, nil
	return s.Orchestrator.ScaleUpToNodeGroupMinSize(nodes, nodeInfos)
}

// Raises takes the result of the last ScaleUp apart: one result for each scale-up, with the groups that grew and with the pods of
// result that they grew for. It returns result alone if there was one scale-up, or none.
func (s *Salvo) Raises(result *status.ScaleUpStatus) []*status.ScaleUpStatus {
	if len(s.raises) < 2 || len(result.PodsTriggeredScaleUp) == 0 {
		return []*status.ScaleUpStatus{result}
	}
	by := make(map[*apiv1.Pod]int, len(result.PodsTriggeredScaleUp)) // the last scale-up for a pod is the one that helps it
	for at, raise := range s.raises {
		for _, pod := range raise.PodsTriggeredScaleUp {
			by[pod] = at
		}
	}
	list := make([]*status.ScaleUpStatus, len(s.raises))
	for at, raise := range s.raises {
		part := *result
		part.ScaleUpInfos, part.PodsTriggeredScaleUp, part.PodsRemainUnschedulable, part.PodsAwaitEvaluation = raise.ScaleUpInfos, nil, nil, nil
		list[at] = &part
	}
	for _, pod := range result.PodsTriggeredScaleUp {
		if at, known := by[pod]; known {
			list[at].PodsTriggeredScaleUp = append(list[at].PodsTriggeredScaleUp, pod)
		}
	}
	return list
}

// ofRequest reports whether the pod belongs to a provisioning request.
func ofRequest(pod *apiv1.Pod) bool {
	_, has := pod.Annotations[provreqv1.ProvisioningRequestPodAnnotationKey]
	return has
}
