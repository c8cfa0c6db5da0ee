package leastcost

import (
	"cmp"
	"math"
	"slices"
)

// improve packs a few nodes anew, again and again, preferably those that cost more than their pods are worth, and keeps cheaper results.
func (pl *planner) improve(to *packing, room []int) {
	p := pl.problem
	values := slices.Clone(pl.values)
	limit := pl.filler.work + maxWork
	pl.filler.hasty = true
	defer func() { pl.filler.hasty = false }()
	for try := 0; try < maxTries && pl.filler.work < limit && len(to.nodes) > 0 && !pl.timer.past(); try++ {
		picked := pl.pick(to)
		part := packing{left: slices.Clone(to.left)}
		before := 0.0
		for _, i := range picked {
			node := to.nodes[i]
			before += p.shapes[node.shape].cost
			room[node.shape]++
			for _, sh := range node.shares {
				part.left[sh.class] += sh.count
				values[sh.class] = pl.values[sh.class] * (0.7 + 0.6*pl.random.Float64())
			}
		}
		placed := pl.rest(&part, room, values, before*(1+costTolerance), 0.2)
		if placed && part.cost <= before*(1+costTolerance) && !slices.ContainsFunc(pl.all, func(c int) bool { return part.left[c] > to.left[c] }) {
			to.cost += part.cost - before
			to.left = part.left
			slices.Sort(picked)
			for _, i := range slices.Backward(picked) {
				to.nodes = slices.Delete(to.nodes, i, i+1)
			}
			to.nodes = append(to.nodes, part.nodes...)
			continue
		}
		for _, node := range part.nodes {
			room[node.shape]++
		}
		for _, i := range picked {
			room[to.nodes[i].shape]--
		}
	}
}

func (pl *planner) pick(of *packing) []int {
	count := min(len(of.nodes), 1+pl.random.IntN(4))
	var picked []int
	for len(picked) < count {
		best, most := -1, math.Inf(-1)
		for range 3 {
			i := pl.random.IntN(len(of.nodes))
			if loss := pl.loss(of.nodes[i], pl.values); !slices.Contains(picked, i) && loss > most {
				best, most = i, loss
			}
		}
		if best < 0 {
			break
		}
		picked = append(picked, best)
	}
	return picked
}

func (pl *planner) loss(node planned, values []float64) float64 {
	loss := pl.problem.shapes[node.shape].cost
	for _, sh := range node.shares {
		loss -= values[sh.class] * float64(sh.count)
	}
	return loss
}

type partial struct {
	node    int // of the plan
	room    amounts
	present separation
}

func (n *partial) take(class *class, count int) {
	n.room.add(class.request, -count)
	n.present = n.present.with(class.separation)
}

// forward moves pods to the first node of the same shape that has room for them, and drops the nodes that this leaves empty. Nodes
// that are worth the most to their pods come first. First fit over the pods, node by node, then gives the same nodes again. So
// whoever books the pods on the nodes in this order follows the plan without knowing it.
func (pl *planner) forward(of *packing, room []int) {
	p := pl.problem
	least := slices.Clone(p.classes[0].request) // by dimension, of any class
	for _, class := range p.classes {
		for d, n := range class.request {
			least[d] = min(least[d], n)
		}
	}
	slices.SortStableFunc(of.nodes, func(a, b planned) int { return cmp.Compare(pl.loss(a, pl.values), pl.loss(b, pl.values)) })
	byShape := make([][]partial, len(p.shapes))
	for i := range of.nodes {
		node := &of.nodes[i]
		own := partial{node: i, room: slices.Clone(p.shapes[node.shape].offered)}
		var kept []share
		for _, sh := range node.shares {
			class := &p.classes[sh.class]
			for k := range byShape[node.shape] {
				to := &byShape[node.shape][k]
				count := p.fitting(sh.class, node.shape, to.room, sh.count, of.nodes[to.node].shares)
				if count <= 0 || class.separation.from(to.present) {
					continue
				}
				of.nodes[to.node].shares = append(of.nodes[to.node].shares, share{sh.class, count})
				to.take(class, count)
				if sh.count -= count; sh.count == 0 {
					break
				}
			}
			if sh.count > 0 {
				kept = append(kept, sh)
				own.take(class, sh.count)
			}
		}
		node.shares = kept
		byShape[node.shape] = slices.DeleteFunc(append(byShape[node.shape], own), func(n partial) bool { return !least.within(n.room) })
	}
	of.nodes = slices.DeleteFunc(of.nodes, func(node planned) bool {
		if len(node.shares) > 0 {
			return false
		}
		room[node.shape]++
		of.cost -= p.shapes[node.shape].cost
		return true
	})
}

// simplify does without whole shapes, those with the cheapest nodes first, as far as the pods have a place in what room
// the others leave or on a few more of them. Each shape needs its own scale-up, and the last pods wait for all of them. It saves money,
// too: without it the plan of BenchmarkBestOptions for 5,000 workloads on 60 groups costs 5 % more.
func (pl *planner) simplify(to *packing, room []int) {
	for {
		costs := make([]float64, len(pl.problem.shapes))
		var used []int
		for _, node := range to.nodes {
			if costs[node.shape] == 0 {
				used = append(used, node.shape)
			}
			costs[node.shape] += pl.problem.shapes[node.shape].cost
		}
		slices.SortFunc(used, func(a, b int) int { return cmp.Or(cmp.Compare(costs[a], costs[b]), cmp.Compare(a, b)) })
		if !slices.ContainsFunc(used, func(s int) bool { return len(used) > 1 && pl.without(to, room, s, used) }) {
			return
		}
	}
}

// without tries to replace the nodes of a shape by room on nodes of the other shapes in use, and reports whether it did.
func (pl *planner) without(to *packing, room []int, s int, used []int) bool {
	if pl.timer.past() {
		return false
	}
	p := pl.problem
	part := packing{left: p.counts()}
	for _, node := range to.nodes {
		if node.shape != s {
			part.add(p, node)
		}
	}
	others := make([]int, len(room))
	for _, u := range used {
		if u != s {
			others[u] = room[u]
		}
	}
	most := to.cost*(1+scaleUpWorth) + costTolerance
	if !pl.rest(&part, others, pl.values, most, 0) || part.cost > most || slices.Compare(part.left, to.left) != 0 {
		return false
	}
	for _, node := range to.nodes {
		room[node.shape]++
	}
	for _, node := range part.nodes {
		room[node.shape]--
	}
	*to = part
	return true
}
