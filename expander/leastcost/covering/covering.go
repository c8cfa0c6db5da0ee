// Package covering solves one kind of linear program: to cover demands at the least cost by amounts of columns, of which
// there are too many to list.
//
// A column covers some rows some number of times, has a cost, and belongs to a pool, of which only so much may be used:
//
//	minimise    Σ cost(j)·x(j) + penalty·Σ u(i)
//	subject to  Σ covers(j,i)·x(j) + u(i) ≥ demand(i)   for each row i
//	            Σ x(j) ≤ limit(p)                       for each pool p, over its columns
//	            x, u ≥ 0
//
// Bin packing is of this kind: a row is a sort of item, a column one way to fill a bin. What no column covers is left
// uncovered, u, at a penalty, so that every program has a solution. The columns come from a generator, which is asked for
// better ones with the prices of the moment until it has none (Gilmore and Gomory 1961).
//
// The method is the revised simplex method with a dense inverse, made for at most a few hundred rows. There is no library
// for it here because those for Go give no dual prices, which are what column generation lives on. It is deterministic.
package covering

import "math"

// Entry says that a column covers a row so many times.
type Entry struct {
	Row   int
	Times float64 // above 0
}

// Column is one way to cover rows. It must not be changed once it was given to Solve.
type Column struct {
	Pool    int
	Cost    float64 // of one, 0 or more
	Entries []Entry // rows in ascending order, each once
}

// Program is what is to be covered and what of.
type Program struct {
	Demands []float64 // by row; 0 or more
	Limits  []float64 // by pool; +Inf for none
	Penalty float64   // for each time a row is left uncovered
	Columns []Column  // to start with; none is needed

	// Generate returns columns whose reduced cost is below 0 at these prices: Cost − Σ rows[Entry.Row]·Times − pools[Pool];
	// none if there are none, or none that it can find. It may be nil.
	Generate func(rows, pools []float64) []Column

	// MaxSteps bounds the simplex steps; 0 takes a bound that is ample for what a program of this size needs.
	MaxSteps int

	// Stop reports whether to make do with what is found so far. It is called before each step, and may be nil.
	Stop func() bool
}

// Used is a column with its amount, above 0.
type Used struct {
	Column
	Amount float64
}

// Solution is the best use of the columns known in the end.
type Solution struct {
	Used      []Used    // in the order in which the columns became known
	Uncovered []float64 // by row
	Rows      []float64 // price of one more demand, by row; 0 or more
	Pools     []float64 // price of one more of the limit, by pool; 0 or less
	Value     float64   // the cost minimised
	Done      bool      // Generate had nothing more to add, and no step was left to make
}

const (
	tolerance      = 1e-9 // below which a reduced cost is none
	pivotTolerance = 1e-9
	refactorEvery  = 150 // steps after which the inverse is made anew, against rounding errors
	perturbation   = 1e-7
)

// kinds of variables beside the columns, as numbers below 0: uncovered and surplus of row i, slack of pool p.
const (
	uncovered = -1 - iota
	surplus
	slack
)

// variable is one that may be in the basis: a column by index, or another kind with its row or pool.
type variable struct {
	kind  int // index of a column, or uncovered, surplus, slack
	index int // row or pool of the others
}

// solver holds the state of the method. Its constraints are the rows, then the pools that have a limit.
type solver struct {
	Program
	limited []int // constraint of each pool, -1 without
	size    int   // of the basis

	basis   []variable
	inBasis []bool    // by column
	inverse []float64 // of the basis matrix, row by row
	right   []float64 // demands and limits, perturbed
	amount  []float64 // of the basic variables
	price   []float64 // of the constraints
	work    []float64
}

// Solve minimises. It does not change the program.
func Solve(p Program) Solution {
	s := newSolver(p)
	steps := p.MaxSteps
	if steps == 0 {
		steps = 2000 + 20*s.size
	}
	done := false
	for count := 1; count <= steps && (s.Stop == nil || !s.Stop()); count++ {
		entering, reduced := s.bestKnown()
		if reduced > -tolerance {
			if !s.generate() {
				done = true
				break
			}
			continue
		}
		if !s.step(entering) {
			break // cannot happen: costs are not below 0, so nothing is unbounded
		}
		if count%refactorEvery == 0 {
			s.refactor()
		}
		s.setPrices()
	}
	return s.solution(done)
}

func newSolver(p Program) *solver {
	s := &solver{Program: p, size: len(p.Demands)}
	s.Columns = append([]Column(nil), p.Columns...)
	for _, limit := range p.Limits {
		if math.IsInf(limit, 1) {
			s.limited = append(s.limited, -1)
			continue
		}
		s.limited = append(s.limited, s.size)
		s.size++
	}
	s.inBasis = make([]bool, len(s.Columns))
	s.basis = make([]variable, s.size)
	s.inverse = make([]float64, s.size*s.size)
	s.right, s.amount = make([]float64, s.size), make([]float64, s.size)
	s.price, s.work = make([]float64, s.size), make([]float64, s.size)
	for i, demand := range p.Demands {
		s.basis[i] = variable{uncovered, i}
		s.right[i] = demand
	}
	for pool, i := range s.limited {
		if i >= 0 {
			s.basis[i] = variable{slack, pool}
			s.right[i] = max(0, p.Limits[pool])
		}
	}
	for i := range s.size {
		s.inverse[i*s.size+i] = 1
		// Equal right sides make steps that change nothing, and those can go round in circles.
		s.right[i] += perturbation * (1 + float64((i*7919)%1009)/1009)
		s.amount[i] = s.right[i]
	}
	s.setPrices()
	return s
}

// generate asks for more columns, and reports whether there were any.
func (s *solver) generate() bool {
	if s.Generate == nil {
		return false
	}
	better := false
	rows, pools := s.rowPrices(), s.poolPrices()
	for _, c := range s.Generate(rows, pools) {
		if s.reduced(c) < -tolerance {
			better = true
			s.Columns = append(s.Columns, c)
			s.inBasis = append(s.inBasis, false)
		}
	}
	return better
}

func (s *solver) reduced(c Column) float64 {
	r := c.Cost
	for _, e := range c.Entries {
		r -= s.price[e.Row] * e.Times
	}
	if i := s.limited[c.Pool]; i >= 0 {
		r -= s.price[i]
	}
	return r
}

// bestKnown is the variable with the lowest reduced cost among those known, and that cost.
func (s *solver) bestKnown() (best variable, lowest float64) {
	for j, c := range s.Columns {
		if !s.inBasis[j] {
			if r := s.reduced(c); r < lowest {
				best, lowest = variable{j, 0}, r
			}
		}
	}
	for i := range s.Demands {
		if r := s.price[i]; r < lowest {
			best, lowest = variable{surplus, i}, r
		}
		if r := s.Penalty - s.price[i]; r < lowest {
			best, lowest = variable{uncovered, i}, r
		}
	}
	for pool, i := range s.limited {
		if i >= 0 && -s.price[i] < lowest {
			best, lowest = variable{slack, pool}, -s.price[i]
		}
	}
	return best, lowest
}

// entries calls visit with what a variable adds to each constraint.
func (s *solver) entries(v variable, visit func(constraint int, times float64)) {
	switch v.kind {
	case uncovered:
		visit(v.index, 1)
	case surplus:
		visit(v.index, -1)
	case slack:
		visit(s.limited[v.index], 1)
	default:
		c := s.Columns[v.kind]
		for _, e := range c.Entries {
			visit(e.Row, e.Times)
		}
		if i := s.limited[c.Pool]; i >= 0 {
			visit(i, 1)
		}
	}
}

func (s *solver) cost(v variable) float64 {
	switch v.kind {
	case uncovered:
		return s.Penalty
	case surplus, slack:
		return 0
	}
	return s.Columns[v.kind].Cost
}

// step brings a variable into the basis, and reports whether it could.
func (s *solver) step(entering variable) bool {
	n := s.size
	direction := s.work
	clear(direction)
	s.entries(entering, func(constraint int, times float64) {
		for i := range n {
			direction[i] += s.inverse[i*n+constraint] * times
		}
	})
	leaving, ratio := -1, math.Inf(1)
	for i, d := range direction {
		if d <= pivotTolerance {
			continue
		}
		r := max(0, s.amount[i]) / d
		if r < ratio-1e-12 || r < ratio+1e-12 && d > direction[leaving] {
			leaving, ratio = i, r
		}
	}
	if leaving < 0 {
		return false
	}
	s.pivot(leaving, direction, ratio)
	if old := s.basis[leaving]; old.kind >= 0 {
		s.inBasis[old.kind] = false
	}
	if entering.kind >= 0 {
		s.inBasis[entering.kind] = true
	}
	s.basis[leaving] = entering
	return true
}

// pivot updates amounts and inverse for a variable with that direction in the place of the leaving one.
func (s *solver) pivot(leaving int, direction []float64, ratio float64) {
	n := s.size
	pivotRow := s.inverse[leaving*n : leaving*n+n]
	for k := range pivotRow {
		pivotRow[k] /= direction[leaving]
	}
	for i, d := range direction {
		if i == leaving || d == 0 {
			continue
		}
		row := s.inverse[i*n : i*n+n]
		for k, p := range pivotRow {
			if p != 0 {
				row[k] -= d * p
			}
		}
		s.amount[i] -= ratio * d
	}
	s.amount[leaving] = ratio
}

// setPrices computes the prices of the constraints from the costs in the basis.
func (s *solver) setPrices() {
	n := s.size
	clear(s.price)
	for i, v := range s.basis {
		c := s.cost(v)
		if c == 0 {
			continue
		}
		for k, x := range s.inverse[i*n : i*n+n] {
			s.price[k] += c * x
		}
	}
}

// refactor makes inverse and amounts anew from the basis, by elimination with the largest pivot. A basis that turns out
// singular by rounding leaves them as they are.
func (s *solver) refactor() {
	n := s.size
	m := make([]float64, n*2*n) // the basis matrix with the unit matrix beside it
	for j, v := range s.basis {
		s.entries(v, func(constraint int, times float64) { m[constraint*2*n+j] = times })
		m[j*2*n+n+j] = 1
	}
	for col := range n {
		best := col
		for i := col + 1; i < n; i++ {
			if math.Abs(m[i*2*n+col]) > math.Abs(m[best*2*n+col]) {
				best = i
			}
		}
		if math.Abs(m[best*2*n+col]) < 1e-12 {
			return
		}
		if best != col {
			for k := range 2 * n {
				m[best*2*n+k], m[col*2*n+k] = m[col*2*n+k], m[best*2*n+k]
			}
		}
		pivotRow := m[col*2*n : (col+1)*2*n]
		p := pivotRow[col]
		for k := range pivotRow {
			pivotRow[k] /= p
		}
		for i := range n {
			row := m[i*2*n : (i+1)*2*n]
			f := row[col]
			if i == col || f == 0 {
				continue
			}
			for k := col; k < 2*n; k++ {
				row[k] -= f * pivotRow[k]
			}
		}
	}
	for i := range n {
		copy(s.inverse[i*n:i*n+n], m[i*2*n+n:(i+1)*2*n])
		s.amount[i] = 0
		for k, r := range s.right {
			s.amount[i] += s.inverse[i*n+k] * r
		}
	}
}

func (s *solver) rowPrices() []float64 {
	rows := make([]float64, len(s.Demands))
	for i := range rows {
		rows[i] = max(0, s.price[i])
	}
	return rows
}

func (s *solver) poolPrices() []float64 {
	pools := make([]float64, len(s.Limits))
	for pool, i := range s.limited {
		if i >= 0 {
			pools[pool] = min(0, s.price[i])
		}
	}
	return pools
}

func (s *solver) solution(done bool) Solution {
	result := Solution{Rows: s.rowPrices(), Pools: s.poolPrices(), Uncovered: make([]float64, len(s.Demands)), Done: done}
	amounts := make([]float64, len(s.Columns))
	for i, v := range s.basis {
		amount := s.amount[i]
		if amount <= 10*perturbation {
			continue
		}
		switch {
		case v.kind >= 0:
			amounts[v.kind] = amount
			result.Value += amount * s.Columns[v.kind].Cost
		case v.kind == uncovered:
			result.Uncovered[v.index] = amount
			result.Value += amount * s.Penalty
		}
	}
	for j, amount := range amounts {
		if amount > 0 {
			result.Used = append(result.Used, Used{s.Columns[j], amount})
		}
	}
	return result
}
