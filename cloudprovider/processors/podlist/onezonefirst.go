package podlist

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/utils/ptr"
)

// OneZoneFirst gives the room in a zone to pods that must run there, before the core gives the rest to pods that can run anywhere.
//
// The core packs pending pods on upcoming nodes in no order of need. If a pod without a zone takes the node that another pod
// waits for, the other pod gets a second node and the first node stays empty. After a launch for the pods without a zone alone, the
// next loop reverses the order: those nodes are theirs. Pods with a lower priority than a pod of the other kind stay
// where the core has them. Without zone groups all pods do.
//
// It implements the core's PodListProcessor in front of the core's own. The core's loop alone uses it.
type OneZoneFirst struct {
	pods        *OneZone
	simulator   *scheduling.HintingSimulator
	othersFirst func() bool // nil for never
}

// NewOneZoneFirst makes a OneZoneFirst.
func NewOneZoneFirst(pods *OneZone) *OneZoneFirst {
	return &OneZoneFirst{pods: pods, simulator: scheduling.NewHintingSimulator()}
}

// OthersFirst reverses the order in loops for which first is true. Call it before the first loop.
func (z *OneZoneFirst) OthersFirst(first func() bool) { z.othersFirst = first }

// Process returns the pods that have found no room.
func (z *OneZoneFirst) Process(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	if !z.pods.Views() {
		return pods, nil
	}
	var first, others []*corev1.Pod
	for _, pod := range pods {
		if podutil.IsDaemonSetPod(pod) {
			continue // its node exists, whatever its priority
		}
		if z.pods.Needs(pod) {
			first = append(first, pod)
		} else {
			others = append(others, pod)
		}
	}
	if len(first) == 0 || len(others) == 0 {
		return pods, nil
	}
	if z.othersFirst != nil && z.othersFirst() {
		first, others = others, first
	}
	highest := priority(slices.MaxFunc(others, byPriority))
	first = slices.DeleteFunc(first, func(pod *corev1.Pod) bool { return priority(pod) < highest })
	if len(first) == 0 {
		return pods, nil
	}
	slices.SortStableFunc(first, func(a, b *corev1.Pod) int { return byPriority(b, a) })
	scheduled, _, err := z.simulator.TrySchedulePods(ctx.ClusterSnapshot, first, false, clustersnapshot.SchedulingOptions{IsNodeAcceptable: scheduling.ScheduleAnywhere})
	if err != nil {
		return nil, err
	}
	z.simulator.DropOldHints()
	found := make(map[types.UID]bool, len(scheduled))
	for _, s := range scheduled {
		found[s.Pod.UID] = true
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return found[pod.UID] }), nil
}

func priority(pod *corev1.Pod) int32 { return ptr.Deref(pod.Spec.Priority, 0) }

func byPriority(a, b *corev1.Pod) int { return cmp.Compare(priority(a), priority(b)) }

// CleanUp implements the core's PodListProcessor.
func (*OneZoneFirst) CleanUp() {}
