package aws

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

// ZonalFirst gives pods that have to run in one zone the room there is in it, before the core gives what is left to those that
// can run anywhere. The core packs pending pods on the nodes that are about to come in no order of need: where one without
// a zone takes the node that another was launched for, that one gets a second, and the first stays empty. In the loop after
// nodes were launched for the pods without a zone alone, these come first instead: the nodes are theirs. Pods of a lower
// priority than some of the others stay where the core has them; without zonal views, all pods do.
//
// It implements the core's PodListProcessor in front of the core's own, and is used by the core's loop alone.
type ZonalFirst struct {
	pods        *ZonalPods
	simulator   *scheduling.HintingSimulator
	othersFirst func() bool // nil for never
}

// NewZonalFirst makes a ZonalFirst.
func NewZonalFirst(pods *ZonalPods) *ZonalFirst {
	return &ZonalFirst{pods: pods, simulator: scheduling.NewHintingSimulator()}
}

// OthersFirst has those come first that can run anywhere whenever first says so. It is called before the first loop.
func (z *ZonalFirst) OthersFirst(first func() bool) { z.othersFirst = first }

// Process returns the pods without those that have found room.
func (z *ZonalFirst) Process(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	if !z.pods.Views() {
		return pods, nil
	}
	var first, others []*corev1.Pod
	for _, pod := range pods {
		if podutil.IsDaemonSetPod(pod) {
			continue // its node is there, whatever its priority
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
func (*ZonalFirst) CleanUp() {}
