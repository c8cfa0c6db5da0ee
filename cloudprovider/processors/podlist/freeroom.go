package podlist

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
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
			if err != nil || lost || never || info.Node().Spec.Unschedulable || taints.HasToBeDeletedTaint(info.Node()) ||
				!nodemeta.Ready(info.Node()) {
				pending[at] = snapshot.Unbound(pod)
			}
		}
	}
	return pending
}

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
