// Package elsewhere repeats, in the same loop, a scale-up that found no capacity in the zones it chose, so that another zone
// is tried at once.
//
// The core tries one choice of node groups per loop. Where a zone turns out to be without capacity, the pods would wait for the
// next loop, although it is known at once that another zone has to do. So the scale-up is done over for the pods that are left:
// what the expander prefers among the groups that are left is its choice again, not this package's.
package elsewhere

import (
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/front"
)

// maxRepetitions bounds how long one loop may look for capacity: a launch takes seconds to fail, and the loop has nodes to
// remove, too. The next loop goes on where this one stopped. No region has as many zones.
const maxRepetitions = 10

// Orchestrator implements the core's scale-up in front of another one. It is used by the core's loop alone.
type Orchestrator struct {
	front.Orchestrator
	closed func(nodeGroupID string) bool
}

// New makes an Orchestrator in front of inner. closed tells whether a node group is a zonal view in which nothing can be launched
// for the moment, so that the next try leaves it out.
func New(inner scaleup.Orchestrator, closed func(nodeGroupID string) bool) *Orchestrator {
	return &Orchestrator{Orchestrator: front.Orchestrator{Orchestrator: inner}, closed: closed}
}

// ScaleUp has the inner one scale up, and do so again if it failed, all node groups that failed are closed, and one of them for the
// first time. Nodes that were launched all the same are put into the core's picture of the cluster first, and count for its
// limits; only pods without room on them are scaled up for. That is not done where all or nothing is wanted. The result is that
// of the last try, or success where a try before it launched nodes: the core remembers when it last scaled up, and leaves new nodes
// alone for a while. Of the tries before, it has nothing; their events, metrics and backoffs are the core's, as of any failure.
//
// A second call is safe because the core keeps nothing of the first but the backoffs: it reverts every fork of the snapshot, makes
// pod groups, quotas and the limits of its binpacking anew, writes to nodeInfos only where it creates node groups, which ours
// never need, and its loop runs the processors of the status once, after ScaleUp.
func (o *Orchestrator) ScaleUp(pods []*apiv1.Pod, nodes []*apiv1.Node, daemonSets []*appsv1.DaemonSet,
	nodeInfos map[string]*framework.NodeInfo, allOrNothing bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if o.Context == nil {
		return o.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
	}
	ofRequests := o.Context.ProvisioningRequestScaleUpMode
	failed := make(map[string]bool)
	grew := false
	for repetitions := 0; ; repetitions++ {
		before := o.targetSizes()
		result, err := o.Orchestrator.ScaleUp(pods, nodes, daemonSets, nodeInfos, allOrNothing)
		if err == nil || repetitions == maxRepetitions || !o.newlyClosed(result, failed) {
			return settled(result, err, grew)
		}
		grown, known := o.grown(before)
		if !known || len(grown) > 0 && (allOrNothing || ofRequests) {
			return settled(result, err, grew)
		}
		grew = grew || len(grown) > 0
		launched, left, known := o.place(pods, grown, nodeInfos, repetitions)
		if !known {
			return settled(result, err, grew)
		}
		if pods, nodes = left, slices.Concat(nodes, launched); len(pods) == 0 {
			return settled(result, err, true)
		}
		// The core's orchestrator of provisioning requests turns to the other kind of pods at every call.
		o.Context.ProvisioningRequestScaleUpMode = ofRequests
		klog.Background().V(2).Info("Repeated a scale-up without the zones that have no capacity", "nodeGroups", ids(result),
			"repetition", repetitions+1, "pods", len(pods), "err", err)
	}
}

// settled is the result of a scale-up that ends with this try. It is a success if a try has launched nodes, whatever the others came
// to: the core takes an error for a scale-up that launched none.
func settled(result *status.ScaleUpStatus, err errors.AutoscalerError, grew bool) (*status.ScaleUpStatus, errors.AutoscalerError) {
	if !grew || result == nil || err == nil && result.Result != status.ScaleUpNoOptionsAvailable {
		return result, err
	}
	if err != nil {
		klog.Background().Info("Launched only some of the nodes of a scale-up", "failed", ids(result), "err", err)
	}
	result.Result, result.ScaleUpError = status.ScaleUpSuccessful, nil
	return result, nil
}

// place adds the nodes that have been launched to the snapshot, as many by node group as grown says, and returns them, and the pods
// that find no room on any; false if that cannot be told.
func (o *Orchestrator) place(pods []*apiv1.Pod, grown map[string]int, nodeInfos map[string]*framework.NodeInfo,
	try int) (launched []*apiv1.Node, left []*apiv1.Pod, known bool) {
	if len(grown) == 0 {
		return nil, pods, true
	}
	for _, id := range slices.Sorted(maps.Keys(grown)) {
		if nodeInfos[id] == nil {
			return nil, nil, false
		}
		for n := range grown[id] {
			info, err := simulator.SanitizedNodeInfo(nodeInfos[id], fmt.Sprintf("launched-%d-%d", try, n))
			if err != nil {
				return nil, nil, false
			}
			if err := o.Context.ClusterSnapshot.AddNodeInfo(info); err != nil {
				return nil, nil, false
			}
			launched = append(launched, info.Node())
		}
	}
	placed, _, err := scheduling.NewHintingSimulator().TrySchedulePods(o.Context.ClusterSnapshot, pods, false,
		clustersnapshot.SchedulingOptions{IsNodeAcceptable: scheduling.ScheduleAnywhere})
	if err != nil {
		return nil, nil, false
	}
	room := make(map[types.UID]bool, len(placed))
	for _, p := range placed {
		room[p.Pod.UID] = true
	}
	return launched, slices.DeleteFunc(slices.Clone(pods), func(pod *apiv1.Pod) bool { return room[pod.UID] }), true
}

// newlyClosed reports whether node groups failed, all of them are closed, and one is not among failed yet. It adds them.
func (o *Orchestrator) newlyClosed(result *status.ScaleUpStatus, failed map[string]bool) bool {
	found := false
	for _, id := range ids(result) {
		if !o.closed(id) {
			return false
		}
		found = found || !failed[id]
		failed[id] = true
	}
	return found
}

// ids are those of the node groups that failed.
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

// targetSizes are those of the node groups by ID, as far as known.
func (o *Orchestrator) targetSizes() map[string]int {
	sizes := make(map[string]int)
	for _, group := range o.Context.CloudProvider.NodeGroups() {
		if size, err := group.TargetSize(); err == nil {
			sizes[group.Id()] = size
		}
	}
	return sizes
}

// grown is by how much node groups have grown; false if that is not known of one. Nodes may be removed meanwhile.
func (o *Orchestrator) grown(before map[string]int) (map[string]int, bool) {
	grown := make(map[string]int)
	for _, group := range o.Context.CloudProvider.NodeGroups() {
		size, err := group.TargetSize()
		if err != nil {
			return nil, false
		}
		if more := size - before[group.Id()]; more > 0 {
			grown[group.Id()] = more
		}
	}
	return grown, true
}
