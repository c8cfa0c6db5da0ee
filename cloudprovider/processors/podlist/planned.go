package podlist

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// putPlanned puts planned pods on their nodes. It returns the others, and the nodes of the plan that have not registered by their names in
// the snapshot.
func (r *FreeRoom) putPlanned(s clustersnapshot.ClusterSnapshot, pending []*corev1.Pod, planned []plan.Node) (
	[]*corev1.Pod, map[string]plan.Node, error) {
	if len(planned) == 0 {
		return pending, nil, nil
	}
	nodes, err := r.nodesFor(s, planned)
	if err != nil {
		return nil, nil, err
	}
	waiting := make(map[types.UID]*corev1.Pod, len(pending))
	for _, pod := range pending {
		waiting[pod.UID] = pod
	}
	upcoming := map[string]plan.Node{}
	for _, node := range planned {
		for _, pod := range node.Pods {
			if waiting[pod.UID] == nil {
				r.Plan.Drop(pod.UID)
			}
		}
		pods := slices.DeleteFunc(node.Waiting(waiting), func(pod *corev1.Pod) bool {
			// The core puts it there, but reserves no devices.
			return node.Name != "" && pod.Status.NominatedNodeName == node.Name && len(pod.Spec.ResourceClaims) == 0
		})
		name, placed := nodes.put(s, node, pods)
		for pod := range placed {
			delete(waiting, pod.UID)
		}
		if name != "" && node.Name == "" {
			upcoming[name] = node
		}
	}
	left := slices.DeleteFunc(slices.Clone(pending), func(pod *corev1.Pod) bool { return waiting[pod.UID] == nil })
	if put := len(pending) - len(left); put > 0 {
		klog.Background().V(4).Info("Put pending pods on the nodes planned for them", "pods", put)
	}
	return left, upcoming, nil
}

// planNodes finds the nodes of the plan in the snapshot.
type planNodes struct {
	free    map[string][]string // by group: nodes that are not of the plan, sorted. A zone group's are its whole group's, too
	taken   map[string]bool     // of these, by a node of the plan
	standIn map[string]string   // placeholders of planned nodes that have registered and are not ready
}

func (r *FreeRoom) nodesFor(s clustersnapshot.ClusterSnapshot, planned []plan.Node) (*planNodes, error) {
	infos, err := s.ListNodeInfos()
	if err != nil {
		return nil, err
	}
	registered := make(map[string]bool, len(planned))
	for _, node := range planned {
		registered[node.Name] = true
	}
	n := &planNodes{free: make(map[string][]string), taken: make(map[string]bool), standIn: make(map[string]string)}
	for _, info := range infos {
		group, whole := r.GroupOf(info.Node())
		if name := info.Node().Name; group != "" && !registered[name] {
			for _, of := range slices.Compact([]string{group, whole}) { // the group may have been divided after the node was asked for
				n.free[of] = append(n.free[of], name)
			}
		}
	}
	for _, names := range n.free {
		slices.SortFunc(names, strings.Compare)
	}
	return n, nil
}

// put puts the pods on their node. If that is not in the snapshot, it is the next of its group that takes the first pod. It returns the
// name in the snapshot, "" for none.
func (n *planNodes) put(s clustersnapshot.ClusterSnapshot, planned plan.Node, pods []*corev1.Pod) (string, map[*corev1.Pod]string) {
	name := planned.Name
	if _, err := s.GetNodeInfo(name); err != nil {
		name = n.standIn[name]
	}
	placed := map[*corev1.Pod]string{}
	if name == "" && len(pods) > 0 {
		placed = n.next(s, planned.Group, pods[:1])
		name = placed[pods[0]]
	}
	if name == "" {
		return "", nil
	}
	if planned.Name != "" {
		n.standIn[planned.Name] = name
	}
	others, err := snapshot.Place(s, pods[len(placed):], snapshot.Nodes{First: []string{name}})
	if err != nil {
		klog.Background().Error(err, "Could not try all pods on the node planned for them", "node", name)
	}
	maps.Copy(placed, others)
	return name, placed
}

// next puts one pod on the next node of the group that takes it. The scheduler's filters look at all pods twice at most, however many nodes
// refuse it. The first nodes that lack its resources, or refuse it, are not tried for another pod. If none takes it, no node of the
// group is tried for another pod in this loop.
func (n *planNodes) next(s clustersnapshot.ClusterSnapshot, group string, pod []*corev1.Pod) map[*corev1.Pod]string {
	free := slices.DeleteFunc(n.free[group], func(name string) bool { return n.taken[name] })
	for len(free) > 0 {
		if info, err := s.GetNodeInfo(free[0]); err == nil && snapshot.MayFit(info, pod[0]) {
			break
		}
		free = free[1:]
	}
	placed, err := snapshot.Place(s, pod, snapshot.Nodes{First: free})
	if err != nil {
		klog.Background().Error(err, "Could not try a pod on the nodes of the group planned for it", "group", group)
	}
	n.free[group] = nil
	if taker, taken := placed[pod[0]]; taken {
		n.free[group], n.taken[taker] = free[1:], true
	}
	return placed
}
