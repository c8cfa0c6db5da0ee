package leastcost

import (
	"math"
	"slices"
)

// setValues gives a pod of each class the price of its share of the node on which that is cheapest.
func (pl *planner) setValues() {
	p := pl.problem
	pl.values = make([]float64, len(p.classes))
	for c, class := range p.classes {
		least := math.Inf(1)
		for s := range p.shapes {
			if class.fits.has(s) {
				least = min(least, p.shapes[s].cost*class.request.largestShare(p.shapes[s].offered))
			}
		}
		if !math.IsInf(least, 1) {
			pl.values[c] = least
		}
	}
	if len(p.shapes) > manyShapes {
		pl.estimate()
	}
}

// estimate bounds the value of a full node of each shape for its cost: by a sample of the classes as if there were as many more of each,
// and by each class alone, because some shapes are for few of them.
func (pl *planner) estimate() {
	counts := pl.problem.counts()
	stride := 1 + len(counts)/sampled
	var sample []int
	for c := 0; c < len(counts); c += stride {
		sample = append(sample, c)
		counts[c] *= stride
	}
	for s, shape := range pl.problem.shapes {
		_, worth := pl.filler.fill(s, pl.values, counts, sample)
		for c := range pl.problem.classes {
			if class := &pl.problem.classes[c]; class.fits.has(s) {
				worth = max(worth, pl.values[c]*float64(pl.problem.fitting(c, s, shape.offered, len(class.pods), nil)))
			}
		}
		pl.upper[s] = worth / shape.cost
	}
}

// reprice plans again with the values that the pods had in the last plan, and keeps the cheapest plan and its values. Pods on nodes
// that were not full become more valuable, so the next plan combines them earlier.
func (pl *planner) reprice(best *packing, room []int) {
	now, values := *best, pl.values
	limit := pl.filler.work + maxWork
	for round := 0; round < maxRounds && pl.filler.work < limit; round++ {
		values = pl.paid(now, values)
		now = packing{left: pl.problem.counts()}
		free := make([]int, len(room))
		for s, shape := range pl.problem.shapes {
			free[s] = shape.limit
		}
		if pl.rest(&now, free, values, math.Inf(1), 0) && now.cost < best.cost && slices.Equal(now.left, best.left) {
			*best, pl.values = packing{slices.Clone(now.nodes), slices.Clone(now.left), now.cost}, values
			copy(room, free)
		}
	}
}

// paid returns values halfway between the given ones and the plan's. There, the pods of a node share its cost by their values.
func (pl *planner) paid(of packing, values []float64) []float64 {
	sum := make([]float64, len(values))
	for _, node := range of.nodes {
		cost := pl.problem.shapes[node.shape].cost
		worth := cost - pl.loss(node, values)
		for _, sh := range node.shares {
			sum[sh.class] += float64(sh.count) * values[sh.class] * cost / worth
		}
	}
	next := slices.Clone(values)
	for c, class := range pl.problem.classes {
		if placed := len(class.pods) - of.left[c]; placed > 0 {
			next[c] = (values[c] + sum[c]/float64(placed)) / 2
		}
	}
	return next
}
