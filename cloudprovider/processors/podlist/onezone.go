package podlist

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// OneZone keeps a pod away from a group that may launch a node which the pod refuses: in another zone, of another instance type, or without
// the disk of its volume.
//
// It keeps a pod away from a whole group that can be scaled zone by zone and has zones in which the pod cannot run, because the node
// might come up there. status.Zones has the group divided instead, for the next loop. Existing nodes and all other groups still
// take the pod. A group that can only be scaled as a whole does so as with the stock provider: AWS may choose another zone.
//
// It keeps a pod away from a group of several instance types if the pod cannot run on all of them, because AWS chooses the type.
//
// It keeps a pod whose volume names live nodes on these nodes.
type OneZone struct {
	Provider *aws.Provider
	ZoneName func(zoneID string) string // "" where it is unknown
	Volumes  podzone.Volumes
}

// Process returns the pods with a copy in place of each pod that refuses a node of such a group. The copy refuses the group's simulated node.
func (z *OneZone) Process(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	v, among, kinds := z.Provider.View(), map[string][]string{}, map[string][]nodetemplate.Kind{}
	for _, ng := range v.NodeGroups() {
		if v.Divisible(ng.Id()) {
			zones := v.Group(ng.Id()).Zones
			among[nodemeta.Among(zones)] = zones
		}
		if t := v.Template(ng.Id()); t != nil && t.Among != "" {
			kinds[t.Among] = t.Kinds
		}
	}
	processed, ofKinds := slices.Clone(pods), map[string][]string{} // by the selectors, which are few
	for i, pod := range processed {
		volumes := z.Volumes.Of(pod)
		for _, c := range volumes {
			processed[i] = requiring(processed[i], corev1.LabelHostname, corev1.NodeSelectorOpIn, hosts(ctx, c))
		}
		if len(among) > 0 {
			inZone := podzone.Refused(pod, volumes, z.ZoneName)
			processed[i] = requiring(processed[i], nodemeta.ZoneAssumed, corev1.NodeSelectorOpNotIn, refused(among, inZone))
		}
		if required := podzone.Required(pod); len(kinds) > 0 && (required != nil || len(pod.Spec.NodeSelector) > 0) {
			selectors := fmt.Sprint(pod.Spec.NodeSelector, required)
			if _, known := ofKinds[selectors]; !known {
				ofKinds[selectors] = refused(kinds, func(k nodetemplate.Kind) bool { return podzone.Refuses(pod, k.Label) })
			}
			processed[i] = requiring(processed[i], nodemeta.KindAssumed, corev1.NodeSelectorOpNotIn, ofKinds[selectors])
		}
	}
	return processed, nil
}

// hosts returns the hostnames of the live nodes that every term of the constraint names in another label. The drivers of local volumes give
// each node such a label. The group's simulated node is a copy of one of them and has the label, and its next node does not.
func hosts(ctx *cacontext.AutoscalingContext, c podzone.Constraint) (names []string) {
	for _, term := range c.Terms {
		before := len(names)
		for _, e := range term.MatchExpressions {
			for _, value := range e.Values {
				info, err := ctx.ClusterSnapshot.GetNodeInfo(value)
				if err == nil && e.Operator == corev1.NodeSelectorOpIn && e.Key != corev1.LabelHostname {
					names = append(names, info.Node().Labels[corev1.LabelHostname])
				}
			}
		}
		if len(names) == before {
			return nil
		}
	}
	return names
}

// refused returns the values, sorted, that stand for choices of which one is refused.
func refused[T any](among map[string][]T, is func(T) bool) (values []string) {
	for value, choice := range among {
		if slices.ContainsFunc(choice, is) {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	return values
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

// requiring returns a copy of the pod that also requires this of the node's label, or the pod if there are no values. Everything else is
// shared with the pod.
func requiring(pod *corev1.Pod, label string, operator corev1.NodeSelectorOperator, values []string) *corev1.Pod {
	if len(values) == 0 {
		return pod
	}
	promised := corev1.NodeSelectorRequirement{Key: label, Operator: operator, Values: values}
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
