package podlist

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
)

// Nominated shows the core no nomination of ours for a node that cannot take the pod yet. The core would put the pod on that node in its
// snapshot and leave the upcoming node in its place free, so that pods which arrive meanwhile would seem to fit there. Without the
// nomination the pod is packed on the upcoming node, as any pending pod is. The pods themselves stay as they are.
//
// Nominated belongs before the core's own processor. The core's loop alone uses it.
type Nominated struct {
	awaits func(*corev1.Pod) bool
}

// NewNominated makes a Nominated. awaits reports whether we nominated the pod for a node that cannot take it yet.
func NewNominated(awaits func(*corev1.Pod) bool) *Nominated { return &Nominated{awaits} }

// Process returns the pods without those nominations.
func (n *Nominated) Process(_ *cacontext.AutoscalingContext, unschedulable []*corev1.Pod) ([]*corev1.Pod, error) {
	pods := slices.Clone(unschedulable)
	for at, pod := range pods {
		if n.awaits(pod) {
			free := *pod
			free.Status.NominatedNodeName = ""
			pods[at] = &free
		}
	}
	return pods, nil
}

// CleanUp implements the core's PodListProcessor.
func (*Nominated) CleanUp() {}
