package podlist

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// OneZone keeps a pod away from a whole group that can be scaled zone by zone and has zones in which the pod cannot run, because the node
// might come up there. status.Zones has the group divided instead, for the next loop. Existing nodes and all other groups still
// take the pod. A group that can only be scaled as a whole does so as with the stock provider: AWS may choose another zone.
type OneZone struct {
	Provider *aws.Provider
	ZoneName func(zoneID string) string // "" where it is unknown
	Volumes  podzone.Volumes
}

// Process returns the pods with a copy in place of each pod that a zone of such a group refuses. The copy refuses the group's node.
func (z *OneZone) Process(_ *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	v, among := z.Provider.View(), map[string][]string{}
	for _, ng := range v.NodeGroups() {
		if v.Divisible(ng.Id()) {
			zones := v.Group(ng.Id()).Zones
			among[nodemeta.AmongZones(zones)] = zones
		}
	}
	if len(among) == 0 {
		return pods, nil
	}
	processed, values := slices.Clone(pods), slices.Sorted(maps.Keys(among))
	for i, pod := range processed {
		refused := podzone.Refused(pod, z.Volumes.Of(pod), z.ZoneName)
		not := slices.DeleteFunc(slices.Clone(values), func(value string) bool { return !slices.ContainsFunc(among[value], refused) })
		if len(not) > 0 {
			processed[i] = withPromisedZone(pod, not)
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

// withPromisedZone returns a copy of the pod that no node takes whose nodemeta.ZoneAssumed has one of the values. Everything else is shared
// with the pod.
func withPromisedZone(pod *corev1.Pod, not []string) *corev1.Pod {
	promised := corev1.NodeSelectorRequirement{Key: nodemeta.ZoneAssumed, Operator: corev1.NodeSelectorOpNotIn, Values: not}
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
