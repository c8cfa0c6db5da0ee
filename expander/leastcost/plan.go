package leastcost

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost/covering"
)

// Bounds of the work, so that a plan takes a good part of a second at the most. They count steps, not time: the same input
// is to give the same plan on any machine.
const (
	maxRows       = 96     // classes that the linear program knows; more are joined to similar ones
	maxSteps      = 1500   // of the linear program
	maxFills      = 150000 // nodes filled on trial when packing anew
	maxTries      = 4000   // to pack some nodes anew
	raiseWorth    = 0.001  // of the cost of the plan, which it may cost more to need one raise less
	costTolerance = 1e-9   // relative; smaller differences come from binary arithmetic
)

// planned is one node of a plan.
type planned struct {
	shape  int
	shares []share
}

// plan is nodes for pods.
type plan struct {
	nodes []planned
	left  []int // pods without a node, by class
	cost  float64
}

// planner makes a plan for one problem.
type planner struct {
	problem *problem
	filler  *filler
	values  []float64 // of a pod, by class: the price at which it is best placed
	all     []int     // every class
	sorted  []int     // see byValue
	random  *rand.Rand
}

// solve plans.
func (p *problem) solve() plan {
	pl := &planner{problem: p, filler: newFiller(p), random: rand.New(rand.NewPCG(1, 2))}
	result := plan{left: make([]int, len(p.classes))}
	for c, class := range p.classes {
		pl.all = append(pl.all, c)
		result.left[c] = class.count
	}
	if len(p.classes) == 0 || len(p.shapes) == 0 {
		return result
	}
	room := make([]int, len(p.shapes))
	for s := range p.shapes {
		room[s] = p.shapes[s].limit
	}
	for _, used := range pl.setValues() {
		pl.take(&result, used, room)
	}
	pl.rest(&result, room, pl.values, math.Inf(1), 0)
	pl.improve(&result, room)
	pl.settle(&result, room)
	pl.simplify(&result, room)
	return result
}

// setValues solves the linear program, sets the values of the classes by it, and returns the patterns it uses.
func (pl *planner) setValues() []covering.Used {
	coarse, row, ratio := pl.problem.coarsened()
	solution := solveDivisible(coarse)
	pl.values = make([]float64, len(pl.problem.classes))
	for c := range pl.values {
		pl.values[c] = solution.Rows[row[c]] * ratio[c]
	}
	// A pod that the program takes along for nothing is worth taking along here, too, if nothing better is in its place.
	for c, class := range pl.problem.classes {
		least := math.Inf(1)
		for s, shape := range pl.problem.shapes {
			if class.fits[s] {
				least = min(least, shape.cost*pl.filler.largest(s, c))
			}
		}
		if !math.IsInf(least, 1) {
			pl.values[c] = max(pl.values[c], 0.01*least)
		}
	}
	if coarse != pl.problem {
		return nil // its patterns are of pods that do not exist
	}
	return solution.Used
}

// largest is the share of a node of the shape that a pod of the class takes of what it takes the most of.
func (f *filler) largest(s, c int) float64 { return slices.Max(f.sizes[s][c*f.dims : (c+1)*f.dims]) }

// solveDivisible packs as if nodes could be bought in parts. Limits of the shapes are only looked at once they are passed.
func solveDivisible(p *problem) covering.Solution {
	f := newFiller(p)
	program := covering.Program{MaxSteps: maxSteps}
	counts := make([]int, len(p.classes))
	all := make([]int, len(p.classes))
	for c, class := range p.classes {
		counts[c], all[c] = class.count, c
		program.Demands = append(program.Demands, float64(class.count))
	}
	for _, s := range p.shapes {
		program.Limits = append(program.Limits, math.Inf(1))
		program.Penalty = max(program.Penalty, 10*s.cost)
	}
	program.Generate = func(rows, pools []float64) []covering.Column {
		var columns []covering.Column
		for s, shape := range p.shapes {
			shares, worth := f.fill(s, rows, counts, all)
			if shape.cost-pools[s]-worth < -costTolerance*shape.cost {
				columns = append(columns, column(s, shape.cost, shares))
			}
		}
		return columns
	}
	for {
		solution := covering.Solve(program)
		used := make([]float64, len(p.shapes))
		for _, u := range solution.Used {
			used[u.Pool] += u.Amount
			program.Columns = append(program.Columns, u.Column)
		}
		passed := false
		for s, amount := range used {
			if limit := float64(p.shapes[s].limit); amount > limit+0.001 && math.IsInf(program.Limits[s], 1) {
				program.Limits[s], passed = limit, true
			}
		}
		if !passed {
			return solution
		}
	}
}

func column(s int, cost float64, shares []share) covering.Column {
	c := covering.Column{Pool: s, Cost: cost}
	for _, sh := range shares {
		c.Entries = append(c.Entries, covering.Entry{Row: sh.class, Times: float64(sh.count)})
	}
	slices.SortFunc(c.Entries, func(a, b covering.Entry) int { return a.Row - b.Row })
	return c
}

// take adds the whole nodes of a pattern that the linear program uses.
func (pl *planner) take(to *plan, used covering.Used, room []int) {
	whole := min(int(used.Amount+0.001), room[used.Pool])
	for range whole {
		node := planned{shape: used.Pool}
		for _, e := range used.Entries {
			if n := min(int(e.Times+0.5), to.left[e.Row]); n > 0 {
				node.shares = append(node.shares, share{e.Row, n})
			}
		}
		if len(node.shares) < len(used.Entries) {
			return // what is left of it is better packed with the rest
		}
		to.add(pl.problem, node)
		room[used.Pool]--
	}
}

func (t *plan) add(p *problem, node planned) {
	for _, sh := range node.shares {
		t.left[sh.class] -= sh.count
	}
	t.nodes = append(t.nodes, node)
	t.cost += p.shapes[node.shape].cost
}

// rest adds nodes for all pods that are left, always the one that is worth most for its money; noise from 0 to 1 lets it
// choose others at random. It gives up where the plan would cost more than most, and reports whether it did not.
func (pl *planner) rest(to *plan, room []int, values []float64, most, noise float64) bool {
	active := make([]int, 0, 16)
	for _, c := range pl.all {
		if to.left[c] > 0 {
			active = append(active, c)
		}
	}
	for {
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
	}
}

// next is the node worth most for its money, and how many such nodes can be filled alike; 0 if no pod can be placed.
func (pl *planner) next(left, room []int, values []float64, active []int, noise float64) (planned, int) {
	best, bestRatio := planned{}, 0.0
	for s, shape := range pl.problem.shapes {
		if room[s] <= 0 {
			continue
		}
		shares, worth := pl.filler.fill(s, values, left, active)
		ratio := worth / shape.cost
		if noise > 0 {
			ratio *= 1 + noise*(pl.random.Float64()-0.5)
		}
		if ratio > bestRatio*(1+costTolerance) {
			best.shape, best.shares, bestRatio = s, append(best.shares[:0], shares...), ratio
		}
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

// improve packs a few nodes anew, again and again, and keeps what is cheaper. Nodes that cost more than their pods are worth
// are looked at most.
func (pl *planner) improve(to *plan, room []int) {
	p := pl.problem
	values := slices.Clone(pl.values)
	limit := pl.filler.fills + maxFills
	for try := 0; try < maxTries && pl.filler.fills < limit && len(to.nodes) > 0; try++ {
		picked := pl.pick(to)
		part := plan{left: slices.Clone(to.left)}
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
		if placed && !slices.ContainsFunc(pl.all, func(c int) bool { return part.left[c] > to.left[c] }) {
			to.cost += part.cost - before
			to.left = part.left
			slices.Sort(picked)
			for k := len(picked) - 1; k >= 0; k-- {
				to.nodes = slices.Delete(to.nodes, picked[k], picked[k]+1)
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

// pick chooses up to four nodes, by index.
func (pl *planner) pick(of *plan) []int {
	count := min(len(of.nodes), 1+pl.random.IntN(4))
	var picked []int
	for len(picked) < count {
		best, most := -1, math.Inf(-1)
		for range 3 {
			i := pl.random.IntN(len(of.nodes))
			if loss := pl.loss(of.nodes[i]); !slices.Contains(picked, i) && loss > most {
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

// loss is what a node costs beyond what its pods are worth.
func (pl *planner) loss(node planned) float64 {
	loss := pl.problem.shapes[node.shape].cost
	for _, sh := range node.shares {
		loss -= pl.values[sh.class] * float64(sh.count)
	}
	return loss
}

// settle moves each node's pods to the cheapest shape that can take them, and of those that cost the same to the one that
// leaves the least idle.
func (pl *planner) settle(to *plan, room []int) {
	p := pl.problem
	for i, node := range to.nodes {
		best := node.shape
		for s, shape := range p.shapes {
			if s == best || room[s] <= 0 || !p.holds(s, node.shares) {
				continue
			}
			difference := shape.cost - p.shapes[best].cost
			same := math.Abs(difference) <= costTolerance*shape.cost
			if !same && difference < 0 || same && pl.idle(s, node.shares) < pl.idle(best, node.shares)-costTolerance {
				best = s
			}
		}
		room[node.shape]++
		room[best]--
		to.cost += p.shapes[best].cost - p.shapes[node.shape].cost
		to.nodes[i].shape = best
	}
}

// simplify does without whole shapes, those with the cheapest nodes first, as far as the pods have a place in what room
// the others leave or on a few more of them. Each shape is a raise of its own, and the last pods wait for all of them.
func (pl *planner) simplify(to *plan, room []int) {
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

// without replaces the nodes of a shape by room on those of the other shapes in use, and reports whether it did.
func (pl *planner) without(to *plan, room []int, s int, used []int) bool {
	p := pl.problem
	part := plan{left: make([]int, len(p.classes))}
	for c, class := range p.classes {
		part.left[c] = class.count
	}
	for _, node := range to.nodes {
		if node.shape != s {
			part.add(p, planned{node.shape, slices.Clone(node.shares)})
		}
	}
	for i := range part.nodes {
		pl.top(&part, i)
	}
	others := make([]int, len(room))
	for _, u := range used {
		if u != s {
			others[u] = room[u]
		}
	}
	most := to.cost*(1+raiseWorth) + costTolerance
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

// top adds pods that are left to a node that has room for them, the most valuable first.
func (pl *planner) top(to *plan, i int) {
	p, node := pl.problem, &to.nodes[i]
	room := slices.Clone(p.shapes[node.shape].offered)
	has := make([]int, len(p.classes))
	for _, sh := range node.shares {
		has[sh.class] += sh.count
		for d, n := range p.classes[sh.class].request {
			room[d] -= n * int64(sh.count)
		}
	}
	for _, c := range pl.byValue() {
		class := &p.classes[c]
		if to.left[c] == 0 || !class.fits[node.shape] {
			continue
		}
		count := min(to.left[c], class.perNode-has[c])
		for d, n := range class.request {
			if n > 0 {
				count = min(count, int(room[d]/n))
			}
		}
		if count <= 0 {
			continue
		}
		for d, n := range class.request {
			room[d] -= n * int64(count)
		}
		node.shares = append(node.shares, share{c, count})
		to.left[c] -= count
	}
}

// byValue are the classes, the most valuable first.
func (pl *planner) byValue() []int {
	if pl.sorted == nil {
		pl.sorted = slices.Clone(pl.all)
		slices.SortFunc(pl.sorted, func(a, b int) int {
			return cmp.Or(cmp.Compare(pl.values[b], pl.values[a]), cmp.Compare(a, b))
		})
	}
	return pl.sorted
}

// holds reports whether a node of a shape can take these pods.
func (p *problem) holds(s int, shares []share) bool {
	sum := make(amounts, len(p.shapes[s].offered))
	for _, sh := range shares {
		class := &p.classes[sh.class]
		if !class.fits[s] {
			return false
		}
		for d, n := range class.request {
			sum[d] += n * int64(sh.count)
		}
	}
	return sum.within(p.shapes[s].offered)
}

// idle is the mean idle ratio of a node with these pods, over the dimensions but the count of pods.
func (pl *planner) idle(s int, shares []share) float64 {
	f := pl.filler
	total := 0.0
	for d := 1; d < f.dims; d++ {
		used := 0.0
		for _, sh := range shares {
			used += f.sizes[s][sh.class*f.dims+d] * float64(sh.count)
		}
		total += 1 - used
	}
	return total / float64(max(1, f.dims-1))
}

// coarsened is the problem with similar classes joined until there are few enough for the linear program, the class there of
// each class here, and how much more one of here is worth. A problem small enough is returned itself.
func (p *problem) coarsened() (coarse *problem, row []int, ratio []float64) {
	row, ratio = make([]int, len(p.classes)), make([]float64, len(p.classes))
	if len(p.classes) <= maxRows {
		for c := range p.classes {
			row[c], ratio[c] = c, 1
		}
		return p, row, ratio
	}
	for step := 1.1; ; step *= 1.3 {
		coarse = p.joined(step, row)
		if len(coarse.classes) <= maxRows || step > 1e6 {
			break
		}
	}
	for c, class := range p.classes {
		mean, sum, asked := coarse.classes[row[c]].request, 0.0, 0
		for d := 1; d < len(mean); d++ {
			if mean[d] > 0 {
				sum += float64(class.request[d]) / float64(mean[d])
				asked++
			}
		}
		ratio[c] = 1
		if asked > 0 {
			ratio[c] = sum / float64(asked)
		}
	}
	return coarse, row, ratio
}

// joined is the problem with the classes joined that fit the same shapes and whose requests lie in the same step of a scale on
// which each step is so many times the one before. It notes the new class of each.
func (p *problem) joined(step float64, row []int) *problem {
	coarse := &problem{shapes: p.shapes}
	index := make(map[string]int)
	for c, class := range p.classes {
		rounded := make(amounts, len(class.request))
		for d, n := range class.request {
			if n > 0 {
				rounded[d] = 1 + int64(math.Log(float64(n))/math.Log(step))
			}
		}
		key := rounded.key() + boolKey(class.fits)
		at, known := index[key]
		if !known {
			at = len(coarse.classes)
			index[key] = at
			coarse.classes = append(coarse.classes, joinedClass(class))
		}
		row[c] = at
		into := &coarse.classes[at]
		into.perNode = min(into.perNode, class.perNode)
		for d, n := range class.request {
			into.request[d] += n * int64(class.count)
		}
		into.count += class.count
	}
	for c := range coarse.classes {
		class := &coarse.classes[c]
		for d := range class.request {
			class.request[d] /= int64(class.count)
		}
	}
	return coarse
}

// joinedClass is an empty class that fits where another does.
func joinedClass(like class) class {
	return class{request: make(amounts, len(like.request)), fits: like.fits, perNode: like.perNode}
}

func boolKey(list []bool) string {
	b := make([]byte, len(list))
	for i, set := range list {
		if set {
			b[i] = 1
		}
	}
	return string(b)
}
