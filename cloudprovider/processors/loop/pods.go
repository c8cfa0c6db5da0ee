package loop

import (
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// addPod counts a pod that is unschedulable when first seen, as happens at the start and after the watch was interrupted, and one that the
// coming loop counts with another pod of its controller.
func (t *Trigger) addPod(obj any, isInInitialList bool) {
	pod := obj.(*apiv1.Pod)
	if t.made(pod, 1) {
		defer t.pods.wakeWaiter() // may end the burst, so after the pod is counted
	}
	if isInInitialList && !t.young(pod) {
		return
	}
	if unschedulable(pod) || Unjudged(pod) && t.pods.counts(JointController(pod)) {
		t.countPod(pod)
	}
	t.awaitPod(pod)
}

// updatePod counts a pod when it becomes unschedulable, or gives another cause that lies in the pod itself, unless it was counted before:
// because a node was asked for it before it was judged, or with another pod of its controller. A pod that loses its nomination has no node
// kept for it any more. It counts like a change of a node, because many pods lose theirs while nodes join.
func (t *Trigger) updatePod(before, after any) {
	old, pod := before.(*apiv1.Pod), after.(*apiv1.Pod)
	if ControllerOf(old) != ControllerOf(pod) {
		t.made(old, -1)
		if t.made(pod, 1) {
			defer t.pods.wakeWaiter()
		}
	} else {
		t.pods.owners.count(ControllerOf(pod), 0, active(pod)-active(old))
	}
	same := old.UID == pod.UID
	if !same { // its deletion was missed
		t.pods.judged(old.UID)
	}
	switch {
	case !unschedulable(pod):
	case same && Unjudged(old) && t.pods.counts(JointController(pod)):
	case same && Unjudged(old) && t.config.Planned != nil && t.config.Planned(pod.UID):
	case !same || !unschedulable(old) || ownCause(old) != ownCause(pod):
		t.countPod(pod)
	case old.Status.NominatedNodeName != "" && pod.Status.NominatedNodeName == "":
		t.nodes.add(t.clock.Now())
	}
	t.awaitPod(pod)
}

func (t *Trigger) deletePod(obj any) {
	if pod, ok := nodemeta.LastState(obj).(*apiv1.Pod); ok {
		t.made(pod, -1)
		t.pods.judged(pod.UID)
	}
}

// made notes that the pod's controller has made it, or with -1 that it is gone. It comes before the pod is counted, because that wakes the
// waiter, who asks whether the controllers have all their pods. It reports whether the controller no longer lacks pods.
func (t *Trigger) made(pod *apiv1.Pod, pods int) (complete bool) {
	return t.pods.owners.count(ControllerOf(pod), pods, pods*active(pod))
}

// countPod leaves out a pod whose delay is not over. The loop of the scan interval finds it. Without a delay each pod counts, even if the
// API server's clock is ahead.
func (t *Trigger) countPod(pod *apiv1.Pod) {
	delay := DelayOf(pod, t.config.PodDelay)
	if delay > 0 && t.clock.Since(pod.CreationTimestamp.Time) < delay {
		return
	}
	if t.pods.addOf(ControllerOf(pod), JointController(pod), t.clock.Now()) {
		t.config.Coming()
	}
}

// young reports whether the pod may belong to a burst that still goes on. The API server cuts its creation to the second.
func (t *Trigger) young(pod *apiv1.Pod) bool {
	return t.clock.Since(pod.CreationTimestamp.Time) < t.config.SettleLimit+time.Second
}

// awaitPod notes whether the scheduler has yet to look at the pod. The last pod that is awaited ends the burst, so the caller counts it
// first.
func (t *Trigger) awaitPod(pod *apiv1.Pod) {
	if Unjudged(pod) {
		t.pods.await(t.clock.Now(), pod.UID, JointController(pod))
	} else {
		t.pods.judged(pod.UID)
	}
}

// JointController is the controller whose pods count together: once the scheduler found no node for one of them, the loop counts those
// that the scheduler has yet to look at. It is "" for a pod that counts alone: one without a controller, or one of another scheduler. Other
// schedulers may hold pods back on purpose, such as for a quota.
func JointController(pod *apiv1.Pod) types.UID {
	if pod.Spec.SchedulerName != apiv1.DefaultSchedulerName {
		return ""
	}
	return ControllerOf(pod)
}

// active returns 1 for a pod that its controller counts, and 0 for one that has ended or is about to go.
func active(pod *apiv1.Pod) int {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == apiv1.PodSucceeded || pod.Status.Phase == apiv1.PodFailed {
		return 0
	}
	return 1
}

// ControllerOf is the UID of the pod's controller, or "".
func ControllerOf(pod *apiv1.Pod) types.UID {
	if controller := metav1.GetControllerOfNoCopy(pod); controller != nil {
		return controller.UID
	}
	return ""
}

// unschedulable reports whether the scheduler found no place for the pod.
func unschedulable(pod *apiv1.Pod) bool {
	c := verdict(pod)
	return c != nil && c.Status == apiv1.ConditionFalse && c.Reason == apiv1.PodReasonUnschedulable
}

// Unjudged reports whether the scheduler has yet to look at the pod.
func Unjudged(pod *apiv1.Pod) bool {
	return pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && verdict(pod) == nil
}

// Unplaced reports whether the scheduler found no place for the pod, or has yet to look at it.
func Unplaced(pod *apiv1.Pod) bool { return unschedulable(pod) || Unjudged(pod) }

// Held reports whether the scheduler keeps a place for the pod until its gang has them all, as Volcano does.
func Held(pod *apiv1.Pod) bool {
	c := verdict(pod)
	return c != nil && c.Status == apiv1.ConditionFalse && c.Reason == "Schedulable"
}

// Ungated reports whether the pod had gates that have gone, and the scheduler has yet to look at it. Until then their condition stays.
func Ungated(pod *apiv1.Pod) bool {
	_, c := podutil.GetPodCondition(&pod.Status, apiv1.PodScheduled)
	return c != nil && c.Reason == apiv1.PodReasonSchedulingGated && len(pod.Spec.SchedulingGates) == 0
}

// verdict is what the scheduler says of a pod without a node, nil if it has said nothing, or nothing that counts any more.
func verdict(pod *apiv1.Pod) *apiv1.PodCondition {
	if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil || Ungated(pod) {
		return nil
	}
	_, c := podutil.GetPodCondition(&pod.Status, apiv1.PodScheduled)
	return c
}

// ownCause is the cause of an unschedulable pod that lies in the pod itself, such as a claim that does not exist, or "". The message
// "0/3 nodes are available: " counts nodes by cause where it lies in them. These numbers change with every pod that moves, and the
// core counts for itself.
func ownCause(pod *apiv1.Pod) string {
	_, cause, _ := strings.Cut(verdict(pod).Message, " nodes are available: ")
	cause, _, _ = strings.Cut(cause, ". preemption: ")
	if cause == "" || '0' <= cause[0] && cause[0] <= '9' {
		return ""
	}
	return cause
}

// DelayOf is the age below which the loop leaves the pod alone. The pod's own annotation counts if it is valid and asks for
// more than the delay for all pods.
func DelayOf(pod *apiv1.Pod, forAll time.Duration) time.Duration {
	own, err := time.ParseDuration(pod.Annotations[annotations.PodScaleUpDelayAnnotationKey])
	if err != nil || own < forAll {
		return forAll
	}
	return own
}
