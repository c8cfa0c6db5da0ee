package bound

import (
	"math"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/covering"
)

// Kind is a kind of equal pods.
type Kind struct {
	Count    int
	Requests []float64 // by resource
	Fits     []bool    // by group
}

// Group is a group of equal nodes for sale.
type Group struct {
	PerHour float64
	Offers  []float64 // by resource
	Max     int
}

// Problem is the pods to pack and the nodes for them. It leaves out pods that no group can take.
type Problem struct {
	Kinds  []Kind
	Groups []Group
}

// Bounds are in money per hour.
type Bounds struct {
	Fractional float64 // nodes and pods in parts
	WholePods  float64 // nodes in parts, the pods on each whole, at least Fractional
}

// Of computes the bounds.
func Of(p Problem) Bounds {
	// Pods that ask for nothing cost nothing here, whatever they are worth to the solver.
	p.Kinds = slices.DeleteFunc(slices.Clone(p.Kinds), func(k Kind) bool { return slices.Max(append(k.Requests, 0)) <= 0 })
	fractional := p.solve(p.fractionalFill)
	return Bounds{Fractional: fractional, WholePods: max(fractional, p.solve(p.wholeFill))}
}

// filling is a node's worth of pods, by kind, of the highest value, and an upper bound for the value of any filling.
type filling func(g int, values []float64) (pods []float64, atMost float64)

// solve finds good prices for the pods, and makes them a bound.
func (p Problem) solve(fill filling) float64 {
	program := covering.Program{MaxSteps: 20000}
	for _, k := range p.Kinds {
		program.Demands = append(program.Demands, float64(k.Count))
	}
	for _, g := range p.Groups {
		program.Limits = append(program.Limits, float64(g.Max))
		program.Penalty = max(program.Penalty, 10*g.PerHour)
	}
	program.Generate = func(values, pools []float64) []covering.Column {
		var columns []covering.Column
		for g, group := range p.Groups {
			pods, _ := fill(g, values)
			column := covering.Column{Pool: g, Cost: group.PerHour}
			worth := pools[g]
			for kind, n := range pods {
				if n > 0 {
					column.Entries = append(column.Entries, covering.Entry{Row: kind, Times: n})
					worth += n * values[kind]
				}
			}
			if worth > group.PerHour*(1+1e-9) {
				columns = append(columns, column)
			}
		}
		return columns
	}
	solution := covering.Solve(program)
	return p.checked(solution.Rows, solution.Pools, fill)
}

// checked is the value of the prices as a solution of the dual program: no node may hold pods of a higher value than it costs.
// If one does, it scales all values down.
func (p Problem) checked(values, pools []float64, fill filling) float64 {
	scale := 1.0
	for g, group := range p.Groups {
		if _, atMost := fill(g, values); atMost > 0 {
			scale = min(scale, (group.PerHour-min(0, pools[g]))/atMost)
		}
	}
	total := 0.0
	for kind, k := range p.Kinds {
		total += scale * max(0, values[kind]) * float64(k.Count)
	}
	for g, group := range p.Groups {
		total += min(0, pools[g]) * float64(group.Max)
	}
	return max(0, total*(1-1e-9))
}

// fits reports whether one pod of a kind has room on an empty node of the group.
func (p Problem) fits(kind, g int) bool {
	if !p.Kinds[kind].Fits[g] {
		return false
	}
	for d, r := range p.Kinds[kind].Requests {
		if r > p.Groups[g].Offers[d]+1e-9 {
			return false
		}
	}
	return true
}

// fractionalFill is the fractional knapsack in several resources: a linear program with one constraint per resource, by the
// simplex method on its tableau. The second result comes from its dual prices, made feasible.
func (p Problem) fractionalFill(g int, values []float64) ([]float64, float64) {
	var kinds []int
	for kind := range p.Kinds {
		if values[kind] > 0 && p.fits(kind, g) {
			kinds = append(kinds, kind)
		}
	}
	resources := len(p.Groups[g].Offers)
	width := len(kinds) + resources + 1 // kinds, slacks, right side
	rows := make([][]float64, resources+1)
	for d := range resources {
		rows[d] = make([]float64, width)
		offer := p.Groups[g].Offers[d]
		if offer <= 0 {
			rows[d][len(kinds)+d] = 1 // no kind that fits asks for it
			continue
		}
		for j, kind := range kinds {
			rows[d][j] = p.Kinds[kind].Requests[d] / offer
		}
		rows[d][len(kinds)+d], rows[d][width-1] = 1, 1
	}
	last := make([]float64, width)
	for j, kind := range kinds {
		last[j] = -values[kind]
	}
	rows[resources] = last
	basis := make([]int, resources)
	for d := range basis {
		basis[d] = len(kinds) + d
	}
	maximise(rows, basis)
	pods := make([]float64, len(p.Kinds))
	for d, j := range basis {
		if j < len(kinds) {
			pods[kinds[j]] = rows[d][width-1]
		}
	}
	return pods, p.dualValue(g, kinds, values, last[len(kinds):len(kinds)+resources])
}

// dualValue is the value of a full node at those prices of its resources, raised until no kind is worth more than it takes. No
// filling is worth more.
func (p Problem) dualValue(g int, kinds []int, values, prices []float64) float64 {
	total, scale := 0.0, 1.0
	for d, price := range prices {
		if p.Groups[g].Offers[d] > 0 {
			total += max(0, price)
		}
	}
	for _, kind := range kinds {
		cost := 0.0
		for d, price := range prices {
			if offer := p.Groups[g].Offers[d]; offer > 0 {
				cost += max(0, price) * p.Kinds[kind].Requests[d] / offer
			}
		}
		if cost < values[kind] {
			scale = max(scale, values[kind]/max(cost, 1e-12))
		}
	}
	return total * scale
}

// maximise brings a tableau to its optimum by Bland's rule, which cannot cycle.
func maximise(rows [][]float64, basis []int) {
	last := rows[len(rows)-1]
	width := len(last)
	for range 10000 {
		enter := -1
		for j := range width - 1 {
			if last[j] < -1e-12 {
				enter = j
				break
			}
		}
		if enter < 0 {
			return
		}
		leave, ratio := -1, math.Inf(1)
		for i := range len(rows) - 1 {
			if rows[i][enter] > 1e-12 {
				if r := rows[i][width-1] / rows[i][enter]; r < ratio-1e-15 || r <= ratio && basis[i] < basis[max(leave, 0)] {
					leave, ratio = i, r
				}
			}
		}
		if leave < 0 {
			return
		}
		pivot := rows[leave][enter]
		for j := range width {
			rows[leave][j] /= pivot
		}
		for i, row := range rows {
			if f := row[enter]; i != leave && f != 0 {
				for j := range width {
					row[j] -= f * rows[leave][j]
				}
			}
		}
		basis[leave] = enter
	}
}
