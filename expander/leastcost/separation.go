package leastcost

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kube-scheduler/framework"
	schedutil "k8s.io/kubernetes/pkg/scheduler/util"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// rule names the pods that matter to a pod: those of a term of its anti-affinity or affinity, or those that take the same port of the host.
type rule struct {
	key        string          // equal for equal rules
	port       string          // that the others take, too, "" for a term
	namespaces []string        // of the others, nil for all
	selector   labels.Selector // of the others
}

// maxRules bounds the work for pods that each have a different rule. Pods whose rules come later may be planned on one node
// that they cannot share. Then the core finds the others pending.
const maxRules = 128

// separation holds the rules that a pod has, and the rules that concern it, by number. Pods may share a node unless a rule of one concerns the other.
type separation struct{ has, concernedBy bits }

func (a separation) from(b separation) bool {
	return a.has.meets(b.concernedBy) || b.has.meets(a.concernedBy)
}

// with returns the union of the rules. It may change a, which must not belong to a class.
func (a separation) with(b separation) separation {
	if a.has == nil {
		return separation{slices.Clone(b.has), slices.Clone(b.concernedBy)}
	}
	a.has.add(b.has)
	a.concernedBy.add(b.concernedBy)
	return a
}

func separations(pods []*apiv1.Pod) []separation {
	list := make([]separation, len(pods))
	own := make([][]int, len(pods))
	index := make(map[string]int)
	var rules []rule
	for i, pod := range pods {
		for _, r := range keptOff(pod) {
			number, known := index[r.key]
			if !known && len(rules) == maxRules {
				continue
			} else if !known {
				number = len(rules)
				index[r.key], rules = number, append(rules, r)
			}
			own[i] = append(own[i], number)
		}
	}
	for i, pod := range pods {
		list[i] = separation{newBits(len(rules)), newBits(len(rules))}
		for _, number := range own[i] {
			list[i].has.set(number)
		}
		for number, r := range rules {
			if r.concerns(pod) {
				list[i].concernedBy.set(number)
			}
		}
	}
	return list
}

// keptOff returns the rules by which a pod keeps others off its node.
func keptOff(pod *apiv1.Pod) (list []rule) {
	for _, port := range hostPorts(pod) {
		list = append(list, rule{key: port, port: port})
	}
	return append(list, terms(pod)...)
}

func terms(pod *apiv1.Pod) []rule { return rulesOf(pod, avoided(pod)) }

// rulesOf returns the rules of terms of the pod's affinity or anti-affinity.
func rulesOf(pod *apiv1.Pod, terms []apiv1.PodAffinityTerm) (list []rule) {
	for _, term := range terms {
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		if err != nil {
			continue // the scheduler refuses such a pod
		}
		namespaces := term.Namespaces
		switch {
		case term.NamespaceSelector != nil: // no namespaces are at hand to select from
			namespaces = nil
		case len(namespaces) == 0:
			namespaces = []string{pod.Namespace}
		}
		list = append(list, rule{key: strings.Join(namespaces, ",") + " " + selector.String(), namespaces: namespaces, selector: selector})
	}
	return list
}

// concerns reports whether the pod is one of these others.
func (r rule) concerns(pod *apiv1.Pod) bool {
	if r.port != "" {
		return slices.Contains(hostPorts(pod), r.port)
	}
	return (r.namespaces == nil || slices.Contains(r.namespaces, pod.Namespace)) && r.selector.Matches(labels.Set(pod.Labels))
}

// keepingOff returns the terms by which pods keep others off a whole group, each once: those of the pending pods and of pods in the cluster
// that have one beyond the node among theirs, and those of the daemons, the pods that run on every node of a candidate. It returns these
// as well, one of those with the same labels.
func (p Preferences) keepingOff(pods []*apiv1.Pod, candidates []candidate) (rules []rule, daemons []*apiv1.Pod) {
	known := map[string]bool{}
	add := func(pod *apiv1.Pod) {
		for _, r := range terms(pod) {
			if !known[r.key] {
				known[r.key], rules = true, append(rules, r)
			}
		}
	}
	if p.Running != nil {
		running, _ := p.Running() // with an error, as if none ran
		pods = slices.Clone(pods)
		for _, info := range running {
			for _, pod := range info.GetPodsWithRequiredAntiAffinity() {
				pods = append(pods, pod.GetPod())
			}
		}
	}
	for _, pod := range pods {
		if slices.ContainsFunc(avoided(pod), wide) {
			add(pod)
		}
	}
	for _, c := range candidates {
		for _, daemon := range c.info.Pods() {
			if key := "daemon " + daemon.Pod.Namespace + " " + labels.Set(daemon.Pod.Labels).String(); !known[key] {
				known[key], daemons = true, append(daemons, daemon.Pod)
				add(daemon.Pod)
			}
		}
	}
	return rules, daemons
}

func wide(t apiv1.PodAffinityTerm) bool { return t.TopologyKey != apiv1.LabelHostname }

// dependsOnOthers reports whether a pod must be near pods, or away from pods beyond its node. Spread is not meant.
func dependsOnOthers(pod *apiv1.Pod) bool {
	return slices.ContainsFunc(avoided(pod), wide) || len(sought(pod)) > 0
}

// NearEachOther returns the pods that must be near another one of the list. It leaves out the other one, unless that must be near, too. With
// beyondNode a term that asks for the same node does not count. With more rules than it looks at, it takes pods for near.
func NearEachOther(pods []*apiv1.Pod, beyondNode bool) map[*apiv1.Pod]bool {
	near := make(map[*apiv1.Pod]bool)
	known := make(map[string]bool) // by rule and whether it concerns the pod itself: whether it concerns another one
	for _, pod := range pods {
		counted := slices.DeleteFunc(slices.Clone(sought(pod)), func(t apiv1.PodAffinityTerm) bool {
			return beyondNode && (!wide(t) || t.TopologyKey == apiv1.LabelTopologyRegion)
		})
		if slices.ContainsFunc(rulesOf(pod, counted), func(r rule) bool {
			key := fmt.Sprint(r.concerns(pod), r.key)
			others, seen := known[key]
			if !seen {
				others = len(known) >= maxRules || slices.ContainsFunc(pods, func(other *apiv1.Pod) bool { return other != pod && r.concerns(other) })
				known[key] = others
			}
			return others
		}) {
			near[pod] = true
		}
	}
	return near
}

func hard(c apiv1.TopologySpreadConstraint) bool { return c.WhenUnsatisfiable != apiv1.ScheduleAnyway }

// skewOverNodes is how many more pods of a workload one node may hold than another, 0 where that does not matter.
func skewOverNodes(pod *apiv1.Pod) int {
	skew := 0
	for _, c := range pod.Spec.TopologySpreadConstraints {
		if hard(c) && c.TopologyKey == apiv1.LabelHostname && (skew == 0 || int(c.MaxSkew) < skew) {
			skew = int(c.MaxSkew)
		}
	}
	return skew
}

// workloadOf names the set of pods that a pod belongs to, by its owner, or by its labels if nobody owns it.
func workloadOf(pod *apiv1.Pod) string {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		return string(owner.UID)
	}
	return pod.Namespace + " " + labels.Set(pod.Labels).String()
}

func avoided(pod *apiv1.Pod) []apiv1.PodAffinityTerm {
	return framework.GetPodAntiAffinityTerms(pod.Spec.Affinity)
}

func sought(pod *apiv1.Pod) []apiv1.PodAffinityTerm {
	return framework.GetPodAffinityTerms(pod.Spec.Affinity)
}

// hostPorts returns the host ports of a pod and its sidecars, such as "TCP/8080", whatever the address.
func hostPorts(pod *apiv1.Pod) (ports []string) {
	for _, p := range schedutil.GetHostPorts(pod) {
		ports = append(ports, fmt.Sprintf("%s/%d", cmp.Or(p.Protocol, apiv1.ProtocolTCP), p.HostPort))
	}
	return ports
}

// needs returns a pod's demands on a node beside resources, never "", and whether another pod with the same needs can stand for
// it. It cannot where other nodes matter, nor where a volume claim may tie it to its own zone.
func needs(pod *apiv1.Pod) (string, bool) {
	spec := &pod.Spec
	if slices.ContainsFunc(spec.TopologySpreadConstraints, hard) || dependsOnOthers(pod) || slices.ContainsFunc(spec.Volumes, nodemeta.HasClaim) {
		return "", false
	}
	var affinity *apiv1.NodeAffinity
	if spec.Affinity != nil {
		affinity = spec.Affinity.NodeAffinity
	}
	text, err := json.Marshal([]any{spec.SchedulerName, spec.NodeSelector, affinity, spec.Tolerations, spec.ResourceClaims})
	return string(text), err == nil
}
