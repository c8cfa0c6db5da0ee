package leastcost

import (
	"math"
	"slices"
)

type share struct {
	class, count int
}

// filler fills single nodes with the most valuable pods. It reuses its buffers between calls. Use it from one goroutine.
type filler struct {
	problem *problem
	weights [][]float64 // ways to count several dimensions as one
	hasty   bool        // fill tries two orders, by all dimensions and by one in turn
	turn    int

	order  []int // classes that fit, the most worth for their size first
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
	dims := len(p.classes[0].request)
	f := &filler{problem: p}
	for d := range min(dims, maxWeights) {
		one := slices.Repeat([]float64{0.05}, dims) // so that resources without weight are not free
		one[d]++
		f.weights = append(f.weights, one)
	}
	f.weights = append(f.weights, slices.Repeat([]float64{1}, dims))
	return f
}

// fill packs a node of a shape with the most valuable pods among some classes. values and left are by class. It tries several orders and
// keeps the best. The result is good, not always optimal, and the next call overwrites it. A class worth nothing is left out.
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
	weights := len(f.weights)
	if len(f.order) < 2 {
		weights = 1
	}
	f.turn++
	for w := range weights {
		if f.hasty && weights > 2 && w != weights-1 && w != f.turn%(weights-1) {
			continue
		}
		f.sort(f.order, s, values, w)
		if worth := f.greedy(f.order, s, values, left); worth > best*(1+1e-12) {
			best = worth
			f.best = append(f.best[:0], f.chosen...)
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
		f.ranked[s] = []int{}
		for c := range values {
			if values[c] > 0 && f.problem.classes[c].fits.has(s) {
				f.ranked[s] = append(f.ranked[s], c)
			}
		}
		f.sort(f.ranked[s], s, values, len(f.weights)-1)
	}
	f.work += len(f.ranked[s])
	worth := f.greedy(f.ranked[s], s, values, left)
	return f.chosen, worth
}

// classBits is how many bits number a class in a key of sort. More pods than they can number are never pending.
const classBits = 20

// sort puts the classes that are worth the most for their weighed size first.
func (f *filler) sort(order []int, s int, values []float64, weight int) {
	f.keys = f.keys[:0]
	for _, c := range order {
		worth := values[c] / f.size(s, c, weight)
		// The bits of numbers above 0 are in the order of the numbers.
		f.keys = append(f.keys, ^math.Float64bits(worth)>>classBits<<classBits|uint64(c))
	}
	slices.Sort(f.keys)
	for i, key := range f.keys {
		order[i] = int(key & (1<<classBits - 1))
	}
}

func (f *filler) size(s, c, weight int) float64 {
	size := 1e-9
	for d, w := range f.weights[weight] {
		size += w * f.problem.classes[c].request.share(f.problem.shapes[s].offered, d)
	}
	return size
}

func (f *filler) greedy(order []int, s int, values []float64, left []int) float64 {
	f.chosen = f.chosen[:0]
	f.room = append(f.room[:0], f.problem.shapes[s].offered...)
	total, misses := 0.0, 0
	var present separation
	for _, c := range order {
		if left[c] == 0 {
			continue
		}
		class := &f.problem.classes[c]
		count := f.problem.fitting(c, s, f.room, left[c], f.chosen)
		if count <= 0 || class.separation.from(present) {
			if misses++; misses > maxMisses {
				break
			}
			continue
		}
		misses = 0
		f.room.add(class.request, -count)
		f.chosen = append(f.chosen, share{c, count})
		present = present.with(class.separation)
		total += values[c] * float64(count)
		if f.room[0] == 0 {
			break
		}
	}
	return total
}
