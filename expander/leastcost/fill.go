package leastcost

import (
	"cmp"
	"slices"
)

// share is how many pods of a class are on a node.
type share struct {
	class, count int
}

// filler fills single nodes with the most valuable pods. It reuses its buffers between calls. Use it from one goroutine.
type filler struct {
	problem *problem
	dims    int
	weights [][]float64 // ways to count several dimensions as one

	order  []int     // classes that fit, the most worth for their size first
	worth  []float64 // by class
	room   amounts
	chosen []share
	best   []share
	work   int // classes looked at so far

	ranked   [][]int  // by shape, for many classes: the fitting ones, the most valuable for their size first
	rankedBy *float64 // the values by which they are
}

// maxWeights is how many dimensions are weighed on their own, too.
const maxWeights = 7

func newFiller(p *problem) *filler {
	f := &filler{problem: p, worth: make([]float64, len(p.classes))}
	if len(p.classes) == 0 {
		return f
	}
	f.dims = len(p.classes[0].request)
	f.room = make(amounts, f.dims)
	all := make([]float64, f.dims)
	for d := range f.dims {
		all[d] = 1
		if d >= maxWeights {
			continue
		}
		one := make([]float64, f.dims)
		one[d] = 1
		for other := range one {
			one[other] += 0.05 // so that resources without weight are not free
		}
		f.weights = append(f.weights, one)
	}
	f.weights = append(f.weights, all)
	return f
}

// share is the part of a shape's node that a pod of the class takes in one dimension.
func (p *problem) share(s, c, d int) float64 {
	if offered := p.shapes[s].offered[d]; offered > 0 {
		return float64(p.classes[c].request[d]) / float64(offered)
	}
	return 0
}

// largest is the share in the dimension where the pod takes the most.
func (p *problem) largest(s, c int) float64 {
	most := 0.0
	for d := range p.classes[c].request {
		most = max(most, p.share(s, c, d))
	}
	return most
}

// fill packs a node of a shape with the most valuable pods among some classes. values and left are by class. It tries several
// orders and keeps the best. The result is good, not always optimal, and the next call overwrites it. A class worth nothing is
// left out.
func (f *filler) fill(s int, values []float64, left []int, among []int) ([]share, float64) {
	f.best = f.best[:0]
	best := 0.0
	f.order = f.order[:0]
	f.work += 1 + len(among)*len(f.weights)
	if len(among) > manyClasses {
		return f.fillRanked(s, values, left)
	}
	for _, c := range among {
		if left[c] > 0 && values[c] > 0 && f.problem.classes[c].fits.has(s) {
			f.order = append(f.order, c)
		}
	}
	weights := f.weights
	if len(f.order) < 2 {
		weights = weights[:min(1, len(weights))]
	}
	try := func(fewer int) {
		if worth := f.greedy(s, values, left, fewer); worth > best*(1+1e-12) {
			best = worth
			f.best = append(f.best[:0], f.chosen...)
		}
	}
	for _, weight := range weights {
		f.sort(s, values, weight)
		try(-1)
	}
	// The first class of the best order may be in the way of better fits: try with one of it less.
	if len(f.order) > 1 {
		for _, first := range slices.Clone(f.best) {
			try(first.class)
		}
	}
	return f.best, best
}

// maxMisses bounds how many classes in a row may fail to fit before a node counts as full.
const maxMisses = 400

// fillRanked is fill for very many classes: all of them, in one order that is kept from call to call.
func (f *filler) fillRanked(s int, values []float64, left []int) ([]share, float64) {
	if f.rankedBy != &values[0] {
		f.rankedBy, f.ranked = &values[0], make([][]int, len(f.problem.shapes))
	}
	if f.ranked[s] == nil {
		f.order = f.order[:0]
		for c := range f.problem.classes {
			if values[c] > 0 && f.problem.classes[c].fits.has(s) {
				f.order = append(f.order, c)
			}
		}
		f.sort(s, values, f.weights[len(f.weights)-1])
		f.ranked[s] = slices.Clone(f.order)
	}
	f.work += len(f.ranked[s])
	own := f.order
	f.order = f.ranked[s]
	worth := f.greedy(s, values, left, -1)
	f.order = own
	return f.chosen, worth
}

// sort puts the classes that are worth the most for their weighed size first.
func (f *filler) sort(s int, values, weight []float64) {
	for _, c := range f.order {
		size := 1e-9
		for d, w := range weight {
			size += w * f.problem.share(s, c, d)
		}
		f.worth[c] = values[c] / size
	}
	slices.SortFunc(f.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(f.worth[b], f.worth[a]), cmp.Compare(a, b))
	})
}

// greedy takes as many of each class as still fit, in order, but one less of the class called fewer.
func (f *filler) greedy(s int, values []float64, left []int, fewer int) float64 {
	f.chosen = f.chosen[:0]
	copy(f.room, f.problem.shapes[s].offered)
	total, misses := 0.0, 0
	var present separation
	for _, c := range f.order {
		class := &f.problem.classes[c]
		count := min(left[c], class.perNode)
		if count == 0 {
			continue
		}
		count = class.request.fitting(f.room, count)
		if c == fewer {
			count--
		}
		if count <= 0 || class.separation.has != nil && class.separation.from(present) {
			if misses++; misses > maxMisses {
				break
			}
			continue
		}
		misses = 0
		f.room.add(class.request, -count)
		f.chosen = append(f.chosen, share{c, count})
		if class.separation.has != nil {
			present = present.with(class.separation)
		}
		total += values[c] * float64(count)
		if f.room[0] == 0 {
			break
		}
	}
	return total
}
