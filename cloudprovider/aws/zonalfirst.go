package aws

import (
	"cmp"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/utils/ptr"
)

// ZonalFirst gives pods that have to run in one zone the room there is in it, before the core gives what is left to those that
// can run anywhere. The core packs pending pods on the nodes that are about to come in no order of need: where one without
// a zone takes the node that another was launched for, that one gets a second, and the first stays empty. Pods of a lower priority
// than some that can run anywhere stay where the core has them.
//
// It implements the core's PodListProcessor in front of the core's own, and is used by the core's loop alone.
type ZonalFirst struct {
	pods      *ZonalPods
	simulator *scheduling.HintingSimulator
}

// NewZonalFirst makes a ZonalFirst.
func NewZonalFirst(pods *ZonalPods) *ZonalFirst {
	return &ZonalFirst{pods: pods, simulator: scheduling.NewHintingSimulator()}
}

// Process returns the pods without those that have found room.
func (z *ZonalFirst) Process(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	var zonal []*corev1.Pod
	highest := int32(math.MinInt32) // priority of those that can run anywhere
	for _, pod := range pods {
		if _, ok := z.pods.need(pod); ok {
			zonal = append(zonal, pod)
		} else {
			highest = max(highest, priority(pod))
		}
	}
	if len(zonal) == len(pods) {
		return pods, nil
	}
	zonal = slices.DeleteFunc(zonal, func(pod *corev1.Pod) bool { return priority(pod) < highest })
	if len(zonal) == 0 {
		return pods, nil
	}
	slices.SortStableFunc(zonal, func(a, b *corev1.Pod) int { return cmp.Compare(priority(b), priority(a)) })
	scheduled, _, err := z.simulator.TrySchedulePods(ctx.ClusterSnapshot, zonal, false, clustersnapshot.SchedulingOptions{IsNodeAcceptable: scheduling.ScheduleAnywhere})
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

// CleanUp implements the core's PodListProcessor.
func (*ZonalFirst) CleanUp() {}
