package bound

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// OfMix is the problem that a mix poses. Pods that must not share a node, or take the same port of it, ask for a resource of which
// every node has one. Claims and volumes count as resources. It ignores topology spread, so the bound is low for mixes with it.
func OfMix(m *mix.Mix) Problem {
	names := []corev1.ResourceName{corev1.ResourcePods}
	kinds := map[string]*kindOfPods{}
	for _, pod := range m.Pods {
		requests := requestsOf(pod)
		key := fmt.Sprint(pod.Spec.NodeSelector, pod.Spec.Tolerations)
		for _, name := range slices.Sorted(maps.Keys(requests)) {
			key += fmt.Sprintf(" %s=%v", name, number(requests[name], name))
		}
		if kinds[key] == nil {
			kinds[key] = &kindOfPods{pod: pod, requests: requests}
		}
		kinds[key].count++
		for name := range requests {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, cmp.Compare)
	var p Problem
	for _, g := range m.Groups {
		p.Groups = append(p.Groups, Group{PerHour: g.PerHour, Max: g.Max, Offers: offers(m, &g, names)})
	}
	for _, key := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[key]
		kind := Kind{Count: k.count}
		for _, name := range names {
			kind.Requests = append(kind.Requests, number(k.requests[name], name))
		}
		for _, g := range m.Groups {
			kind.Fits = append(kind.Fits, mix.Suits(k.pod, g.Node))
		}
		p.Kinds = append(p.Kinds, kind)
	}
	return p.placeable()
}

type kindOfPods struct {
	pod      *corev1.Pod
	requests corev1.ResourceList
	count    int
}

// exclusivePrefix begins the names of the resources of which a node has one and one pod takes all.
const exclusivePrefix = "exclusive/"

func requestsOf(pod *corev1.Pod) corev1.ResourceList {
	list := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}
	for name, q := range mix.Requests(pod) {
		if q.Sign() > 0 {
			list[name] = q
		}
	}
	for _, name := range mix.Exclusive(pod) {
		list[corev1.ResourceName(exclusivePrefix+name)] = resource.MustParse("1")
	}
	return list
}

// offers is the part of a node's allocatable that is left for the pods of the mix: the core puts kube-proxy on every template.
func offers(m *mix.Mix, group *mix.Group, names []corev1.ResourceName) []float64 {
	list := make([]float64, len(names))
	offered := group.Offers()
	for i, name := range names {
		list[i] = number(offered[name], name)
		if strings.HasPrefix(string(name), exclusivePrefix) {
			list[i] = 1
		}
		switch name {
		case corev1.ResourceCPU:
			list[i] -= cloudprovider.KubeProxyCpuRequestMillis
		case corev1.ResourcePods:
			list[i]--
		}
		for _, daemon := range mix.Tolerated(m.DaemonSets, group.Node) {
			list[i] -= number(requestsOf(daemon)[name], name)
		}
		list[i] = max(0, list[i])
	}
	return list
}

func number(q resource.Quantity, name corev1.ResourceName) float64 {
	if name == corev1.ResourceCPU {
		return float64(q.MilliValue())
	}
	return float64(q.Value())
}

// placeable is the problem without the pods that fit no group.
func (p Problem) placeable() Problem {
	some := Problem{Groups: p.Groups}
	for kind := range p.Kinds {
		for g := range p.Groups {
			if p.fits(kind, g) {
				some.Kinds = append(some.Kinds, p.Kinds[kind])
				break
			}
		}
	}
	return some
}
