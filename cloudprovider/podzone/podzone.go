package podzone

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// LabelZoneID is the zone's identifier, the same in all AWS accounts, on nodes from Kubernetes 1.30 on
// (github.com/kubernetes/cloud-provider-aws, pull request 855).
const LabelZoneID = "topology.k8s.aws/zone-id"

// LabelEBSZone is the zone as the EBS CSI driver names it.
const LabelEBSZone = "topology.ebs.csi.aws.com/zone"

// NameLabels are the node labels that hold the zone's name.
var NameLabels = []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone, LabelEBSZone}

// Need is the one zone that a pod has to run in.
type Need struct {
	Zone string // its name, or its identifier where the name is not known
	Said string // by what, such as `nodeSelector` or `volume "data" of claim "data-0"`

	OfVolume bool // a volume has to, or its storage class
}

// Constraint is a condition on the labels of a pod's node. It holds if one of the terms does.
type Constraint struct {
	Said  string
	Terms []corev1.NodeSelectorTerm
}

// Of returns the one zone in which all node constraints of the pod and its volumes can hold. It returns false if several zones
// are left, none, or if nothing names a zone. NotIn does not count, for its effect depends on which zones exist. nameOf returns
// the name of the zone with an ID, or "".
func Of(pod *corev1.Pod, volumes []Constraint, nameOf func(id string) string) (Need, bool) {
	var left []string
	constrained, said, ofVolume := false, "", false
	own := ofPod(pod)
	for at, c := range append(own, volumes...) {
		zones, ok := c.zones(nameOf)
		if !ok {
			continue
		}
		if before := len(left); constrained {
			left = intersection(left, zones)
			if before == 1 || len(left) != 1 {
				continue
			}
		} else {
			left, constrained = zones, true
		}
		said, ofVolume = c.Said, at >= len(own)
	}
	if len(left) != 1 {
		return Need{}, false
	}
	return Need{Zone: left[0], Said: said, OfVolume: ofVolume}, true
}

func ofPod(pod *corev1.Pod) []Constraint {
	var constraints []Constraint
	for _, key := range append([]string{LabelZoneID}, NameLabels...) {
		if value, ok := pod.Spec.NodeSelector[key]; ok {
			constraints = append(constraints, Constraint{Said: fmt.Sprintf("nodeSelector %s", key), Terms: in(key, value)})
		}
	}
	if required := Required(pod); required != nil {
		constraints = append(constraints, Constraint{Said: "required node affinity", Terms: required.NodeSelectorTerms})
	}
	return constraints
}

func Required(pod *corev1.Pod) *corev1.NodeSelector {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

func in(key string, values ...string) []corev1.NodeSelectorTerm {
	return []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
		{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}}}}
}

// zones returns false if one of the alternative terms names no zone.
func (c Constraint) zones(nameOf func(string) string) ([]string, bool) {
	var all []string
	for _, term := range c.Terms {
		if len(term.MatchExpressions) == 0 && len(term.MatchFields) == 0 {
			continue // matches nothing, by Kubernetes' rules
		}
		zones, ok := ofTerm(term, nameOf)
		if !ok {
			return nil, false
		}
		all = append(all, zones...)
	}
	slices.Sort(all)
	return slices.Compact(all), true
}

// ofTerm returns the zones in which all of the term's expressions can hold, and false if none names a zone.
func ofTerm(term corev1.NodeSelectorTerm, nameOf func(string) string) (zones []string, constrained bool) {
	for _, e := range term.MatchExpressions {
		if e.Operator != corev1.NodeSelectorOpIn || e.Key != LabelZoneID && !slices.Contains(NameLabels, e.Key) {
			continue
		}
		values := slices.Clone(e.Values)
		if e.Key == LabelZoneID {
			for i, id := range values {
				values[i] = cmp.Or(nameOf(id), id)
			}
		}
		if constrained {
			values = intersection(zones, values)
		}
		zones, constrained = values, true
	}
	return zones, constrained
}

func intersection(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(zone string) bool { return !slices.Contains(b, zone) })
}
