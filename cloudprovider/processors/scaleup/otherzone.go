package scaleup

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"
)

// maxRepetitions bounds how long one loop may look for capacity, because a launch takes seconds to fail and the loop has nodes to
// remove, too. The next loop goes on where this one stopped. No region has as many zones.
const maxRepetitions = 10

// OtherZone repeats a scale-up in the same loop when the chosen zones turned out to have no capacity.
//
// The core tries one choice of node groups per loop. When a zone fails, the pods would wait for the next loop, although another
// zone is needed anyway. So the scale-up is repeated for the remaining pods, and the expander chooses again among the
// remaining groups.
//
// Only a request for all nodes or none waits for AWS, and can fail within its loop. The refusal of any other wakes the next loop, which leaves the
// zone out.
type OtherZone struct {
	wrapper
	unavailable func(nodeGroupID string) bool
}

// NewOtherZone wraps inner. unavailable reports whether a node group is a zone group without capacity for the moment, so that the
// next try leaves it out.
func NewOtherZone(inner corescaleup.Orchestrator, unavailable func(nodeGroupID string) bool) *OtherZone {
	return &OtherZone{wrapper: wrapper{Orchestrator: inner}, unavailable: unavailable}
}

// ScaleUp scales up, and repeats it if all node groups that failed are unavailable and one of them failed for the first time. Before a
// repetition, nodes that were launched all the same enter a fork of the core's snapshot of the cluster and count for its limits. The
// repetition is for the pods without room on them. The snapshot is as before in the end. After a partial launch there is no repetition where all or nothing is wanted.
//
// The result is the last try's, or success where an earlier try launched nodes. The core remembers when it last scaled
// up, and leaves new nodes alone for a while. Events, metrics and backoffs of earlier tries are the core's own.
//
// A second call is safe because the core keeps nothing of the first but the backoffs. It reverts every fork of the snapshot, makes
// pod groups, quotas and the limits of its binpacking again, and runs the processors of the status once, after ScaleUp. It
// writes to nodeInfos only where it creates node groups, which ours never need.
func (o *OtherZone) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet,
	nodeInfos map[string]*framework.NodeInfo, allOrNothing bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if o.context == nil {
		return o.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	forRequests := o.context.ProvisioningRequestScaleUpMode
	failed := make(map[string]bool)
	grew := false
	r := newRoom(o.context.ClusterSnapshot, nodeInfos, "launched")
	defer r.close()
	for repetitions := 0; ; repetitions++ {
		before := o.targetSizes()
		result, err := o.Orchestrator.ScaleUp(pods, slices.Concat(nodes, r.list()), daemonSets, nodeInfos, allOrNothing)
		if err == nil || repetitions == maxRepetitions || !o.newlyUnavailable(result, failed) {
			return finalResult(result, err, grew)
		}
		grown, known := o.grown(before)
		if !known || len(grown) > 0 && (allOrNothing || forRequests) {
			return finalResult(result, err, grew)
		}
		grew = grew || len(grown) > 0
		left, known := o.place(pods, grown, r)
		if !known {
			return finalResult(result, err, grew)
		}
		if pods = left; len(pods) == 0 {
			return finalResult(result, err, true)
		}
		// The core's orchestrator of provisioning requests changes to the other kind of pods at every call.
		o.context.ProvisioningRequestScaleUpMode = forRequests
		klog.Background().V(2).Info("Repeated a scale-up without the zones that have no capacity", "nodeGroups", ids(result),
			"repetition", repetitions+1, "pods", len(pods), "err", err)
	}
}

// finalResult is the result of a scale-up that ends with this try. It is a success if any try has launched nodes, because the core
// takes an error for a scale-up that launched none.
func finalResult(result *status.ScaleUpStatus, err errors.AutoscalerError, grew bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if !grew || result == nil || err == nil && result.Result != status.ScaleUpNoOptionsAvailable {
		return result, err
	}
	if err != nil {
		klog.Background().Info("Launched only some of the nodes of a scale-up", "failed", ids(result), "err", err)
	}
	result.Result, result.ScaleUpError = status.ScaleUpSuccessful, nil
	return result, nil
}

// place adds the launched nodes to the room, grown of each node group. It returns the pods that find no room on any node, or false if
// the core cannot simulate it.
func (o *OtherZone) place(pods []*apiv1.Pod, grown map[string]int, r *room) (left []*apiv1.Pod, known bool) {
	if len(grown) == 0 {
		return pods, true
	}
	if err := r.add(grown); err != nil {
		return nil, false
	}
	placed, _, err := scheduling.NewHintingSimulator().TrySchedulePods(o.context.ClusterSnapshot, pods, false,
		clustersnapshot.SchedulingOptions{IsNodeAcceptable: scheduling.ScheduleAnywhere})
	if err != nil {
		return nil, false
	}
	fits := make(map[types.UID]bool, len(placed))
	for _, p := range placed {
		fits[p.Pod.UID] = true
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod *apiv1.Pod) bool { return fits[pod.UID] }), true
}

// newlyUnavailable reports whether node groups failed, all of them are unavailable, and one is not among failed yet. It adds them.
func (o *OtherZone) newlyUnavailable(result *status.ScaleUpStatus, failed map[string]bool) bool {
	found := false
	for _, id := range ids(result) {
		if !o.unavailable(id) {
			return false
		}
		found = found || !failed[id]
		failed[id] = true
	}
	return found
}

// ids are the IDs of the node groups that failed.
func ids(result *status.ScaleUpStatus) []string {
	if result == nil {
		return nil
	}
	var list []string
	for _, group := range result.FailedResizeNodeGroups {
		list = append(list, group.Id())
	}
	return list
}
