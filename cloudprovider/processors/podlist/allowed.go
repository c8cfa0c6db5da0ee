package podlist

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
)

// Allowed leaves out pending pods of schedulers that it lacks (--allowed-scheduler-names). The core would leave out their running pods, too,
// so full nodes would look empty.
type Allowed map[string]bool

func (a Allowed) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	return slices.DeleteFunc(slices.Clone(pending), a.leavesOut), nil
}

func (a Allowed) leavesOut(pod *corev1.Pod) bool { return !a[pod.Spec.SchedulerName] }

func (Allowed) CleanUp() {}
