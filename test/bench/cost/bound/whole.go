package bound

import (
	"cmp"
	"slices"
)

// maxBranches bounds the search for the best filling of one node with whole pods.
const maxBranches = 20000

// wholeFill is the knapsack with whole pods, by branch and bound. Where the search is cut short, the second result is the bound
// of the fractional filling, which holds for whole pods all the more.
func (p Problem) wholeFill(g int, values []float64) ([]float64, float64) {
	_, atMost := p.fractionalFill(g, values)
	s := search{problem: p, group: g, values: values, room: slices.Clone(p.Groups[g].Offers)}
	for kind := range p.Kinds {
		if values[kind] > 0 && p.fits(kind, g) {
			s.kinds = append(s.kinds, kind)
		}
	}
	slices.SortFunc(s.kinds, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.density(b), s.density(a)), cmp.Compare(a, b))
	})
	s.counts, s.best = make([]int, len(s.kinds)), make([]int, len(s.kinds))
	s.branch(0, 0)
	pods := make([]float64, len(p.Kinds))
	for i, n := range s.best {
		pods[s.kinds[i]] = float64(n)
	}
	if s.branches <= maxBranches {
		return pods, min(atMost, s.worth*(1+1e-12))
	}
	return pods, atMost
}

// search is the state of a branch and bound.
type search struct {
	problem  Problem
	group    int
	values   []float64
	kinds    []int // the densest first
	room     []float64
	counts   []int
	best     []int
	worth    float64
	branches int
}

// density is the value of a pod per sum of the shares of the node that it takes.
func (s *search) density(kind int) float64 { return s.values[kind] / s.share(kind) }

// share is the sum over the resources of the shares of the node that a pod takes.
func (s *search) share(kind int) float64 {
	total := 1e-12
	for d, r := range s.problem.Kinds[kind].Requests {
		if offer := s.problem.Groups[s.group].Offers[d]; offer > 0 {
			total += r / offer
		}
	}
	return total
}

// branch tries all counts of the kinds from i on, the highest first.
func (s *search) branch(i int, worth float64) {
	s.branches++
	if worth > s.worth {
		s.worth = worth
		copy(s.best, s.counts)
		clear(s.best[i:])
	}
	if i == len(s.kinds) || s.branches > maxBranches {
		return
	}
	left := 0.0
	for d, r := range s.room {
		if offer := s.problem.Groups[s.group].Offers[d]; offer > 0 {
			left += r / offer
		}
	}
	if worth+left*s.density(s.kinds[i]) <= s.worth*(1+1e-12) {
		return
	}
	kind := s.problem.Kinds[s.kinds[i]]
	most := kind.Count
	for d, r := range kind.Requests {
		if r > 0 {
			most = min(most, int(s.room[d]/r+1e-9))
		}
	}
	for n := most; n >= 0; n-- {
		for d, r := range kind.Requests {
			s.room[d] -= r * float64(n)
		}
		s.counts[i] = n
		s.branch(i+1, worth+float64(n)*s.values[s.kinds[i]])
		s.counts[i] = 0
		for d, r := range kind.Requests {
			s.room[d] += r * float64(n)
		}
	}
}
