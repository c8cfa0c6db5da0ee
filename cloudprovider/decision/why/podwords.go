package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// say is a clause about the requirement at an index, which all groups of the list fail.
func (s *search) say(list []candidate, at int) string {
	r, groups := list[0].failing[at], Named("group", names(list))
	everywhere := !slices.ContainsFunc(s.all, func(c candidate) bool {
		return c.weight < weightForeign && !slices.ContainsFunc(c.failing, func(f requirement) bool { return f.id == r.id })
	})
	switch {
	case r.said.Message != "":
		return s.said(r, groups, everywhere)
	case r.taint.Key != "":
		return fmt.Sprintf("the pod does not tolerate the taint %s of %s", clean(r.taint.ToString(), maxName), groups)
	case r.resource != "":
		return tooMuch(list, at, everywhere)
	case r.among != "":
		wants := "needs"
		if r.refused {
			wants = "refuses"
		}
		return fmt.Sprintf("the pod %s nodes with %s, and %s the choice among the instance types %s to AWS",
			wants, r.phrase, verb(groups, "leaves", "leave"), r.among)
	case r.code == decision.CodeZone:
		return s.zone(list[0], r, groups, everywhere)
	case r.refused:
		return fmt.Sprintf("the pod refuses nodes with %s, and the nodes of %s have it", r.phrase, groups)
	case everywhere:
		text := "no group has nodes with " + r.phrase
		if instead, _ := s.instead(r); instead != "" {
			text += ", groups have " + instead
		}
		return text
	}
	return fmt.Sprintf("the nodes of %s lack %s", groups, r.phrase)
}

// instead names the labels of the key that nodes of groups have in the place of the one that is asked for, and the likely misspelt one.
func (s *search) instead(r requirement) (all, meant string) {
	if r.value == "" {
		return "", ""
	}
	var values, labels []string
	for _, n := range s.nodes {
		if value, labelled := n.Labels[r.key]; labelled {
			values = append(values, value)
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	slices.SortStableFunc(values, func(a, b string) int { return slips(a, r.value) - slips(b, r.value) })
	for _, value := range values {
		labels = append(labels, clean(r.key, maxName)+"="+clean(value, maxName))
	}
	if len(labels) > 0 && slips(values[0], r.value) < manySlips {
		meant = labels[0]
	}
	if len(labels) > maxLabels {
		labels = append(labels[:maxLabels], "others")
	}
	return enumerate(labels), meant
}

// manySlips is a number of slips from which on two words are different ones.
const manySlips = 4

// slips returns the length of the part in which two words differ, manySlips at most.
func slips(a, b string) int {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return min(max(len(a), len(b)), manySlips)
}

// said is the scheduler's reason, with the objects of the pod that it is about.
func (s *search) said(r requirement, groups string, everywhere bool) string {
	text := r.said.Message
	if r.code == decision.CodeDegraded {
		return text
	}
	if objects := s.objects(r.said); len(objects) > 0 && !strings.Contains(text, "(") {
		text += ": " + enumerate(objects)
	}
	if !everywhere {
		text += " (" + groups + ")"
	}
	return text
}

// objects are the objects of the pod that a reason of the scheduler is about.
func (s *search) objects(said decision.Reason) []string {
	var objects []string
	switch said.Code {
	case decision.CodeVolume:
		for _, name := range s.claims() {
			objects = append(objects, "claim "+quote(name))
		}
	case decision.CodeResourceClaim:
		for _, c := range s.pod.Spec.ResourceClaims {
			objects = append(objects, quote(c.Name))
		}
	case decision.CodePodAffinity:
		objects = s.near(said.About)
	case decision.CodeTopologySpread:
		for _, c := range s.pod.Spec.TopologySpreadConstraints {
			if c.WhenUnsatisfiable == corev1.DoNotSchedule {
				objects = append(objects, fmt.Sprintf("%s with a skew of %d", clean(c.TopologyKey, maxName), c.MaxSkew))
				if severalDomains(c) {
					objects = append(objects, fmt.Sprintf("minDomains %d", *c.MinDomains))
				}
			}
		}
	case decision.CodePorts:
		for i := range s.pod.Spec.Containers {
			for _, p := range s.pod.Spec.Containers[i].Ports {
				if p.HostPort > 0 {
					objects = append(objects, fmt.Sprint(p.HostPort))
				}
			}
		}
	}
	return objects[:min(len(objects), maxNamed)]
}

// near are the pods and places that the required pod affinity, or anti-affinity, names.
func (s *search) near(about string) (objects []string) {
	var terms []corev1.PodAffinityTerm
	switch a := cmp.Or(s.pod.Spec.Affinity, &corev1.Affinity{}); {
	case about == ownAffinity && a.PodAffinity != nil:
		terms = a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	case about == ownAntiAffinity && a.PodAntiAffinity != nil:
		terms = a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	for _, term := range terms {
		objects = append(objects, fmt.Sprintf("pods with %s in the same %s", clean(metav1.FormatLabelSelector(term.LabelSelector), maxName), clean(term.TopologyKey, maxName)))
	}
	return objects
}

func (s *search) claims() (names []string) {
	for _, v := range s.pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

// tooMuch says that the pod asks for more of a resource than a node has.
func tooMuch(list []candidate, at int, everywhere bool) string {
	largest := largestOf(list, at).failing[at]
	r, groups := list[0].failing[at], Named("group", names(list))
	switch {
	case r.resource == corev1.ResourcePods:
		return fmt.Sprintf("the DaemonSets of %s leave no room for another pod on a node", groups)
	case largest.has.IsZero() && everywhere:
		return fmt.Sprintf("the pod asks for %s, and no group has nodes with any", amount(r.resource, r.asks))
	case largest.has.IsZero():
		return fmt.Sprintf("the pod asks for %s, and the nodes of %s have none", amount(r.resource, r.asks), groups)
	}
	text := fmt.Sprintf("the pod asks for %s, the largest node of %s has ", amount(r.resource, r.asks), groups)
	if r.asks.Cmp(largest.has) <= 0 {
		return text + fmt.Sprintf("%s, of which DaemonSets take %s", figure(r.resource, largest.has), figure(r.resource, largest.daemon))
	}
	return text + figure(r.resource, largest.left())
}

// orAtMost offers the amounts of all resources of which the pod asks for too much, on the node that has the most of the first. It is empty if
// DaemonSets leave nothing there.
func orAtMost(list []candidate) string {
	var amounts []string
	for _, r := range largestOf(list, 0).failing {
		if r.resource == "" {
			continue
		}
		left := r.left()
		if left.Sign() <= 0 {
			return ""
		}
		amounts = append(amounts, amount(r.resource, left))
	}
	return ", or let the pod ask for at most " + enumerate(amounts)
}

// left is the part of a node that is free for the pod.
func (r *requirement) left() resource.Quantity {
	left := r.has.DeepCopy()
	left.Sub(r.daemon)
	return left
}

// largestOf is the group whose node has the most left for the pod of the resource at the index.
func largestOf(list []candidate, at int) candidate {
	return slices.MaxFunc(list, func(a, b candidate) int {
		left := a.failing[at].left()
		return left.Cmp(b.failing[at].left())
	})
}

// zone says that the pod needs a zone that the groups do not have, or do not promise.
func (s *search) zone(c candidate, r requirement, groups string, everywhere bool) string {
	needed, said := clean(r.value, maxName), ""
	if s.need.Zone != "" {
		needed, said = clean(s.need.Zone, maxName), " ("+clean(s.need.Said, maxName)+")"
	}
	switch {
	case r.weight != weightPromise && needed == "":
		return fmt.Sprintf("the nodes of %s do not match the zones of the pod", groups)
	case r.weight != weightPromise && everywhere:
		return fmt.Sprintf("the pod needs zone %s%s, and no group has it", needed, said)
	case r.weight != weightPromise:
		return fmt.Sprintf("the pod needs zone %s%s, and %s not in it", needed, said, verb(groups, "is", "are"))
	}
	zone := "one zone"
	if needed != "" {
		zone = "zone " + needed + said
	}
	among := "several zones"
	if len(c.group.Zones) > 0 {
		among = "the zones " + clean(enumerate(c.group.Zones), maxText)
	}
	return fmt.Sprintf("the pod needs %s, and %s the choice among %s to AWS", zone, verb(groups, "leaves", "leave"), among)
}

func verb(subject, one, many string) string {
	if strings.HasPrefix(subject, "group ") || strings.HasPrefix(subject, "1 ") {
		return subject + " " + one
	}
	return subject + " " + many
}

// remedy is the next step about the first requirement that all groups of the list fail. It changes a group that may grow, if there is one.
func (s *search) remedy(list []candidate) string {
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.Verdict, b.Verdict) }) // rejected, skipped
	r, g := list[0].failing[0], list[0].group
	group := autoScaling(g)
	switch {
	case r.said.Remedy != "":
		return r.said.Remedy
	case r.said.Message != "":
		return s.look(r.said)
	case r.taint.Key != "":
		return fmt.Sprintf("add to the pod's tolerations: {key: %q, operator: Equal, value: %q, effect: %s}",
			clean(r.taint.Key, maxName), clean(r.taint.Value, maxName), r.taint.Effect)
	case r.resource != "" && r.weight == weightKind && r.code != decision.CodeAccelerator:
		return r.state(group)
	case r.resource != "" && r.weight == weightKind:
		return "make an Auto Scaling group of an instance type with " + kindOf(r.resource)
	case r.resource != "":
		return "make an Auto Scaling group of larger instances" + orAtMost(list)
	case r.weight == weightPromise && r.among == "" && g.Undivided != "":
		return g.Undivided
	case r.weight == weightPromise && r.among == "":
		return fmt.Sprintf("%s && aws autoscaling suspend-processes --auto-scaling-group-name %s --scaling-processes AZRebalance",
			tagCommand(group, "asg-autoscaler.github.io/zonal", "true"), shell(group))
	case r.code == decision.CodeZone:
		return addSubnet("a subnet of that zone", g)
	case r.key == corev1.LabelHostname && !r.refused:
		return "the pod's volume, node selector or affinity names that node: make room on it if it is there, or change the pod"
	case r.refused || r.value == "":
		return "change the pod's node selector or affinity"
	case r.among != "" || ofInstance(r.key):
		return "make an Auto Scaling group of such instances, or change the pod's node selector"
	}
	instead, meant := s.instead(r)
	for _, c := range list {
		// A ready node would show that it lacks the label.
		if c.group.Ready == 0 && instead == "" && (c.Verdict == decision.Rejected || c.group.State != decision.GroupDegraded) {
			return r.state(autoScaling(c.group))
		}
	}
	if meant != "" {
		meant = " to " + meant
	}
	return fmt.Sprintf("correct the pod's node selector%s, or make an Auto Scaling group whose nodes have %s", meant, r.phrase)
}

// ofInstance reports whether the label comes from the instance, so that no tag of a group can change it.
func ofInstance(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.Contains([]string{corev1.LabelArchStable, corev1.LabelOSStable, "beta.kubernetes.io/arch", "beta.kubernetes.io/os"}, key) ||
		strings.HasSuffix(domain, "node.kubernetes.io") || strings.HasSuffix(domain, "topology.kubernetes.io") || domain == "topology.k8s.aws" ||
		strings.HasSuffix(domain, "failure-domain.beta.kubernetes.io")
}

func severalDomains(c corev1.TopologySpreadConstraint) bool { return ptr.Deref(c.MinDomains, 1) > 1 }

// look is the next step about a reason of the scheduler, such as the command that shows the objects.
func (s *search) look(said decision.Reason) string {
	namespace := shell(s.pod.Namespace)
	switch {
	case said.About == theirAntiAffinity:
		return "loosen the anti-affinity of the running pods, or prefer it instead of requiring it"
	case said.About == noSpreadLabel:
		return "give the nodes of a group that label, and state it by its tag k8s.io/cluster-autoscaler/node-template/label/LABEL, " +
			"or set whenUnsatisfiable: ScheduleAnyway"
	case said.About == noStorage:
		return "make room, or set spec.storageCapacity of the CSIDriver to false if each node has storage of its own: " +
			"kubectl get csistoragecapacities --all-namespaces"
	case said.Code == decision.CodePorts:
		return "let the pod use another host port, or none"
	case said.Code == decision.CodeVolume:
		if claims := s.claims(); len(claims) > 0 {
			return fmt.Sprintf("kubectl -n %s describe pvc %s", namespace, shell(claims[0]))
		}
	case said.Code == decision.CodeResourceClaim:
		return fmt.Sprintf("kubectl -n %s describe resourceclaims", namespace)
	case said.Code == decision.CodePodAffinity:
		return "loosen the pod's affinity, or prefer it instead of requiring it"
	case said.Code == decision.CodeTopologySpread && slices.ContainsFunc(s.pod.Spec.TopologySpreadConstraints, severalDomains):
		return "lower minDomains, or raise maxSkew"
	case said.Code == decision.CodeTopologySpread:
		return "raise maxSkew, or set whenUnsatisfiable: ScheduleAnyway"
	}
	return ""
}
