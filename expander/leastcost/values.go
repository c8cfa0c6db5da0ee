package leastcost

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost/covering"
)

// setValues solves the linear program, sets the values of the classes, and returns the patterns it uses. With many shapes it
// also bounds what their nodes are worth.
func (pl *planner) setValues() []covering.Used {
	p := pl.problem
	coarse, row, ratio := p.coarsened()
	solution := pl.solveDivisible(coarse)
	if !solution.Done && pl.timer.cut {
		coarse.cap(solution.Rows)
	}
	if len(p.best) > manyShapes {
		pl.upper = coarse.promises(solution.Rows)
	}
	pl.values = make([]float64, len(p.classes))
	for c := range pl.values {
		pl.values[c] = solution.Rows[row[c]] * ratio[c]
	}
	// A pod that the program takes along for nothing is worth taking along here, too, if nothing better is in its place.
	for c, class := range p.classes {
		least := math.Inf(1)
		for s, shape := range p.shapes {
			if class.fits.has(s) {
				if least = min(least, shape.cost*p.largest(s, c)); 0.01*least <= pl.values[c] {
					break
				}
			}
		}
		if !math.IsInf(least, 1) {
			pl.values[c] = max(pl.values[c], 0.01*least)
		}
	}
	if coarse != p {
		return nil // its patterns are of pods that do not exist
	}
	return solution.Used
}

// cap lowers the values to the pods' costs on nodes of their own: no program solved to the end has higher ones, unless the
// groups' limits leave pods over.
func (p *problem) cap(values []float64) {
	for c, class := range p.classes {
		least := math.Inf(1)
		for s, shape := range p.shapes {
			if class.fits.has(s) {
				alone := min(class.count, class.perNode, int(1/max(p.largest(s, c), 1e-9)))
				least = min(least, shape.cost/float64(max(1, alone)))
			}
		}
		values[c] = min(values[c], least)
	}
}

// promises returns the value of a full node of each shape for its cost.
func (p *problem) promises(values []float64) []float64 {
	f := newFiller(p)
	counts, all := p.counts()
	list := make([]float64, len(p.shapes))
	for s, shape := range p.shapes {
		_, worth := f.fill(s, values, counts, all)
		list[s] = worth / shape.cost
	}
	return list
}

// counts are the pods by class, and all classes.
func (p *problem) counts() (counts, all []int) {
	for c, class := range p.classes {
		counts, all = append(counts, class.count), append(all, c)
	}
	return counts, all
}

// maxColumns is how many columns are made at a time where there are many shapes.
const maxColumns = 20

// solveDivisible packs as if nodes could be bought in parts. Limits of the shapes are only looked at once they are passed.
func (pl *planner) solveDivisible(p *problem) covering.Solution {
	f := newFiller(p)
	stopped := false
	late := func() bool {
		stopped = stopped || pl.timer.past(programShare)
		return stopped
	}
	program := covering.Program{MaxSteps: maxSteps, Stop: late}
	counts, all := p.counts()
	for _, count := range counts {
		program.Demands = append(program.Demands, float64(count))
	}
	for _, s := range p.shapes {
		program.Limits = append(program.Limits, math.Inf(1))
		program.Penalty = max(program.Penalty, 10*s.cost)
	}
	from := 0
	program.Generate = func(rows, pools []float64) []covering.Column {
		var columns []covering.Column
		for i := range p.shapes {
			s := (from + i) % len(p.shapes)
			if better := p.shapes[s].better; better >= 0 && math.IsInf(program.Limits[better], 1) {
				continue
			}
			if shares, worth := f.fill(s, rows, counts, all); p.shapes[s].cost-pools[s]-worth < -programTolerance*p.shapes[s].cost {
				columns = append(columns, column(s, p.shapes[s].cost, shares))
			}
			if len(p.best) > manyShapes && (len(columns) == maxColumns || late()) {
				from = s + 1
				break
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
		if !passed || late() {
			solution.Done = solution.Done && !stopped
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
	// Pods that fit other shapes are only joined if nothing else helps.
	shapes := make([]string, len(p.classes))
	for c, class := range p.classes {
		shapes[c] = keyOf(class.fits)
	}
	if !p.rowsOf(row, shapes, 10) {
		p.rowsOf(row, make([]string, len(p.classes)), math.Inf(1))
	}
	coarse = p.joined(row)
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

// rowsOf numbers the classes so that those have one number that share a key and whose requests lie in the same step of a scale on
// which each step is so many times the one before. It takes wider steps until there are few enough numbers, and reports whether
// there were before the steps came to be as wide as widest.
func (p *problem) rowsOf(row []int, keys []string, widest float64) bool {
	key := []byte{}
	for step := 1.1; step < widest; step *= 1.3 {
		index := make(map[string]int)
		for c, class := range p.classes {
			key = append(key[:0], keys[c]...)
			for _, n := range class.request {
				if n > 0 && step < 1e6 { // else they ask for too many different resources
					n = 1 + int64(math.Log(float64(n))/math.Log(step))
				} else {
					n = 0
				}
				key = binary.AppendVarint(key, n)
			}
			at, known := index[string(key)]
			if !known {
				if at = len(index); at == joinedRows {
					break
				}
				index[string(key)] = at
			}
			row[c] = at
			if c == len(p.classes)-1 {
				return true
			}
		}
	}
	return false
}

// joined is the problem with the classes of one number joined.
func (p *problem) joined(row []int) *problem {
	coarse := &problem{shapes: p.shapes, best: p.best, known: p.known, classes: make([]class, 1+slices.Max(row))}
	for c, from := range p.classes {
		into := &coarse.classes[row[c]]
		if into.count == 0 {
			*into = class{request: make(amounts, len(from.request)), fits: newBits(len(p.shapes)), perNode: from.perNode}
		}
		into.perNode = min(into.perNode, from.perNode)
		into.fits.add(from.fits)
		into.request.add(from.request, from.count)
		into.count += from.count
	}
	for c := range coarse.classes {
		for d := range coarse.classes[c].request {
			coarse.classes[c].request[d] /= int64(coarse.classes[c].count)
		}
	}
	return coarse
}
