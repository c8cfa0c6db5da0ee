package covering

import (
	"math"
	"math/rand/v2"
	"testing"
)

// patterns gives the ways to cut a roll of a width into pieces, one piece a row, that are worth more than the roll.
func patterns(width int, pieces []int) func(rows, pools []float64) []Column {
	return func(rows, pools []float64) []Column {
		best := make([]float64, width+1) // the unbounded knapsack by dynamic programming
		last := make([]int, width+1)
		for w := 1; w <= width; w++ {
			best[w], last[w] = best[w-1], -1
			for i, p := range pieces {
				if p <= w && best[w-p]+rows[i] > best[w]+1e-12 {
					best[w], last[w] = best[w-p]+rows[i], i
				}
			}
		}
		if best[width]+pools[0] <= 1+1e-9 {
			return nil
		}
		times := make([]float64, len(pieces))
		for w := width; w > 0; {
			if last[w] < 0 {
				w--
				continue
			}
			times[last[w]]++
			w -= pieces[last[w]]
		}
		c := Column{Cost: 1}
		for i, n := range times {
			if n > 0 {
				c.Entries = append(c.Entries, Entry{i, n})
			}
		}
		return []Column{c}
	}
}

// The cutting stock problem of a textbook: rolls of 100, pieces of 45, 36, 31 and 14 (Chvátal, Linear Programming, chapter 13).
func TestSolveCutsRollsAsTheTextbookDoes(t *testing.T) {
	s := Solve(Program{
		Demands: []float64{97, 610, 395, 211}, Limits: []float64{math.Inf(1)}, Penalty: 10,
		Generate: patterns(100, []int{45, 36, 31, 14}),
	})
	if !s.Done || math.Abs(s.Value-452.25) > 1e-3 {
		t.Errorf("value %v, done %t, want 452.25 rolls", s.Value, s.Done)
	}
}

func TestWhatALimitLeavesIsUncoveredAtThePenalty(t *testing.T) {
	s := Solve(Program{
		Demands: []float64{10}, Limits: []float64{3, math.Inf(1)}, Penalty: 100,
		Columns: []Column{{Pool: 0, Cost: 1, Entries: []Entry{{0, 2}}}},
	})
	if math.Abs(s.Uncovered[0]-4) > 1e-3 || math.Abs(s.Value-(3+4*100)) > 0.1 {
		t.Errorf("uncovered %v at a value of %v, want 4 and 403", s.Uncovered, s.Value)
	}
	if math.Abs(s.Rows[0]-100) > 1e-6 || math.Abs(s.Pools[0]+199) > 1e-6 {
		t.Errorf("prices %v and %v, want 100 for one more to cover and -199 for one more of the limit", s.Rows, s.Pools)
	}
}

// A solution is the best one if it keeps the constraints, its prices let no column save anything, and both come to the same
// value: the duality of linear programs.
func TestSolutionsOfRandomProgramsAreOptimal(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for round := range 300 {
		p := Program{Penalty: 50}
		for range 1 + random.IntN(12) {
			p.Demands = append(p.Demands, float64(random.IntN(40)))
		}
		for range 1 + random.IntN(4) {
			limit := math.Inf(1)
			if random.IntN(2) == 0 {
				limit = float64(random.IntN(20))
			}
			p.Limits = append(p.Limits, limit)
		}
		for range random.IntN(60) {
			c := Column{Pool: random.IntN(len(p.Limits)), Cost: float64(random.IntN(30))}
			for row := range p.Demands {
				if random.IntN(3) == 0 {
					c.Entries = append(c.Entries, Entry{row, float64(1 + random.IntN(5))})
				}
			}
			p.Columns = append(p.Columns, c)
		}
		checkOptimal(t, round, p, Solve(p))
	}
}

func checkOptimal(t *testing.T, round int, p Program, s Solution) {
	t.Helper()
	const near = 1e-3
	covered, used := make([]float64, len(p.Demands)), make([]float64, len(p.Limits))
	for _, u := range s.Used {
		used[u.Pool] += u.Amount
		for _, e := range u.Entries {
			covered[e.Row] += e.Times * u.Amount
		}
	}
	dual := 0.0
	for row, demand := range p.Demands {
		if covered[row]+s.Uncovered[row] < demand-near {
			t.Errorf("round %d: row %d is covered %v times of %v", round, row, covered[row], demand)
		}
		if s.Rows[row] > p.Penalty+1e-6 {
			t.Errorf("round %d: row %d is priced at %v, above the penalty", round, row, s.Rows[row])
		}
		dual += demand * s.Rows[row]
	}
	for pool, limit := range p.Limits {
		if used[pool] > limit+near {
			t.Errorf("round %d: pool %d has %v used of %v", round, pool, used[pool], limit)
		}
		if !math.IsInf(limit, 1) {
			dual += limit * s.Pools[pool]
		}
	}
	for j, c := range p.Columns {
		saves := s.Pools[c.Pool] - c.Cost
		for _, e := range c.Entries {
			saves += s.Rows[e.Row] * e.Times
		}
		if saves > 1e-6 {
			t.Errorf("round %d: column %d would save %v", round, j, saves)
		}
	}
	if math.Abs(dual-s.Value) > near*(1+s.Value) || !s.Done {
		t.Errorf("round %d: value %v, dual value %v, done %t", round, s.Value, dual, s.Done)
	}
}
