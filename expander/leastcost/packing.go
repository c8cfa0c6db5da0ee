package leastcost

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Bounds of the work, so that a plan of the usual size takes a good part of a second at the most. They count steps, not time: the
// same input gives the same plan on any machine that gets to the end of it in time.
const (
	manyClasses   = 200   // from here on nodes are filled in one order only
	manyShapes    = 100   // from here on only the most promising are looked at in each step
	sampled       = 48    // classes by which nodes are judged where there are many shapes
	maxWork       = 7e5   // classes looked at to fill nodes, when packing anew
	maxRounds     = 12    // of plans with other values
	maxTries      = 4000  // to pack some nodes anew
	scaleUpWorth  = 0.001 // of the plan's cost: a plan may cost this much more to need one scale-up less
	costTolerance = 1e-9  // relative, smaller differences come from binary arithmetic
)

type planned struct {
	shape  int
	shares []share
}

type packing struct {
	nodes []planned
	left  []int // pods without a node, by class
	cost  float64
}

type planner struct {
	problem *problem
	filler  *filler
	timer   *timer
	values  []float64 // of a pod, by class: the price at which it is best placed
	shapes  []int     // those to choose from
	upper   []float64 // by shape: no node is worth more for its money, +Inf where that is not known
	promise []float64 // the same for the pods that are left
	looked  []bool    // by shape: its promise is for the node to be added next
	all     []int     // every class
	random  *rand.Rand
}

func newPlanner(p *problem, t *timer) *planner {
	pl := &planner{problem: p, filler: newFiller(p), timer: t, random: rand.New(rand.NewPCG(1, 2)),
		promise: make([]float64, len(p.shapes)), looked: make([]bool, len(p.shapes))}
	for c := range p.classes {
		pl.all = append(pl.all, c)
	}
	for s := range p.shapes {
		pl.shapes = append(pl.shapes, s)
	}
	pl.promiseAll()
	return pl
}

// solve plans. Out of time it may leave pods without a node.
func (p *problem) solve(t *timer) packing {
	result := packing{left: p.counts()}
	pl := newPlanner(p, t)
	room := make([]int, len(p.shapes))
	for s := range p.shapes {
		room[s] = p.shapes[s].limit
	}
	pl.setValues()
	pl.rest(&result, room, pl.values, math.Inf(1), 0)
	pl.reprice(&result, room)
	pl.keepShapes(&result)
	if !t.brief {
		pl.improve(&result, room)
	}
	pl.forward(&result, room)
	pl.simplify(&result, room)
	pl.forward(&result, room)
	for !t.past() && p.widen(result.left) {
		pl = newPlanner(p, t)
		pl.setValues()
		pl.rest(&result, room, pl.values, math.Inf(1), 0)
		pl.forward(&result, room)
	}
	return result
}

func (t *packing) add(p *problem, node planned) {
	for _, sh := range node.shares {
		t.left[sh.class] -= sh.count
	}
	t.nodes = append(t.nodes, node)
	t.cost += p.shapes[node.shape].cost
}

// keepShapes leaves only those to choose from that are in the plan and, besides, the most promising, where there are many.
func (pl *planner) keepShapes(of *packing) {
	if len(pl.problem.shapes) <= manyShapes {
		return
	}
	for _, node := range of.nodes {
		pl.upper[node.shape] = math.Inf(1)
	}
	slices.SortStableFunc(pl.shapes, func(a, b int) int { return cmp.Compare(pl.upper[b], pl.upper[a]) })
	used := slices.IndexFunc(pl.shapes, func(s int) bool { return !math.IsInf(pl.upper[s], 1) })
	if used >= 0 {
		pl.shapes = pl.shapes[:max(used, manyShapes)]
	}
	slices.Sort(pl.shapes)
	pl.promiseAll()
}

func (pl *planner) promiseAll() {
	pl.upper = slices.Repeat([]float64{math.Inf(1)}, len(pl.problem.shapes))
}

// rest adds nodes for all remaining pods, always the node with the most value for its cost. noise from 0 to 1 makes it choose
// others at random. It gives up and reports false if the plan would cost more than most, or time is up.
func (pl *planner) rest(to *packing, room []int, values []float64, most, noise float64) bool {
	active := make([]int, 0, 16)
	for _, c := range pl.all {
		if to.left[c] > 0 {
			active = append(active, c)
		}
	}
	copy(pl.promise, pl.upper)
	for !pl.timer.past() {
		active = slices.DeleteFunc(active, func(c int) bool { return to.left[c] == 0 })
		node, whole := pl.next(to.left, room, values, active, noise)
		if whole == 0 {
			return true
		}
		for range whole {
			if to.cost+pl.problem.shapes[node.shape].cost > most {
				return false
			}
			to.add(pl.problem, node)
			room[node.shape]--
		}
		if len(active) > manyClasses {
			pl.more(to, room, values, node)
		}
	}
	return false
}

// more adds nodes of the shape of one just added, as long as they can be filled about as well.
func (pl *planner) more(to *packing, room []int, values []float64, like planned) {
	worth := 0.0
	for _, sh := range like.shares {
		worth += values[sh.class] * float64(sh.count)
	}
	for room[like.shape] > 0 {
		shares, next := pl.filler.fillRanked(like.shape, values, to.left)
		if next < 0.98*worth {
			return
		}
		to.add(pl.problem, planned{like.shape, slices.Clone(shares)})
		room[like.shape]--
	}
}

// next returns the node with the most value for its cost, and how many equal nodes can be filled, 0 if no pod can be placed. It looks
// at shapes in the order of their promise, until none of the others promises more than the best found. A shape keeps no more promise
// than was found: with fewer pods left, nodes are not worth more.
func (pl *planner) next(left, room []int, values []float64, active []int, noise float64) (planned, int) {
	most := 0.0 // of all pods left: no node is worth more
	for _, c := range active {
		most += values[c] * float64(left[c])
	}
	for _, s := range pl.shapes {
		pl.promise[s] = min(pl.promise[s], most*(1+noise/2)/pl.problem.shapes[s].cost)
	}
	clear(pl.looked)
	best, bestRatio := planned{}, 0.0
	for !pl.timer.past() {
		s := pl.mostPromising(room)
		if s < 0 || pl.looked[s] {
			break
		}
		shares, worth := pl.filler.fill(s, values, left, active)
		ratio := worth / pl.problem.shapes[s].cost
		if noise > 0 {
			ratio *= 1 + noise*(pl.random.Float64()-0.5)
		}
		if ratio > bestRatio*(1+costTolerance) {
			best.shape, best.shares, bestRatio = s, append(best.shares[:0], shares...), ratio
		}
		pl.looked[s], pl.promise[s] = true, ratio
	}
	if bestRatio == 0 {
		return planned{}, 0
	}
	whole := room[best.shape]
	for _, sh := range best.shares {
		whole = min(whole, left[sh.class]/sh.count)
	}
	return best, whole
}

// mostPromising returns the shape that promises most, -1 for none. Shapes without promise are looked at once.
func (pl *planner) mostPromising(room []int) int {
	top := -1
	for _, s := range pl.shapes {
		promise := pl.promise[s]
		if room[s] > 0 && (top < 0 || promise > pl.promise[top]) && (promise > 0 || !pl.looked[s]) {
			top = s
		}
	}
	return top
}
