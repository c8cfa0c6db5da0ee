package podlist

import (
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
	free    map[string][]string // by group: nodes that are not of the plan, sorted
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
	n := &planNodes{free: make(map[string][]string), standIn: make(map[string]string)}
	for _, info := range infos {
		if group, name := r.GroupOf(info.Node()), info.Node().Name; group != "" && !registered[name] {
			n.free[group] = append(n.free[group], name)
		}
	}
	for _, names := range n.free {
		slices.SortFunc(names, strings.Compare)
	}
	return n, nil
}

// put puts the pods on their node. If that is not in the snapshot, it is the next of its group that takes the first pod. A node that was
// tried so is not tried for another. It returns the name in the snapshot, "" for none.
func (n *planNodes) put(s clustersnapshot.ClusterSnapshot, planned plan.Node, pods []*corev1.Pod) (string, map[*corev1.Pod]string) {
	name := planned.Name
	if _, err := s.GetNodeInfo(name); err != nil {
		name = n.standIn[name]
	}
	placed := map[*corev1.Pod]string{}
	for name == "" && len(pods) > 0 && len(n.free[planned.Group]) > 0 {
		next := n.free[planned.Group][0]
		n.free[planned.Group] = n.free[planned.Group][1:]
		if placed = placeOn(s, next, pods[:1]); len(placed) > 0 {
			name = next
		}
	}
	if name == "" {
		return "", nil
	}
	if planned.Name != "" {
		n.standIn[planned.Name] = name
	}
	for pod := range placeOn(s, name, slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return placed[pod] != "" })) {
		placed[pod] = name
	}
	return name, placed
}

// placeOn places pods on one node. A pod that cannot be tried has no place there.
func placeOn(s clustersnapshot.ClusterSnapshot, node string, pods []*corev1.Pod) map[*corev1.Pod]string {
	placed, err := snapshot.Place(s, pods, snapshot.Nodes{First: []string{node}})
	if err != nil {
		klog.Background().Error(err, "Could not try all pods on the node planned for them", "node", node)
	}
	return placed
}
