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

// Program is a set of demands and the columns that can cover them.
type Program struct {
	Demands []float64 // by row, 0 or more
	Limits  []float64 // by pool, +Inf for none
	Penalty float64   // for each time a row is left uncovered
	Columns []Column  // to start with, may be empty

	// Generate returns columns whose reduced cost is below 0 at these prices: Cost − Σ rows[Entry.Row]·Times − pools[Pool]. It
	// returns none if it finds none. It may be nil.
	Generate func(rows, pools []float64) []Column

	// MaxSteps bounds the simplex steps. 0 takes a bound that is ample for a program of this size.
	MaxSteps int

	// Stop reports whether to return the best solution so far. It is called before each step, and may be nil.
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
	Rows      []float64 // price of one more demand, by row, 0 or more
	Pools     []float64 // price of one more of the limit, by pool, 0 or less
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
