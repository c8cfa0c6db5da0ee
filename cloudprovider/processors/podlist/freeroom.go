package podlist

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// FreeRoom gives pending pods the room that is free or on its way, and returns the pods without any. It wraps the core's own processor,
// which packs pending pods in an order of its own.
//
//   - First, planned pods get the nodes that were asked for them, as far as the scheduler's filters agree. Otherwise pods planned for
//     another node take their room, and they cause another scale-up. Their priority does not matter: a small pod of a higher one would take
//     the room of a large pod, although a cheap node helps it. The core would also pack a pod anew whose nomination kube-scheduler has just
//     removed, though its room is kept.
//   - The core gives the room that is left to the others. Those on upcoming nodes of the plan join it.
//
// A pod that is nominated for a node of the snapshot stays on the list for the core, because the core puts it there. The core does not see a
// nomination for any other node, whoever wrote it.
type FreeRoom struct {
	Core pods.PodListProcessor
	Plan *plan.Plan
	// GroupOf returns the node group of a node of the snapshot, real or a placeholder, or "", and the name of the whole Auto Scaling group.
	GroupOf func(*corev1.Node) (group, whole string)
}

// Process puts the pods on nodes of the snapshot. Pods that are no longer pending leave the plan. The pods themselves stay as they are.
func (r *FreeRoom) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	pending = withoutAbsent(ctx, pending)
	others, upcoming, err := r.putPlanned(ctx.ClusterSnapshot, pending, r.Plan.Planned())
	if err != nil {
		return pending, err
	}
	left, err := r.Core.Process(ctx, others)
	if err != nil {
		return nil, err
	}
	return left, r.join(ctx.ClusterSnapshot, upcoming, others)
}

func (r *FreeRoom) CleanUp() { r.Core.CleanUp() }

// withoutAbsent returns the pods as copies without their nominations where the snapshot lacks the node or a claim, or the node is cordoned,
// drained or not Ready. So it does with pods that may not preempt: kube-scheduler never takes such a nomination back, whose node may not
// take the pod any more.
//
// A node that has registered and is not Ready is not in the snapshot. A placeholder stands for it. The core would put the pod on the node
// by its name all the same, fail, and help no pod in this loop. On such a node it would count on a place that the pod does not get: the
// pod keeps the nomination of its preemption until kube-scheduler tries it again. Without one of its ResourceClaims it never does, and the
// core fails in the same way.
func withoutAbsent(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) []*corev1.Pod {
	s := ctx.ClusterSnapshot
	pending = slices.Clone(pending)
	for at, pod := range pending {
		if name := pod.Status.NominatedNodeName; name != "" {
			info, err := s.NodeInfos().Get(name)
			_, unknown := s.DraSnapshot().PodClaims(pod)
			lost := unknown != nil && ctx.DynamicResourceAllocationEnabled // else all are unknown, and the core does not look
			never := ptr.Deref(pod.Spec.PreemptionPolicy, "") == corev1.PreemptNever
			if err != nil || lost || never || shut(info.Node()) {
				pending[at] = snapshot.Unbound(pod)
			}
		}
	}
	return pending
}

// shut reports whether the node is cordoned, drained by the core or not Ready.
func shut(node *corev1.Node) bool {
	return node.Spec.Unschedulable || taints.HasToBeDeletedTaint(node) || !nodemeta.Ready(node)
}

// join has the pods join the plan that are on its upcoming nodes.
func (r *FreeRoom) join(s clustersnapshot.ClusterSnapshot, upcoming map[string]plan.Node, pods []*corev1.Pod) error {
	others := make(map[types.UID]bool, len(pods))
	for _, pod := range pods {
		others[pod.UID] = true
	}
	for name, node := range upcoming {
		info, err := s.GetNodeInfo(name)
		if err != nil {
			return err
		}
		r.Plan.Join(node, slices.DeleteFunc(snapshot.Pods(info), func(on *corev1.Pod) bool { return !others[on.UID] || IsFake(on) }))
	}
	return nil
}

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
