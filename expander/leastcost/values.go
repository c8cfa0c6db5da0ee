package leastcost

import (
	"math"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost/covering"
)

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
	coarse = p.joined(1.1, true, row)
	for step := 1.3; len(coarse.classes) > maxRows; step *= 1.3 {
		// Pods that fit other shapes are only joined if nothing else helps.
		coarse = p.joined(step, step < 10, row)
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

// joined is the problem with the classes joined whose requests lie in the same step of a scale on which each step is so many
// times the one before and, if it says so, that fit the same shapes. It notes the new class of each.
func (p *problem) joined(step float64, sameShapes bool, row []int) *problem {
	coarse := &problem{shapes: p.shapes}
	index := make(map[string]int)
	for c, class := range p.classes {
		rounded := make(amounts, len(class.request))
		for d, n := range class.request {
			if n > 0 {
				rounded[d] = 1 + int64(math.Log(float64(n))/math.Log(step))
			}
		}
		key := rounded.key()
		switch {
		case sameShapes:
			key += boolKey(class.fits)
		case step > 1e6: // they ask for too many different resources
			key = ""
		}
		at, known := index[key]
		if !known {
			at = len(coarse.classes)
			index[key] = at
			coarse.classes = append(coarse.classes, joinedClass(class))
		}
		row[c] = at
		into := &coarse.classes[at]
		into.perNode = min(into.perNode, class.perNode)
		for s, fits := range class.fits {
			into.fits[s] = into.fits[s] || fits
		}
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
	return class{request: make(amounts, len(like.request)), fits: slices.Clone(like.fits), perNode: like.perNode}
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
