package scaleup

import (
	"fmt"
	"maps"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/equivalence"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	plugins "k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeports"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
)

// sameForGroup are the filters of the scheduler that reject a pod on all new nodes of a group if they reject it on one.
var sameForGroup = map[string]bool{plugins.NodeAffinity: true, plugins.TaintToleration: true, plugins.NodeUnschedulable: true}

// room is the nodes that a loop asked for, simulated in a fork of the core's snapshot of the cluster.
type room struct {
	name      string // in the names of its nodes, apart from those of rooms around it
	snapshot  clustersnapshot.ClusterSnapshot
	templates map[string]*framework.NodeInfo // next node by node group
	nodes     []*askedNode                   // in the order asked for
}

// askedNode is a node that was asked for, and its pods.
type askedNode struct {
	group string
	node  *apiv1.Node // nil where the core could not simulate it
	pods  []*apiv1.Pod
}

// newRoom forks the snapshot until close.
func newRoom(snapshot clustersnapshot.ClusterSnapshot, templates map[string]*framework.NodeInfo, name string) *room {
	snapshot.Fork()
	return &room{name: name, snapshot: snapshot, templates: templates}
}

// close leaves the snapshot as it was.
func (r *room) close() { r.snapshot.Revert() }

// add adds new nodes, by node group. After an error it still notes them all, because they were asked for.
func (r *room) add(grown map[string]int) (err error) {
	for _, id := range slices.Sorted(maps.Keys(grown)) {
		for range grown[id] {
			n := &askedNode{group: id}
			if err == nil {
				n.node, err = r.simulate(id)
			}
			r.nodes = append(r.nodes, n)
		}
	}
	return err
}

// simulate adds the next node of the group to the snapshot.
func (r *room) simulate(group string) (*apiv1.Node, error) {
	if r.templates[group] == nil {
		return nil, fmt.Errorf("no template of node group %q", group)
	}
	info, err := simulator.SanitizedNodeInfo(r.templates[group], fmt.Sprintf("%s-%d", r.name, len(r.nodes)))
	if err != nil {
		return nil, err
	}
	return info.Node(), r.snapshot.AddNodeInfo(info)
}

// assign gives the nodes from the index on their pods, and returns the pods. It leaves the snapshot as it is. If fewer nodes were asked
// for than packed, the last ones have none.
func (r *room) assign(packed [][]*apiv1.Pod, from int) podSet {
	placed := podSet{}
	for at, pods := range packed[:min(len(packed), len(r.nodes)-from)] {
		r.nodes[from+at].pods = slices.Clone(pods)
		placed.added(pods)
	}
	return placed
}

// fit puts the pods that have a place on the nodes from the index on into the snapshot. Then it gives the room that is left to the
// others of pods, and adds those to placed. Pods of the option may go to any node of the cluster, because a pod that must be spread may
// fit on an old node once there is a new one. It ends early once over is true.
//
// It runs the scheduler's filters twice at most for each of the others, and once for all nodes that reject the first of several equal ones.
func (r *room) fit(placed, option podSet, pods []*apiv1.Pod, from int, over func() bool) error {
	for _, n := range r.nodes[from:] {
		for _, pod := range n.pods {
			if over() {
				return nil
			}
			if err := r.put(pod, n.node.Name); err != nil {
				return err
			}
		}
	}
	next := make(map[*apiv1.Pod]*int) // the node that took the last equal pod, below 0 once none did
	for _, equal := range equivalence.BuildPodGroups(placed.others(pods)) {
		at := 0
		for _, pod := range equal.Pods {
			next[pod] = &at
		}
	}
	for _, pod := range placed.others(pods) {
		if over() {
			return nil
		}
		if *next[pod] < 0 {
			continue
		}
		fits, err := r.place(pod, r.nodes[from:], next[pod])
		if err == nil && !fits && option[pod] {
			fits, err = r.placeAnywhere(pod, scheduling.ScheduleAnywhere)
		}
		if err != nil {
			return err
		}
		if fits {
			placed[pod] = true
		} else {
			*next[pod] = -1
		}
	}
	return nil
}

// put puts a pod on the node that was counted for it. The filters agreed when it was, and only they can reserve devices.
func (r *room) put(pod *apiv1.Pod, node string) error {
	if len(pod.Spec.ResourceClaims) == 0 {
		return r.snapshot.ForceAddPod(pod, node)
	}
	if err := r.snapshot.SchedulePod(pod, node); err != nil && err.Type() == clustersnapshot.SchedulingInternalError {
		return err
	}
	return nil
}

// place puts the pod on the first node that takes it, beginning with the one at an index, and sets the index. Resources and host ports are
// compared first, because the filters take a hundred times as long.
func (r *room) place(pod *apiv1.Pod, nodes []*askedNode, at *int) (bool, error) {
	rejecting := "" // node group
	for range nodes {
		n := nodes[*at]
		if n.group != rejecting && r.mayTake(n, pod) {
			err := r.snapshot.SchedulePod(pod, n.node.Name)
			switch {
			case err == nil:
				n.pods = append(n.pods, pod)
				return true, nil
			case err.Type() == clustersnapshot.SchedulingInternalError:
				return false, err
			case sameForGroup[err.FailingPredicateName()]:
				rejecting = n.group
			default: // such as anti-affinity: the filters look at all pods, and now do so once for all nodes
				return r.placeOnOne(pod, nodes)
			}
		}
		*at = (*at + 1) % len(nodes)
	}
	return false, nil
}

// placeOnOne puts the pod on one of the nodes.
func (r *room) placeOnOne(pod *apiv1.Pod, nodes []*askedNode) (bool, error) {
	by := make(map[string]*askedNode, len(nodes))
	for _, n := range nodes {
		by[n.node.Name] = n
	}
	return r.placeAnywhere(pod, func(info *framework.NodeInfo) bool { return by[info.Node().Name] != nil && fits(info, pod) })
}

// mayTake reports whether the node has the resources and host ports for the pod.
func (r *room) mayTake(n *askedNode, pod *apiv1.Pod) bool {
	info, err := r.snapshot.GetNodeInfo(n.node.Name)
	return err == nil && fits(info, pod)
}

func fits(info *framework.NodeInfo, pod *apiv1.Pod) bool {
	return nodeports.Fits(pod, info) &&
		len(noderesources.Fits(pod, info, nil, noderesources.ResourceRequestsOptions{EnablePodLevelResources: true})) == 0
}

// placeAnywhere puts the pod on any acceptable node of the cluster.
func (r *room) placeAnywhere(pod *apiv1.Pod, acceptable func(*framework.NodeInfo) bool) (bool, error) {
	name, err := r.snapshot.SchedulePodOnAnyNodeMatching(pod, clustersnapshot.SchedulingOptions{IsNodeAcceptable: acceptable})
	if err != nil {
		if err.Type() == clustersnapshot.SchedulingInternalError {
			return false, errors.ToAutoscalerError(errors.InternalError, err)
		}
		return false, nil
	}
	if at := slices.IndexFunc(r.nodes, func(n *askedNode) bool { return n.node != nil && n.node.Name == name }); at >= 0 {
		r.nodes[at].pods = append(r.nodes[at].pods, pod)
	}
	return true, nil
}

// list returns the nodes that the core could simulate.
func (r *room) list() []*apiv1.Node {
	var list []*apiv1.Node
	for _, n := range r.nodes {
		if n.node != nil {
			list = append(list, n.node)
		}
	}
	return list
}

// byGroup returns the pods on each node, by node group and in the order asked for, without the pods that only the core has made.
func (r *room) byGroup() map[string][][]*apiv1.Pod {
	groups := make(map[string][][]*apiv1.Pod)
	for _, n := range r.nodes {
		groups[n.group] = append(groups[n.group], slices.DeleteFunc(n.pods, podlist.IsFake))
	}
	return groups
}
