package bound

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

// cheapest is the cost of the cheapest packing of whole pods on whole nodes, by trying all of them, or +Inf if there is none.
// nodes are the nodes bought so far, by group. Every pod goes on one of them or on a new one.
func (p Problem) cheapest() float64 {
	var pods []int // by kind
	for kind, k := range p.Kinds {
		for range k.Count {
			pods = append(pods, kind)
		}
	}
	s := &exhaustive{p: p, pods: pods, best: math.Inf(1), bought: make([]int, len(p.Groups))}
	s.try(0, 0)
	return s.best
}

type exhaustive struct {
	p      Problem
	pods   []int
	nodes  []exhaustiveNode
	bought []int
	best   float64
}

type exhaustiveNode struct {
	group int
	room  []float64
}

func (s *exhaustive) try(i int, cost float64) {
	if cost >= s.best-1e-12 {
		return
	}
	if i == len(s.pods) {
		s.best = cost
		return
	}
	kind := s.p.Kinds[s.pods[i]]
	for n := range s.nodes {
		if kind.Fits[s.nodes[n].group] && s.take(n, kind, 1) {
			s.try(i+1, cost)
			s.take(n, kind, -1)
		}
	}
	for g, group := range s.p.Groups {
		if !s.p.fits(s.pods[i], g) || s.bought[g] == group.Max {
			continue
		}
		s.bought[g]++
		s.nodes = append(s.nodes, exhaustiveNode{g, slices.Clone(group.Offers)})
		s.take(len(s.nodes)-1, kind, 1)
		s.try(i+1, cost+group.PerHour)
		s.nodes = s.nodes[:len(s.nodes)-1]
		s.bought[g]--
	}
}

// take puts a pod on a node, or with -1 off it again, and reports whether there was room.
func (s *exhaustive) take(n int, kind Kind, sign float64) bool {
	for d, r := range kind.Requests {
		if sign*r > s.nodes[n].room[d]+1e-9 {
			return false
		}
	}
	for d, r := range kind.Requests {
		s.nodes[n].room[d] -= sign * r
	}
	return true
}

func TestBoundNeverExceedsCheapestPacking(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	tight := 0
	for round := range 400 {
		p := Problem{}
		resources := 1 + random.IntN(3)
		for range 1 + random.IntN(3) {
			g := Group{PerHour: 0.1 + random.Float64(), Max: 1 + random.IntN(7)}
			for range resources {
				g.Offers = append(g.Offers, float64(2+random.IntN(12)))
			}
			p.Groups = append(p.Groups, g)
		}
		for range 1 + random.IntN(3) {
			k := Kind{Count: 1 + random.IntN(2)}
			for range resources {
				k.Requests = append(k.Requests, float64(random.IntN(7)))
			}
			for range p.Groups {
				k.Fits = append(k.Fits, random.IntN(4) > 0)
			}
			p.Kinds = append(p.Kinds, k)
		}
		p = p.placeable()
		optimum := p.cheapest()
		if math.IsInf(optimum, 1) {
			continue // the limits of the groups leave pods over
		}
		b := Of(p)
		assert.LessOrEqualf(t, b, optimum+1e-9, "round %d: bound above the optimum of %+v", round, p)
		if b > 0.999*optimum && optimum > 0 {
			tight++
		}
	}
	assert.True(t, tight != 0, "no bound came near an optimum: they say nothing")
}

func TestBoundMatchesFormulas(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Problem
		want float64
	}{
		{
			name: "a hundred pods of 3 on nodes of 8 at 1: 300/8",
			p: Problem{Groups: []Group{{PerHour: 1, Max: 1000, Offers: []float64{8}}},
				Kinds: []Kind{{Count: 100, Requests: []float64{3}, Fits: []bool{true}}}},
			want: 37.5,
		},
		{
			name: "the cheaper group as far as it goes",
			p: Problem{Groups: []Group{{PerHour: 1, Max: 10, Offers: []float64{4}}, {PerHour: 3, Max: 1000, Offers: []float64{4}}},
				Kinds: []Kind{{Count: 60, Requests: []float64{1}, Fits: []bool{true, true}}}},
			want: 10 + 3*5,
		},
		{
			name: "two kinds that fill each other's node",
			p: Problem{Groups: []Group{{PerHour: 2, Max: 1000, Offers: []float64{4, 4}}},
				Kinds: []Kind{{Count: 10, Requests: []float64{3, 1}, Fits: []bool{true}}, {Count: 10, Requests: []float64{1, 3}, Fits: []bool{true}}}},
			want: 20,
		},
		{
			name: "rolls of 100 cut into four widths (Chvátal, Linear Programming, chapter 13)",
			p: Problem{Groups: []Group{{PerHour: 1, Max: 10000, Offers: []float64{100}}}, Kinds: []Kind{
				{Count: 97, Requests: []float64{45}, Fits: []bool{true}}, {Count: 610, Requests: []float64{36}, Fits: []bool{true}},
				{Count: 395, Requests: []float64{31}, Fits: []bool{true}}, {Count: 211, Requests: []float64{14}, Fits: []bool{true}}}},
			want: 415.24,
		},
	} {
		assert.InDeltaf(t, tt.want, Of(tt.p), 1e-3, "%s: bound", tt.name)
	}
}

// By CPU one node would do.
func TestMixBoundCountsWhatANodeHasOneOf(t *testing.T) {
	for _, pods := range []string{
		`{"name": "a", "count": 3, "cpu": "10m", "hostPort": 80}, {"name": "b", "cpu": "10m", "hostPort": 80}`,
		`{"name": "a", "count": 3, "cpu": "10m", "exclusive": "disk"}, {"name": "b", "cpu": "10m", "exclusive": "disk"}`,
		`{"name": "a", "count": 4, "cpu": "10m", "onePerNode": true}`,
	} {
		m, err := mix.Parse([]byte(`{"types": ["m5.xlarge"], "prices": {"m5.xlarge": 1}, "pods": [` + pods + `]}`))
		require.NoError(t, err)
		assert.InDeltaf(t, 4, Of(OfMix(m)), 1e-3, "bound of pods %s", pods)
	}
}

// A wrong solver must not make the bound wrong. Its prices are checked, whatever they are.
func TestTooHighPricesAreScaledDown(t *testing.T) {
	p := Problem{Groups: []Group{{PerHour: 1, Max: 1000, Offers: []float64{8}}},
		Kinds: []Kind{{Count: 100, Requests: []float64{3}, Fits: []bool{true}}}}
	for _, values := range [][]float64{{0.1}, {0.375}, {5}, {1e9}} {
		got := p.checked(values, []float64{0})
		assert.Truef(t, got <= 37.5, "prices %v make a bound of %v, above the 37.5 that it may be", values, got)
	}
}
