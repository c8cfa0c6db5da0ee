package podlist

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// OneZone keeps a pod away from a group that may launch a node which the pod refuses: in another zone, or of another instance type. It
// keeps a pod whose volume names live nodes away from all other nodes.
//
// It keeps a pod away from a whole group that can be scaled zone by zone and has zones in which the pod cannot run, because the node
// might come up there. status.Zones has the group divided instead, for the next loop. Existing nodes and all other groups still
// take the pod. A group that can only be scaled as a whole does so as with the stock provider: AWS may choose another zone.
//
// It keeps a pod away from a group of several instance types if the pod cannot run on all of them, because AWS chooses the type.
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
		live := false
		for _, e := range term.MatchExpressions {
			if e.Operator != corev1.NodeSelectorOpIn || e.Key == corev1.LabelHostname {
				continue
			}
			for _, value := range e.Values {
				info, err := ctx.ClusterSnapshot.GetNodeInfo(value)
				if err != nil {
					continue
				}
				host, known := info.Node().Labels[corev1.LabelHostname]
				if !known {
					return nil
				}
				names, live = append(names, host), true
			}
		}
		if !live {
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
	copied := *pod
	copied.Spec.Affinity = cmp.Or(pod.Spec.Affinity, &corev1.Affinity{}).DeepCopy()
	if required := podzone.Required(&copied); required != nil {
		for i, term := range required.NodeSelectorTerms {
			if len(term.MatchExpressions)+len(term.MatchFields) > 0 { // an empty term matches nothing, and must stay so
				required.NodeSelectorTerms[i].MatchExpressions = append(term.MatchExpressions, promised)
			}
		}
		return &copied
	}
	nodes := cmp.Or(copied.Spec.Affinity.NodeAffinity, &corev1.NodeAffinity{})
	nodes.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
		{MatchExpressions: []corev1.NodeSelectorRequirement{promised}}}}
	copied.Spec.Affinity.NodeAffinity = nodes
	return &copied
}
