package leastcost

import (
	"cmp"
	"encoding/binary"
	"strconv"

	apiv1 "k8s.io/api/core/v1"
)

// amounts are requests or resources, by dimension of the problem: CPU in millicores, the rest in units, the first counts pods.
type amounts []int64

// class is pods that are alike to the plan: they ask for the same, and the same shapes can take them.
type class struct {
	request    amounts
	pods       []*apiv1.Pod // by namespace and name
	fits       bits         // the shapes that have room for one
	limit      nodeLimit    // beside what a node offers
	separation separation   // from pods of which classes
	scores     []int64      // by candidate, how well it suits what the pods prefer, nil for no preference, or none that counts
	wide       bits         // the shapes that have room for one, the less preferred ones included
}

// shape is a set of groups whose nodes are equal to the plan: the same resources, cost and fitting pods.
type shape struct {
	offered amounts
	cost    float64 // of one node per hour, penalty included, above 0
	limit   int     // nodes that all its groups can add
	mean    int     // of the pods on a node in the core's packing for the first of them
	groups  []int   // candidates, by index, in their order
}

// problem is a set of pods to pack, and the shapes of nodes for them.
type problem struct {
	classes []class
	shapes  []shape
}

// counts are the pods by class.
func (p *problem) counts() (counts []int) {
	for _, class := range p.classes {
		counts = append(counts, len(class.pods))
	}
	return counts
}

// fitting is how many pods of a class, and most at the most, have a place in the room of a shape's node beside the others there.
func (p *problem) fitting(c, s int, room amounts, most int, others []share) int {
	class := &p.classes[c]
	count := class.request.fitting(room, most)
	if class.limit.workload == "" || count == 0 {
		return count
	}
	left := cmp.Or(class.limit.most, p.shapes[s].mean)
	for _, sh := range others {
		if sh.class == c || class.limit.most > 0 && p.classes[sh.class].limit.workload == class.limit.workload {
			left -= sh.count
		}
	}
	return min(count, left)
}

func (p *problem) addShapes(candidates []candidate, d *demand) {
	fits, suits := make([]bits, len(candidates)), make([]uint64, len(candidates)) // by candidate: its classes, a hash of their scores
	for c := range candidates {
		fits[c] = newBits(len(d.ables))
	}
	for i, set := range d.ables {
		set.each(func(c int) {
			if fits[c].set(i); p.classes[i].scores != nil {
				suits[c] = (suits[c] ^ uint64(p.classes[i].scores[c])) * 1099511628211 // FNV-1a
			}
		})
	}
	known := make(map[string]int)
	for c := range candidates {
		key := keyOf(d.offered[c]) + keyOf(fits[c]) + keyOf(suits[c:c+1]) + strconv.FormatFloat(candidates[c].unit, 'e', 9, 64)
		i, ok := known[key]
		if !ok {
			i = len(p.shapes)
			known[key] = i
			p.shapes = append(p.shapes, shape{offered: d.offered[c], cost: candidates[c].unit, mean: mean(len(candidates[c].option.Pods), candidates[c])})
		}
		p.shapes[i].groups = append(p.shapes[i].groups, c)
		p.shapes[i].limit += candidates[c].option.NodeCount
	}
}

func (a amounts) share(offered amounts, d int) float64 {
	if offered[d] > 0 {
		return float64(a[d]) / float64(offered[d])
	}
	return 0
}

func (a amounts) largestShare(offered amounts) float64 {
	most := 0.0
	for d := range a {
		most = max(most, a.share(offered, d))
	}
	return most
}

func (a amounts) within(b amounts) bool {
	for i, n := range a {
		if n > b[i] {
			return false
		}
	}
	return true
}

func (a amounts) add(other amounts, times int) {
	for i, n := range other {
		a[i] += n * int64(times)
	}
}

// fitting is how many times a has a place in the room, and most at the most.
func (a amounts) fitting(room amounts, most int) int {
	if !a.within(room) {
		return 0
	}
	if most < 2 {
		return most
	}
	for i, n := range a {
		if n > 0 {
			most = min(most, int(room[i]/n))
		}
	}
	return most
}

func keyOf[T int64 | uint64](list []T) string {
	b := make([]byte, 0, 8*len(list))
	for _, n := range list {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return string(b)
}

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
