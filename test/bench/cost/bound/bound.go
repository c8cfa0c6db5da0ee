package bound

import (
	"math"
	"slices"
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

// Of computes the bound, in money per hour.
func Of(p Problem) float64 {
	// Pods that ask for nothing cost nothing here, whatever they are worth to the solver.
	p.Kinds = slices.DeleteFunc(slices.Clone(p.Kinds), func(k Kind) bool { return slices.Max(append(k.Requests, 0)) <= 0 })
	return p.solve()
}

// maxCuts bounds the search for better fillings. The built-in mixes take a few hundred.
const maxCuts = 5000

// A cut is a filling of a node of a group, whose pods must not be worth more than the node costs.
type cut struct {
	group int
	pods  []float64
}

// solve finds good prices for the pods, and makes them a bound. It knows the most valuable fillings at the prices so far, and asks
// for better ones until there are none (Gilmore and Gomory 1961).
func (p Problem) solve() float64 {
	var values, pools []float64
	var cuts []cut
	for more := true; more; {
		values, pools = p.prices(cuts)
		known := len(cuts)
		for g, group := range p.Groups {
			pods, _ := p.fill(g, values)
			worth := -pools[g]
			for kind, n := range pods {
				worth += n * values[kind]
			}
			if worth > group.PerHour*(1+1e-9) {
				cuts = append(cuts, cut{g, pods})
			}
		}
		more = len(cuts) > known && len(cuts) < maxCuts
	}
	return p.checked(values, pools)
}

// prices are the values of the pods by kind and of one more node by group, both 0 or more, at which all pods are worth the most and
// no cut is broken.
func (p Problem) prices(cuts []cut) (values, pools []float64) {
	kinds := len(p.Kinds)
	var worth, limits []float64
	var rows [][]float64
	dearest := 0.0
	for _, g := range p.Groups {
		dearest = max(dearest, g.PerHour)
	}
	for kind, k := range p.Kinds {
		worth = append(worth, float64(k.Count))
		row := make([]float64, kinds+len(p.Groups))
		row[kind] = 1
		rows, limits = append(rows, row), append(limits, 10*dearest)
	}
	for _, g := range p.Groups {
		worth = append(worth, -float64(g.Max))
	}
	for _, c := range cuts {
		row := append(slices.Clone(c.pods), make([]float64, len(p.Groups))...)
		row[kinds+c.group] = -1
		rows, limits = append(rows, row), append(limits, p.Groups[c.group].PerHour)
	}
	best, _ := maximise(worth, rows, limits)
	return best[:kinds], best[kinds:]
}

// checked is the value of the prices as a solution of the dual program: no node may hold pods of a higher value than it costs.
// If one does, it scales all values down.
func (p Problem) checked(values, pools []float64) float64 {
	scale := 1.0
	for g, group := range p.Groups {
		if _, atMost := p.fill(g, values); atMost > 0 {
			scale = min(scale, (group.PerHour+pools[g])/atMost)
		}
	}
	total := 0.0
	for kind, k := range p.Kinds {
		total += scale * max(0, values[kind]) * float64(k.Count)
	}
	for g, group := range p.Groups {
		total -= pools[g] * float64(group.Max)
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

// fill returns a node's worth of pods, by kind, of the highest value, and an upper bound for the value of any filling. It is the fractional
// knapsack in several resources: a linear program with one constraint per resource. The bound comes from its dual prices, made feasible.
func (p Problem) fill(g int, values []float64) ([]float64, float64) {
	var kinds []int
	for kind := range p.Kinds {
		if values[kind] > 0 && p.fits(kind, g) {
			kinds = append(kinds, kind)
		}
	}
	var worth []float64
	for _, kind := range kinds {
		worth = append(worth, values[kind])
	}
	var rows [][]float64
	var limits []float64
	for d, offer := range p.Groups[g].Offers {
		row, limit := make([]float64, len(kinds)), 0.0
		if offer > 0 { // else no kind that fits asks for it
			limit = 1
			for j, kind := range kinds {
				row[j] = p.Kinds[kind].Requests[d] / offer
			}
		}
		rows, limits = append(rows, row), append(limits, limit)
	}
	amounts, prices := maximise(worth, rows, limits)
	pods := make([]float64, len(p.Kinds))
	for j, kind := range kinds {
		pods[kind] = amounts[j]
	}
	return pods, p.dualValue(g, kinds, values, prices)
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

// maximise returns the amounts, 0 or more, of the highest total worth that keep all rows below their limits, which are 0 or more, and the
// price of one more of each limit. It is the simplex method on a tableau, with Bland's rule, which cannot cycle.
func maximise(worth []float64, rows [][]float64, limits []float64) (amounts, prices []float64) {
	n, width := len(worth), len(worth)+len(rows)+1 // amounts, slacks, right side
	tableau, basis := make([][]float64, len(rows)+1), make([]int, len(rows))
	for i := range tableau {
		tableau[i] = make([]float64, width)
	}
	for i, row := range rows {
		copy(tableau[i], row)
		tableau[i][n+i], tableau[i][width-1] = 1, limits[i]
		basis[i] = n + i
	}
	last := tableau[len(rows)]
	for j, w := range worth {
		last[j] = -w
	}
	for range 10000 {
		enter := slices.IndexFunc(last[:width-1], func(x float64) bool { return x < -1e-12 })
		if enter < 0 {
			break
		}
		leave, ratio := -1, math.Inf(1)
		for i := range rows {
			if tableau[i][enter] > 1e-12 {
				if r := tableau[i][width-1] / tableau[i][enter]; r < ratio-1e-15 || r <= ratio && basis[i] < basis[max(leave, 0)] {
					leave, ratio = i, r
				}
			}
		}
		if leave < 0 {
			break
		}
		pivot(tableau, leave, enter)
		basis[leave] = enter
	}
	amounts = make([]float64, n)
	for i, j := range basis {
		if j < n {
			amounts[j] = tableau[i][width-1]
		}
	}
	return amounts, last[n : width-1]
}

// pivot makes the column a unit of the row.
func pivot(tableau [][]float64, leave, enter int) {
	row := tableau[leave]
	by := row[enter]
	for j := range row {
		row[j] /= by
	}
	for i, other := range tableau {
		if f := other[enter]; i != leave && f != 0 {
			for j, x := range row {
				other[j] -= f * x
			}
		}
	}
}
