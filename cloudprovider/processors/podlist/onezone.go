package podlist

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// OneZone keeps pods that must run in one zone away from whole groups that can be scaled zone by zone. The node for such a pod might
// come up in another zone. status.Zones has the group divided instead, for the next loop. Existing nodes and all other groups still
// take these pods. A group that can only be scaled as a whole does so as with the stock provider: AWS may choose another zone.
type OneZone struct {
	Provider *aws.Provider
	ZoneName func(zoneID string) string // "" where it is unknown
	Volumes  podzone.Volumes
}

// Process returns the pods with a copy in place of each pod that needs one zone. The copy asks for a node that promises its zone.
func (z *OneZone) Process(_ *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	processed := slices.Clone(pods)
	for i, pod := range processed {
		if z.Needs(pod) {
			processed[i] = withPromisedZone(pod)
		}
	}
	return processed, nil
}

func (*OneZone) CleanUp() {}

// Need returns the one zone that the pod must run in. It is false for a pod with a choice.
func (z *OneZone) Need(pod *corev1.Pod) (podzone.Need, bool) {
	return podzone.Of(pod, z.Volumes.Of(pod), z.ZoneName)
}

func (z *OneZone) Needs(pod *corev1.Pod) bool {
	_, ok := z.Need(pod)
	return ok
}

func (z *OneZone) Views() bool { return z.Provider.View().HasZoneGroups() }

// withPromisedZone returns a copy of the pod that no node with nodemeta.ZoneAssumed takes. Everything else is shared with the pod.
func withPromisedZone(pod *corev1.Pod) *corev1.Pod {
	promised := corev1.NodeSelectorRequirement{Key: nodemeta.ZoneAssumed, Operator: corev1.NodeSelectorOpDoesNotExist}
	required := &corev1.NodeSelector{}
	if before := podzone.Required(pod); before != nil {
		for _, term := range before.NodeSelectorTerms {
			if len(term.MatchExpressions) > 0 || len(term.MatchFields) > 0 { // an empty term matches nothing, and must stay so
				term.MatchExpressions = append(slices.Clone(term.MatchExpressions), promised)
			}
			required.NodeSelectorTerms = append(required.NodeSelectorTerms, term)
		}
	} else {
		required.NodeSelectorTerms = []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{promised}}}
	}
	copied, affinity := *pod, ptr.Deref(pod.Spec.Affinity, corev1.Affinity{})
	nodes := ptr.Deref(affinity.NodeAffinity, corev1.NodeAffinity{})
	nodes.RequiredDuringSchedulingIgnoredDuringExecution = required
	affinity.NodeAffinity = &nodes
	copied.Spec.Affinity = &affinity
	return &copied
}
