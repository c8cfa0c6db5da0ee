package leastcost

import (
	"cmp"
	"maps"
	"math"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
)

// demand holds the pods of all options, whatever the nodes cost. The core lists pods in an order that differs from call to
// call. Here they are sorted by namespace and name.
type demand struct {
	pods       []*apiv1.Pod
	index      map[*apiv1.Pod]int // in pods
	able       []bits             // by pod: which candidates list it, or one that can stand for it
	requests   []amounts          // by pod
	dimensions *dimensions

	off     []rule // see keepingOff
	daemons []*apiv1.Pod

	classes []class   // without fits
	ables   []bits    // by class
	offered []amounts // by candidate

	preferences Preferences
	narrow      bool // problems leave out what pods prefer less
}

// newDemand collects the pods of the candidates. devices may be nil.
func newDemand(candidates []candidate, devices *drasnapshot.Snapshot) *demand {
	d := &demand{index: make(map[*apiv1.Pod]int)}
	var able []bits
	next := []int{0} // by pod, from 1: the pod after it in the last list that had it, because most lists have long parts in common
	for c := range candidates {
		last := 0
		for _, pod := range candidates[c].option.Pods {
			i := next[last]
			if i == 0 || d.pods[i-1] != pod {
				at, known := d.index[pod]
				if !known {
					at = len(d.pods)
					d.index[pod] = at
					d.pods, able, next = append(d.pods, pod), append(able, newBits(len(candidates))), append(next, 0)
				}
				i = at + 1
				next[last] = i
			}
			able[i-1].set(c)
			last = i
		}
	}
	slices.SortFunc(d.pods, func(a, b *apiv1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	lists := make([]apiv1.ResourceList, len(d.pods))
	for i, pod := range d.pods {
		d.able = append(d.able, able[d.index[pod]])
		d.index[pod] = i
		lists[i] = requestsOf(pod, devices)
	}
	d.dimensions = newDimensions(lists)
	for _, list := range lists {
		d.requests = append(d.requests, d.dimensions.of(list))
	}
	return d
}

// classify joins equal pods, and finds the nodes' resources. A limit may cut an option's list of pods short. So a pod outside
// the list counts as fit if the list has one with the same needs. It does not count where pods on other nodes matter, for then
// the list may be complete.
func (d *demand) classify(candidates []candidate) {
	limits := d.limits(candidates)
	d.shareAbility()
	for c := range candidates {
		d.offered = append(d.offered, d.dimensions.offeredBy(candidates[c].info))
	}
	d.checkPromises(candidates)
	for i, pod := range d.pods {
		if prefers(pod) { // no candidate that lacks what it asks for
			fit := newBits(len(candidates))
			d.able[i].each(func(c int) {
				if d.requests[i].within(d.offered[c]) {
					fit.set(c)
				}
			})
			d.able[i] = fit
		}
	}
	scores := d.preferences.scores(d.pods, candidates, d.able)
	index, separation := make(map[string]int), separations(d.pods)
	for i, pod := range d.pods {
		key := keyOf(d.requests[i]) + keyOf(d.able[i]) + keyOf(separation[i].has) + keyOf(separation[i].concernedBy) +
			limits[i].workload + keyOf(scores[i])
		at, known := index[key]
		if !known {
			at = len(d.classes)
			index[key] = at
			d.classes = append(d.classes, class{request: d.requests[i], limit: limits[i], separation: separation[i], scores: scores[i]})
			d.ables = append(d.ables, d.able[i])
		}
		d.classes[at].pods = append(d.classes[at].pods, pod)
	}
}

// shareAbility makes pods with the same needs beside resources fit wherever one of them fits. problem checks the resources. Only a pod of
// the same workload stands for one that takes host ports, claims devices, keeps off daemons or is kept off by pods: these may be on every
// node of a group, or in its zone.
func (d *demand) shareAbility() {
	shared := make(map[string]bits)
	keys := make([]string, len(d.pods))
	for i, pod := range d.pods {
		key, alike := needs(pod)
		if !alike {
			continue
		}
		if len(hostPorts(pod)) > 0 || len(pod.Spec.ResourceClaims) > 0 ||
			slices.ContainsFunc(d.off, func(r rule) bool { return r.concerns(pod) }) ||
			slices.ContainsFunc(terms(pod), func(r rule) bool { return slices.ContainsFunc(d.daemons, r.concerns) }) {
			key += workloadOf(pod) + " " + keyOf(d.requests[i])
		}
		keys[i] = key
		if all, known := shared[key]; known {
			all.add(d.able[i])
		} else {
			shared[key] = slices.Clone(d.able[i])
		}
	}
	for i := range d.pods {
		if all, known := shared[keys[i]]; known {
			d.able[i] = all
		}
	}
}

// nodeLimit is how many pods of a workload, or of those with a rule for each other, one node may hold together.
type nodeLimit struct {
	most     int    // 0 for as many as the shape's nodes hold in the core's packing
	workload string // or rule, "near" for pods near others, each class for itself, "" for no limit
}

// limits returns the limit of each pod. Pods that must be spread over nodes share one no more often than their skew allows, or
// than they did in each packing of the core, where fewer nodes were enough. Where a pod may run depends on other nodes in other
// ways, too. Then the mean in the core's packing on such nodes counts, whosoever the pods are.
func (d *demand) limits(candidates []candidate) []nodeLimit {
	list, listed := make([]nodeLimit, len(d.pods)), make(map[string][]int) // pods of each workload spread over nodes, by candidate
	for i, pod := range d.pods {
		skew, off := skewOverNodes(pod), keptOff(pod)
		own := slices.IndexFunc(off, func(r rule) bool { return r.concerns(pod) }) // others like it, too
		switch {
		case own >= 0:
			list[i] = nodeLimit{1, "off " + off[own].key}
		case skew > 0:
			list[i] = nodeLimit{skew, workloadOf(pod)}
			if listed[list[i].workload] == nil {
				listed[list[i].workload] = make([]int, len(candidates))
			}
			d.able[i].each(func(c int) { listed[list[i].workload][c]++ })
		case dependsOnOthers(pod):
			list[i] = nodeLimit{0, "near"}
		}
	}
	for i := range list {
		if counts := listed[list[i].workload]; counts != nil {
			least := math.MaxInt32
			for c, count := range counts {
				if count > 0 {
					least = min(least, mean(count, candidates[c]))
				}
			}
			list[i].most = max(list[i].most, least)
		}
	}
	return list
}

// mean is how many pods, or what they ask for, a node of the option holds, rounded up.
func mean(pods int, c candidate) int { return (pods + c.option.NodeCount - 1) / c.option.NodeCount }

func (d *demand) problem(candidates []candidate) *problem {
	p := &problem{classes: slices.Clone(d.classes)}
	for i := range p.classes {
		p.classes[i].scores = d.narrowed(i, candidates)
	}
	p.addShapes(candidates, d)
	for i := range p.classes {
		class := &p.classes[i]
		class.fits, class.wide = newBits(len(p.shapes)), newBits(len(p.shapes))
		for s, shape := range p.shapes {
			if d.ables[i].has(shape.groups[0]) && class.request.within(shape.offered) {
				class.wide.set(s)
				if class.scores == nil {
					class.fits.set(s)
				}
			}
		}
	}
	p.widen(p.counts())
	return p
}

// Dimensions whose limits only the core knows for sure. No resource has such a name.
const (
	claims  apiv1.ResourceName = "claims"  // devices of dynamic resource allocation
	volumes apiv1.ResourceName = "volumes" // that may have to be attached
)

// requestsOf returns a pod's requests, in those dimensions, too. devices may be nil.
func requestsOf(pod *apiv1.Pod, devices *drasnapshot.Snapshot) apiv1.ResourceList {
	list := podutils.PodRequests(pod)
	if len(pod.Spec.Volumes) == 0 && len(pod.Spec.ResourceClaims) == 0 {
		return list
	}
	list = maps.Clone(list)
	for name, count := range map[apiv1.ResourceName]int64{claims: claimed(pod, devices), volumes: attached(pod)} {
		if count > 0 {
			list[name] = *resource.NewQuantity(count, resource.DecimalSI)
		}
	}
	return list
}

// dimensions are the resources that the pods ask for, with pods first, and the dimensions that only the core knows last.
type dimensions struct {
	names []apiv1.ResourceName
	known int // how many are not the core's alone
}

func newDimensions(requests []apiv1.ResourceList) *dimensions {
	asked := make(map[apiv1.ResourceName]bool)
	for _, list := range requests {
		for name, q := range list {
			if q.Sign() > 0 {
				asked[name] = true
			}
		}
	}
	d := &dimensions{names: []apiv1.ResourceName{apiv1.ResourcePods}}
	hidden := []apiv1.ResourceName{claims, volumes}
	for name := range asked {
		if !slices.Contains(hidden, name) {
			d.names = append(d.names, name)
		}
	}
	slices.SortFunc(d.names[1:], cmp.Compare)
	d.known = len(d.names)
	for _, name := range hidden {
		if asked[name] {
			d.names = append(d.names, name)
		}
	}
	return d
}

// of converts a pod's requests into amounts. The pod itself counts as one.
func (d *dimensions) of(list apiv1.ResourceList) amounts {
	a := make(amounts, len(d.names))
	for i, name := range d.names {
		a[i] = quantity(list, name)
	}
	a[0] = 1
	return a
}

// quantity is the amount of a resource, rounded up as the scheduler does it.
func quantity(list apiv1.ResourceList, name apiv1.ResourceName) int64 {
	q := list[name]
	if name == apiv1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

// offeredBy returns allocatable less the pods that run on every node of the group, and for what only the core knows for sure the promise.
func (d *dimensions) offeredBy(info *framework.NodeInfo) amounts {
	a := make(amounts, len(d.names))
	for i, name := range d.names {
		a[i] = quantity(info.Node().Status.Allocatable, name)
	}
	for _, daemon := range info.Pods() {
		a.add(d.of(podutils.PodRequests(daemon.Pod)), -1)
	}
	for i := range a {
		if a[i] = max(0, a[i]); i >= d.known {
			a[i] = promised(info, d.names[i])
		}
	}
	return a
}
