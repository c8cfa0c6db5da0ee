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

// leavesOut reports whether no node is launched for the pod. An empty list leaves out none.
func (a Allowed) leavesOut(pod *corev1.Pod) bool { return len(a) > 0 && !a[pod.Spec.SchedulerName] }

func (Allowed) CleanUp() {}
