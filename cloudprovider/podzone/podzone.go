package podzone

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// LabelZoneID is the zone's identifier, the same in all AWS accounts, on nodes from Kubernetes 1.30 on
// (github.com/kubernetes/cloud-provider-aws, pull request 855).
const LabelZoneID = "topology.k8s.aws/zone-id"

// LabelEBSZone is the zone as the EBS CSI driver names it.
const LabelEBSZone = "topology.ebs.csi.aws.com/zone"

// NameLabels are the node labels that hold the zone's name.
var NameLabels = []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone, LabelEBSZone}

// Labels are all node labels that hold the zone.
var Labels = append([]string{LabelZoneID}, NameLabels...)

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

// Of returns the one zone in which all node constraints of the pod and its volumes can hold, and the first constraint that leaves no other. It
// returns false if several zones are left, none, or a zone that nothing names. NotIn names none, for its effect depends on which zones exist.
// nameOf returns the name of the zone with an ID, or "".
func Of(pod *corev1.Pod, volumes []Constraint, nameOf func(id string) string) (Need, bool) {
	const unnamed = "" // stands for the zones that nothing names
	own := ofPod(pod)
	all := append(own, volumes...)
	left := []string{unnamed}
	for _, c := range all {
		left = append(left, c.zones(nameOf)...)
	}
	slices.Sort(left)
	left = slices.Compact(left)
	var need Need
	for at, c := range all {
		before := len(left)
		left = slices.DeleteFunc(left, func(zone string) bool { return c.refuses(zone, nameOf) })
		if before > 1 && len(left) == 1 {
			need = Need{Zone: left[0], Said: c.Said, OfVolume: at >= len(own)}
		}
	}
	if len(left) != 1 || left[0] == unnamed {
		return Need{}, false
	}
	return need, true
}

// Refused returns whether a node constraint of the pod or its volumes keeps the pod out of a zone.
func Refused(pod *corev1.Pod, volumes []Constraint, nameOf func(id string) string) func(zone string) bool {
	all := append(ofPod(pod), volumes...)
	return func(zone string) bool {
		return slices.ContainsFunc(all, func(c Constraint) bool { return c.refuses(zone, nameOf) })
	}
}

// Refuses reports whether a node constraint of the pod keeps it off the nodes of which labelOf knows labels. asked are the constraint's values.
func Refuses(pod *corev1.Pod, labelOf func(key string, asked ...string) (value string, known bool)) bool {
	for key, want := range pod.Spec.NodeSelector {
		if value, known := labelOf(key, want); known && value != want {
			return true
		}
	}
	required := Required(pod)
	return required != nil && !slices.ContainsFunc(required.NodeSelectorTerms, func(term corev1.NodeSelectorTerm) bool {
		return mayHold(term, func(e corev1.NodeSelectorRequirement) (bool, bool) {
			value, known := labelOf(e.Key, e.Values...)
			return slices.Contains(e.Values, value), known
		})
	})
}

// DependsOnPods reports whether it may depend on other pods in which zones the pod can run.
func DependsOnPods(pod *corev1.Pod) bool {
	zonal := func(key string) bool { return slices.Contains(Labels, key) }
	a := ptr.Deref(pod.Spec.Affinity, corev1.Affinity{})
	terms := slices.Concat(ptr.Deref(a.PodAffinity, corev1.PodAffinity{}).RequiredDuringSchedulingIgnoredDuringExecution,
		ptr.Deref(a.PodAntiAffinity, corev1.PodAntiAffinity{}).RequiredDuringSchedulingIgnoredDuringExecution)
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return zonal(t.TopologyKey) }) ||
		slices.ContainsFunc(pod.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
			return c.WhenUnsatisfiable == corev1.DoNotSchedule && zonal(c.TopologyKey)
		})
}

func ofPod(pod *corev1.Pod) []Constraint {
	var constraints []Constraint
	for _, key := range Labels {
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

// zones returns the zones that the constraint names, some of them several times.
func (c Constraint) zones(nameOf func(string) string) (all []string) {
	for _, term := range c.Terms {
		for _, e := range term.MatchExpressions {
			if zones, about := named(e, nameOf); about && e.Operator == corev1.NodeSelectorOpIn {
				all = append(all, zones...)
			}
		}
	}
	return all
}

func (c Constraint) refuses(zone string, nameOf func(string) string) bool {
	return !slices.ContainsFunc(c.Terms, func(term corev1.NodeSelectorTerm) bool {
		return mayHold(term, func(e corev1.NodeSelectorRequirement) (bool, bool) {
			zones, about := named(e, nameOf)
			return slices.Contains(zones, zone), about
		})
	})
}

// mayHold reports whether the term may hold, where names says whether an expression is about something known, and whether it names that.
// Expressions about anything else may hold.
func mayHold(term corev1.NodeSelectorTerm, names func(corev1.NodeSelectorRequirement) (in, about bool)) bool {
	for _, e := range term.MatchExpressions {
		in, about := names(e)
		if about && (e.Operator == corev1.NodeSelectorOpIn && !in || e.Operator == corev1.NodeSelectorOpNotIn && in) {
			return false
		}
	}
	return len(term.MatchExpressions)+len(term.MatchFields) > 0
}

// named returns the zones of an expression, and whether it is about the zone at all.
func named(e corev1.NodeSelectorRequirement, nameOf func(string) string) (zones []string, about bool) {
	if e.Key != LabelZoneID {
		return e.Values, slices.Contains(NameLabels, e.Key)
	}
	for _, id := range e.Values {
		zones = append(zones, cmp.Or(nameOf(id), id))
	}
	return zones, true
}
