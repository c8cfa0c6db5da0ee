package leastcost

import (
	"math"
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
	hasty   bool        // fill tries two orders, by all dimensions and by one in turn
	turn    int

	requests []int64 // by class and dimension
	fits     []bits  // by shape: the classes that fit, nil where nobody asked

	order  []int // classes that fit, the most worth for their size first
	last   []int // the order tried before
	keys   []uint64
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
	f := &filler{problem: p, fits: make([]bits, len(p.shapes))}
	if len(p.classes) == 0 {
		return f
	}
	f.dims = len(p.classes[0].request)
	for _, class := range p.classes {
		f.requests = append(f.requests, class.request...)
	}
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
	fits := f.fitting(s)
	for _, c := range among {
		if left[c] > 0 && values[c] > 0 && fits.has(c) {
			f.order = append(f.order, c)
		}
	}
	weights := len(f.weights)
	if len(f.order) < 2 {
		weights = min(1, weights)
	}
	f.last = f.last[:0]
	f.turn++
	for w := range weights {
		if f.hasty && weights > 2 && w != weights-1 && w != f.turn%(weights-1) {
			continue
		}
		f.sort(s, values, w)
		if !slices.Equal(f.order, f.last) {
			if worth := f.greedy(s, values, left); worth > best*(1+1e-12) {
				best = worth
				f.best = append(f.best[:0], f.chosen...)
			}
			f.last = append(f.last[:0], f.order...)
		}
	}
	return f.best, best
}

// fitting is the classes that fit a shape.
func (f *filler) fitting(s int) bits {
	if f.fits[s] == nil {
		f.fits[s] = newBits(len(f.problem.classes))
		for c := range f.problem.classes {
			if f.problem.classes[c].fits.has(s) {
				f.fits[s].set(c)
			}
		}
	}
	return f.fits[s]
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
		f.fitting(s).each(func(c int) {
			if values[c] > 0 {
				f.order = append(f.order, c)
			}
		})
		f.sort(s, values, len(f.weights)-1)
		f.ranked[s] = slices.Clone(f.order)
	}
	f.work += len(f.ranked[s])
	own := f.order
	f.order = f.ranked[s]
	worth := f.greedy(s, values, left)
	f.order = own
	return f.chosen, worth
}

// classBits is how many bits number a class in a key of sort. More pods than they can number are never pending.
const classBits = 20

// sort puts the classes that are worth the most for their weighed size first.
func (f *filler) sort(s int, values []float64, weight int) {
	f.keys = f.keys[:0]
	for _, c := range f.order {
		worth := values[c] / f.size(s, c, weight)
		// The bits of numbers above 0 are in the order of the numbers.
		f.keys = append(f.keys, ^math.Float64bits(worth)>>classBits<<classBits|uint64(c))
	}
	slices.Sort(f.keys)
	for i, key := range f.keys {
		f.order[i] = int(key & (1<<classBits - 1))
	}
}

// size is the share of a shape's node that a pod takes, over all dimensions by their weight.
func (f *filler) size(s, c, weight int) float64 {
	size := 1e-9
	for d, w := range f.weights[weight] {
		size += w * f.problem.classes[c].request.share(f.problem.shapes[s].offered, d)
	}
	return size
}

// greedy takes as many of each class as still fit, in order.
func (f *filler) greedy(s int, values []float64, left []int) float64 {
	f.chosen = f.chosen[:0]
	copy(f.room, f.problem.shapes[s].offered)
	total, misses := 0.0, 0
	var present separation
	for _, c := range f.order {
		if left[c] == 0 {
			continue
		}
		class := &f.problem.classes[c]
		request := amounts(f.requests[c*f.dims : (c+1)*f.dims])
		count := request.fitting(f.room, min(left[c], class.perNode))
		if count <= 0 || class.separation.has != nil && class.separation.from(present) {
			if misses++; misses > maxMisses {
				break
			}
			continue
		}
		misses = 0
		f.room.add(request, -count)
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
