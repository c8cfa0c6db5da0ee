package scaleup

import (
	"fmt"
	"maps"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	plugins "k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
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

// askedNode is a simulated node, and the pods placed on it.
type askedNode struct {
	group  string
	node   *apiv1.Node
	pods   []*apiv1.Pod
	cpu    int64 // free, in thousandths
	memory int64 // free, in bytes
}

// newRoom forks the snapshot until close.
func newRoom(snapshot clustersnapshot.ClusterSnapshot, templates map[string]*framework.NodeInfo, name string) *room {
	snapshot.Fork()
	return &room{name: name, snapshot: snapshot, templates: templates}
}

// close leaves the snapshot as it was.
func (r *room) close() { r.snapshot.Revert() }

// add adds new nodes, so many of each node group.
func (r *room) add(grown map[string]int) error {
	for _, id := range slices.Sorted(maps.Keys(grown)) {
		if r.templates[id] == nil {
			return fmt.Errorf("no template of node group %q", id)
		}
		for range grown[id] {
			info, err := simulator.SanitizedNodeInfo(r.templates[id], fmt.Sprintf("%s-%d", r.name, len(r.nodes)))
			if err != nil {
				return err
			}
			if err := r.snapshot.AddNodeInfo(info); err != nil {
				return err
			}
			node := &askedNode{group: id, node: info.Node()}
			node.cpu, node.memory = amounts(info.Node().Status.Allocatable)
			for _, daemon := range info.Pods() {
				node.take(daemon.Pod)
			}
			r.nodes = append(r.nodes, node)
		}
	}
	return nil
}

// fit places the pods of an option on the nodes from the index on, and gives the room that is left to the others of pods. It returns
// the pods that it placed.
func (r *room) fit(option, pods []*apiv1.Pod, from int, over func() bool) (podSet, error) {
	if from == len(r.nodes) {
		return nil, nil
	}
	placed, err := r.place(option, from, true, over)
	if err != nil {
		return nil, err
	}
	others, err := r.place(without(pods, option), from, false, over)
	maps.Copy(placed, others)
	return placed, err
}

// place puts each pod, in order, on the first node that takes it, and returns the pods that it placed. Only the nodes from the
// index on count, and with anywhere all other nodes of the cluster after them. It ends early once over is true.
func (r *room) place(pods []*apiv1.Pod, from int, anywhere bool, over func() bool) (podSet, error) {
	placed := podSet{}
	similar := scheduling.NewSimilarPodsScheduling()
	for _, pod := range pods {
		if over() {
			break
		}
		if similar.IsSimilarUnschedulable(pod) {
			continue
		}
		fits, err := r.placeOne(pod, from)
		if err == nil && !fits && anywhere {
			fits, err = r.placeAnywhere(pod)
		}
		if err != nil {
			return nil, err
		}
		if fits {
			placed[pod] = true
		} else {
			similar.SetUnschedulable(pod)
		}
	}
	return placed, nil
}

// placeOne puts the pod on the first node that takes it. Free CPU and memory are compared first, because the filters take a
// thousand times as long.
func (r *room) placeOne(pod *apiv1.Pod, from int) (bool, error) {
	cpu, memory := amounts(podutil.PodRequests(pod))
	rejecting := "" // node group
	for _, n := range r.nodes[from:] {
		if n.group == rejecting || cpu > 0 && cpu > n.cpu || memory > 0 && memory > n.memory {
			continue
		}
		err := r.snapshot.SchedulePod(pod, n.node.Name)
		if err == nil {
			n.take(pod)
			n.pods = append(n.pods, pod)
			return true, nil
		}
		if err.Type() == clustersnapshot.SchedulingInternalError {
			return false, err
		}
		if sameForGroup[err.FailingPredicateName()] {
			rejecting = n.group
		}
	}
	return false, nil
}

// placeAnywhere puts the pod on any node of the cluster. A pod that must be spread may fit on an old node once there is a new one.
func (r *room) placeAnywhere(pod *apiv1.Pod) (bool, error) {
	_, err := r.snapshot.SchedulePodOnAnyNodeMatching(pod, clustersnapshot.SchedulingOptions{IsNodeAcceptable: scheduling.ScheduleAnywhere})
	if err != nil && err.Type() == clustersnapshot.SchedulingInternalError {
		return false, errors.ToAutoscalerError(errors.InternalError, err)
	}
	return err == nil, nil
}

// list returns the nodes.
func (r *room) list() []*apiv1.Node {
	list := make([]*apiv1.Node, len(r.nodes))
	for at, n := range r.nodes {
		list[at] = n.node
	}
	return list
}

// byGroup returns the pods on each node, by node group and in the order asked for.
func (r *room) byGroup() map[string][][]*apiv1.Pod {
	groups := make(map[string][][]*apiv1.Pod)
	for _, n := range r.nodes {
		groups[n.group] = append(groups[n.group], n.pods)
	}
	return groups
}

// take subtracts the requests of the pod from the free amounts.
func (n *askedNode) take(pod *apiv1.Pod) {
	cpu, memory := amounts(podutil.PodRequests(pod))
	n.cpu, n.memory = n.cpu-cpu, n.memory-memory
}

// amounts returns the CPU in thousandths and the memory in bytes.
func amounts(list apiv1.ResourceList) (cpu, memory int64) {
	return list.Cpu().MilliValue(), list.Memory().Value()
}
