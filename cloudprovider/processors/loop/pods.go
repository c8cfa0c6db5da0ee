package loop

import (
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/utils/clock"
)

// podHandler adds pods to a burst as they become unschedulable. It implements cache.ResourceEventHandler.
type podHandler struct {
	pods  *burst
	clock clock.PassiveClock
	delay time.Duration
}

// OnAdd counts a pod that is unschedulable when first seen, as happens after the watch was interrupted.
func (h podHandler) OnAdd(obj any, isInInitialList bool) {
	if pod, ok := obj.(*apiv1.Pod); ok && !isInInitialList && unschedulable(pod) {
		h.add(pod)
	}
}

// OnUpdate counts a pod when it becomes unschedulable. A pod that stays unschedulable was counted before.
func (h podHandler) OnUpdate(before, after any) {
	old, okOld := before.(*apiv1.Pod)
	pod, ok := after.(*apiv1.Pod)
	if ok && unschedulable(pod) && !(okOld && old.UID == pod.UID && unschedulable(old)) {
		h.add(pod)
	}
}

// OnDelete does nothing: a loop that finds no pod costs little.
func (h podHandler) OnDelete(any) {}

func (h podHandler) add(pod *apiv1.Pod) {
	h.pods.add(h.clock.Now(), pod.CreationTimestamp.Add(delayOf(pod, h.delay)))
}

// unschedulable reports whether the scheduler found no place for the pod.
func unschedulable(pod *apiv1.Pod) bool {
	if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == apiv1.PodScheduled {
			return c.Status == apiv1.ConditionFalse && c.Reason == apiv1.PodReasonUnschedulable
		}
	}
	return false
}

// delayOf is the age below which the loop leaves the pod alone. The pod's own annotation counts if it is valid and asks for
// more than the delay for all pods.
func delayOf(pod *apiv1.Pod, forAll time.Duration) time.Duration {
	own, err := time.ParseDuration(pod.Annotations[annotations.PodScaleUpDelayAnnotationKey])
	if err != nil || own < forAll {
		return forAll
	}
	return own
}
