package loop

import (
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
)

// addPod counts a pod that is unschedulable when first seen, as happens after the watch was interrupted.
func (t *Trigger) addPod(obj any, isInInitialList bool) {
	if pod, ok := obj.(*apiv1.Pod); ok && !isInInitialList && unschedulable(pod) {
		t.countPod(pod)
	}
}

// updatePod counts a pod when it becomes unschedulable. A pod that stays unschedulable was counted before.
func (t *Trigger) updatePod(before, after any) {
	old, okOld := before.(*apiv1.Pod)
	pod, ok := after.(*apiv1.Pod)
	if ok && unschedulable(pod) && !(okOld && old.UID == pod.UID && unschedulable(old)) {
		t.countPod(pod)
	}
}

func (t *Trigger) countPod(pod *apiv1.Pod) {
	t.pods.add(t.clock.Now(), pod.CreationTimestamp.Add(delayOf(pod, t.config.PodDelay)))
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
