package podlist

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// FreeRoom gives pending pods the room that is free or on its way, and returns the pods without any. It wraps the core's own processor,
// which packs pending pods in an order of its own.
//
//   - First, planned pods get the nodes that were asked for them, as far as the scheduler's filters agree. Otherwise pods planned for
//     another node take their room, and they cause another scale-up. The core would also pack a pod anew whose nomination kube-scheduler has just
//     removed, though its room is kept.
//   - Then the pods that need a zone get the room there, see zoneFirst.
//   - The core gives the room that is left to the others. Those on upcoming nodes of the plan join it.
//
// A pod that is nominated for a node of the snapshot stays on the list for the core, because the core puts it there. The core does not see a
// nomination for any other node, whoever wrote it.
type FreeRoom struct {
	Core pods.PodListProcessor
	Plan *plan.Plan
	// GroupOf returns the group of a node of the snapshot, real or a placeholder, or "".
	GroupOf func(*corev1.Node) string
	// Zones is nil where no pod needs a zone.
	Zones *OneZone
	// OthersFirst reports whether pods that need no zone come first in this loop. It is needed where Zones is.
	OthersFirst func() bool
}

// Process puts the pods on nodes of the snapshot. Pods that are no longer pending leave the plan. The pods themselves stay as they are.
func (r *FreeRoom) Process(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	pending = withoutAbsent(ctx.ClusterSnapshot, pending)
	others, upcoming, err := r.putPlanned(ctx.ClusterSnapshot, pending, r.Plan.Planned())
	if err != nil {
		return pending, err
	}
	left, err := r.zoneFirst(ctx, others)
	if err != nil {
		return nil, err
	}
	if left, err = r.Core.Process(ctx, left); err != nil {
		return nil, err
	}
	return left, r.join(ctx.ClusterSnapshot, upcoming, others)
}

func (r *FreeRoom) CleanUp() { r.Core.CleanUp() }

// withoutAbsent returns the pods as copies without their nominations where the snapshot lacks the node.
//
// A node that has registered and is not Ready is not in the snapshot. A placeholder stands for it. The core would put the pod on the node
// by its name all the same, fail, and help no pod in this loop.
func withoutAbsent(s clustersnapshot.ClusterSnapshot, pending []*corev1.Pod) []*corev1.Pod {
	pending = slices.Clone(pending)
	for at, pod := range pending {
		if name := pod.Status.NominatedNodeName; name != "" {
			if _, err := s.NodeInfos().Get(name); err != nil {
				pending[at] = snapshot.Unbound(pod)
			}
		}
	}
	return pending
}

// zoneFirst gives the room in a zone to pods that must run there, before the core gives the rest to pods that can run anywhere.
//
// If a pod without a zone takes the node that another pod waits for, the other pod gets a second node and the first node stays empty.
// After a launch for the pods without a zone alone, the next loop reverses the order: those nodes are theirs. Pods with a lower priority than a pod of
// the other kind stay where the core has them. Nominated pods have their nodes before both. Without zone groups all pods do.
func (r *FreeRoom) zoneFirst(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	if r.Zones == nil || !r.Zones.Views() {
		return pods, nil
	}
	var first, others, nominated []*corev1.Pod
	for _, pod := range pods {
		switch {
		case podutil.IsDaemonSetPod(pod): // its node exists, whatever its priority
		case pod.Status.NominatedNodeName != "":
			nominated = append(nominated, pod)
		case r.Zones.Needs(pod):
			first = append(first, pod)
		default:
			others = append(others, pod)
		}
	}
	if len(first) == 0 || len(others) == 0 {
		return pods, nil
	}
	if r.OthersFirst() {
		first, others = others, first
	}
	highest := priority(slices.MaxFunc(others, byPriority))
	first = slices.DeleteFunc(first, func(pod *corev1.Pod) bool { return priority(pod) < highest })
	slices.SortStableFunc(first, func(a, b *corev1.Pod) int { return byPriority(b, a) })
	kept := map[*corev1.Pod]bool{} // the room that kube-scheduler keeps for nominated pods
	for _, pod := range nominated {
		kept[pod] = len(placeOn(ctx.ClusterSnapshot, pod.Status.NominatedNodeName, []*corev1.Pod{pod})) > 0
	}
	pods = slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return kept[pod] })
	placed, err := snapshot.Place(ctx.ClusterSnapshot, first, snapshot.Nodes{Anywhere: func(*corev1.Pod) bool { return true }})
	return slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return placed[pod] != "" }), err
}

func priority(pod *corev1.Pod) int32 { return ptr.Deref(pod.Spec.Priority, 0) }

func byPriority(a, b *corev1.Pod) int { return cmp.Compare(priority(a), priority(b)) }

// join has the pods join the plan that are on its upcoming nodes.
func (r *FreeRoom) join(s clustersnapshot.ClusterSnapshot, upcoming map[string]plan.Node, pods []*corev1.Pod) error {
	others := make(map[types.UID]*corev1.Pod, len(pods))
	for _, pod := range pods {
		others[pod.UID] = pod
	}
	for name, node := range upcoming {
		info, err := s.GetNodeInfo(name)
		if err != nil {
			return err
		}
		var beside []*corev1.Pod
		for _, on := range info.Pods() {
			if pod := others[on.UID]; pod != nil && !IsFake(pod) {
				beside = append(beside, pod)
			}
		}
		if len(beside) > 0 {
			r.Plan.Join(node, beside)
		}
	}
	return nil
}
