package leastcost

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
)

// amounts are what a pod asks for or a node offers, by dimension of the problem. CPU counts in millicores, the rest in
// units; one dimension counts pods.
type amounts []int64

// class is pods that are alike to the plan: they ask for the same, and the same shapes can take them.
type class struct {
	request amounts
	count   int          // of pods
	pods    []*apiv1.Pod // by namespace and name
	fits    []bool       // by shape
	perNode int          // how many of them one node may hold, whatever it offers
	apart   apart        // from pods of which classes
}

// shape is groups whose nodes are alike to the plan: they offer the same, cost the same and can take the same pods.
type shape struct {
	offered amounts
	cost    float64 // of one node per hour, penalty included; above 0
	limit   int     // nodes that all its groups can add
	groups  []int   // candidates, by index, in the order of their names
}

// problem is what is to be packed, and what on.
type problem struct {
	classes []class
	shapes  []shape
}

// newProblem collects pods and shapes from the candidates. A pod that an option does not list, because a limit cut it short,
// counts as fit for it where the option lists one with the same needs. Not so where it matters which pods other nodes have, for
// then those listed may be all that fit.
func newProblem(candidates []candidate) *problem {
	pods, able := podsOf(candidates)
	lists := make([]apiv1.ResourceList, len(pods))
	for i, pod := range pods {
		lists[i] = podutils.PodRequests(pod)
	}
	d := newDimensions(lists)
	requests := make([]amounts, len(pods))
	for i, list := range lists {
		requests[i] = d.of(list)
	}
	shareAbility(pods, requests, able)
	p := &problem{}
	p.addShapes(candidates, d, able)
	p.addClasses(pods, requests, able, candidates)
	return p
}

// podsOf lists the pods of all candidates, each once, by namespace and name, and by pod which candidates list it, as a set of
// bits. The core lists them in an order that differs from call to call.
func podsOf(candidates []candidate) ([]*apiv1.Pod, []bits) {
	able := make(map[*apiv1.Pod]bits)
	var pods []*apiv1.Pod
	for c := range candidates {
		for _, pod := range candidates[c].option.Pods {
			set, known := able[pod]
			if !known {
				set = newBits(len(candidates))
				able[pod] = set
				pods = append(pods, pod)
			}
			set.set(c)
		}
	}
	slices.SortFunc(pods, func(a, b *apiv1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	sets := make([]bits, len(pods))
	for i, pod := range pods {
		sets[i] = able[pod]
	}
	return pods, sets
}

// shareAbility makes pods that need the same of a node, beside resources, fit wherever one of them fits: addClasses looks at the
// resources.
func shareAbility(pods []*apiv1.Pod, requests []amounts, able []bits) {
	shared := make(map[string]bits)
	keys := make([]string, len(pods))
	for i, pod := range pods {
		key, alike := needs(pod, requests[i])
		if !alike {
			continue
		}
		keys[i] = key
		if all, known := shared[key]; known {
			all.add(able[i])
		} else {
			shared[key] = slices.Clone(able[i])
		}
	}
	for i := range pods {
		if all, known := shared[keys[i]]; known {
			able[i] = all
		}
	}
}

// addShapes joins the candidates that are alike, in the order of their names.
func (p *problem) addShapes(candidates []candidate, d *dimensions, able []bits) {
	fits := make([]bits, len(candidates)) // by candidate: its pods
	for c := range candidates {
		fits[c] = newBits(len(able))
	}
	for i, set := range able {
		set.each(func(c int) { fits[c].set(i) })
	}
	known := make(map[string]int)
	for c := range candidates {
		offered := d.offeredBy(candidates[c].info)
		key := offered.key() + fits[c].key() + strconv.FormatFloat(candidates[c].unit, 'e', 9, 64)
		i, ok := known[key]
		if !ok {
			i = len(p.shapes)
			known[key] = i
			p.shapes = append(p.shapes, shape{offered: offered, cost: candidates[c].unit})
		}
		p.shapes[i].groups = append(p.shapes[i].groups, c)
		p.shapes[i].limit += candidates[c].option.NodeCount
	}
}

// addClasses joins the pods that are alike.
func (p *problem) addClasses(pods []*apiv1.Pod, requests []amounts, able []bits, candidates []candidate) {
	index := make(map[string]int)
	apart := apartness(pods)
	for i, pod := range pods {
		caps := perNode(pod, candidates, able[i])
		key := requests[i].key() + able[i].key() + apart[i].has.key() + apart[i].concernedBy.key() + string(binary.AppendVarint(nil, int64(caps)))
		at, known := index[key]
		if !known {
			at = len(p.classes)
			index[key] = at
			fits := make([]bool, len(p.shapes))
			for s, shape := range p.shapes {
				fits[s] = able[i].has(shape.groups[0]) && requests[i].within(shape.offered)
			}
			p.classes = append(p.classes, class{request: requests[i], fits: fits, perNode: caps, apart: apart[i]})
		}
		p.classes[at].count++
		p.classes[at].pods = append(p.classes[at].pods, pod)
	}
}

// perNode is how many pods such as this one may share a node. Where other nodes matter, it is what the core's own packing
// shows at the least.
func perNode(pod *apiv1.Pod, candidates []candidate, able bits) int {
	most := math.MaxInt32
	if hasHostPort(pod) || avoidsItself(pod) {
		return 1
	}
	if !beyondItsNode(pod) {
		return most
	}
	able.each(func(c int) {
		o := candidates[c].option
		most = min(most, (len(o.Pods)+o.NodeCount-1)/o.NodeCount)
	})
	return max(1, most)
}

// dimensions are the resources that the pods ask for, with pods as the first.
type dimensions struct{ names []apiv1.ResourceName }

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
	for name := range asked {
		d.names = append(d.names, name)
	}
	slices.SortFunc(d.names[1:], cmp.Compare)
	return d
}

// of turns what a pod requests into amounts; the pod itself counts as one.
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

// offeredBy is what is left for pods on a node such as in info: its allocatable less what runs on every node of the group.
func (d *dimensions) offeredBy(info *framework.NodeInfo) amounts {
	a := make(amounts, len(d.names))
	for i, name := range d.names {
		a[i] = quantity(info.Node().Status.Allocatable, name)
	}
	for _, daemon := range info.Pods() {
		for i, n := range d.of(podutils.PodRequests(daemon.Pod)) {
			a[i] -= n
		}
	}
	for i := range a {
		a[i] = max(0, a[i])
	}
	return a
}

// within reports whether a fits in b.
func (a amounts) within(b amounts) bool {
	for i, n := range a {
		if n > b[i] {
			return false
		}
	}
	return true
}

// key is the same for the same amounts and no others of that length.
func (a amounts) key() string {
	b := make([]byte, 0, 8*len(a))
	for _, n := range a {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return string(b)
}

// bits are a set of small numbers.
type bits []uint64

func newBits(size int) bits { return make(bits, (size+63)/64) }

func (b bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bits) add(other bits) {
	for i, w := range other {
		b[i] |= w
	}
}

func (b bits) meets(other bits) bool {
	for i := range min(len(b), len(other)) {
		if b[i]&other[i] != 0 {
			return true
		}
	}
	return false
}

func (b bits) each(visit func(i int)) {
	for w, word := range b {
		for i := 0; word != 0; i, word = i+1, word>>1 {
			if word&1 != 0 {
				visit(w*64 + i)
			}
		}
	}
}

func (b bits) key() string {
	k := make([]byte, 0, 8*len(b))
	for _, w := range b {
		k = binary.LittleEndian.AppendUint64(k, w)
	}
	return string(k)
}
