package aws

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// LabelZoneAssumed is on the NodeInfo of every node group that has several zones, and on no node of the cluster. The zone
// labels beside it are those of one possible node: AWS chooses the zone, and may choose another.
const LabelZoneAssumed = "asg-autoscaler/zone-assumed"

// ZonalPods keeps pods that have to run in one particular zone from being taken for pods that a node group of several zones
// can help: they would wake it, and wake it again for as long as its nodes came up elsewhere. Nodes that exist, and those
// of groups with one zone, take such pods as ever.
//
// It implements the core's PodListProcessor in front of the core's own, and is used by the core's loop alone.
type ZonalPods struct {
	provider *Provider
	volumes  podzone.Volumes
}

// NewZonalPods makes a ZonalPods; volumes tells what the pods' volumes ask for.
func NewZonalPods(p *Provider, volumes podzone.Volumes) *ZonalPods {
	return &ZonalPods{provider: p, volumes: volumes}
}

// Process returns the pods with a copy in place of each that needs one zone. The copy asks for a node that promises its zone.
func (z *ZonalPods) Process(_ *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	processed := slices.Clone(pods)
	for i, pod := range processed {
		if _, ok := z.need(pod); ok {
			processed[i] = withPromisedZone(pod)
		}
	}
	return processed, nil
}

// CleanUp implements the core's PodListProcessor.
func (*ZonalPods) CleanUp() {}

func (z *ZonalPods) need(pod *corev1.Pod) (podzone.Need, bool) {
	return podzone.Of(pod, z.volumes.Of(pod), z.provider.zoneIDs.Load().nameOf)
}

// Needs reports whether the pod has to run in one particular zone.
func (z *ZonalPods) Needs(pod *corev1.Pod) bool {
	_, ok := z.need(pod)
	return ok
}

// Views reports whether a group is scaled zone by zone.
func (z *ZonalPods) Views() bool { return z.provider.view.Load().zonal }

// withPromisedZone is a copy of the pod that no node with LabelZoneAssumed takes. It shares all else with the pod.
func withPromisedZone(pod *corev1.Pod) *corev1.Pod {
	promised := corev1.NodeSelectorRequirement{Key: LabelZoneAssumed, Operator: corev1.NodeSelectorOpDoesNotExist}
	required := &corev1.NodeSelector{}
	if before := podzone.Required(pod); before != nil {
		for _, term := range before.NodeSelectorTerms {
			if len(term.MatchExpressions) > 0 || len(term.MatchFields) > 0 { // an empty term matches nothing, and is to stay so
				term.MatchExpressions = append(slices.Clone(term.MatchExpressions), promised)
			}
			required.NodeSelectorTerms = append(required.NodeSelectorTerms, term)
		}
	} else {
		required.NodeSelectorTerms = []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{promised}}}
	}
	copied, affinity, nodes := *pod, corev1.Affinity{}, corev1.NodeAffinity{}
	if pod.Spec.Affinity != nil {
		affinity = *pod.Spec.Affinity
	}
	if affinity.NodeAffinity != nil {
		nodes = *affinity.NodeAffinity
	}
	nodes.RequiredDuringSchedulingIgnoredDuringExecution = required
	affinity.NodeAffinity = &nodes
	copied.Spec.Affinity = &affinity
	return &copied
}
