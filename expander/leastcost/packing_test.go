package leastcost

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crowd is a planner for more shapes than are looked at in each step, with its values set, and room for all their nodes.
func crowd(t *testing.T) (pl *planner, all packing, room []int) {
	t.Helper()
	options, templates, prices := world(rand.New(rand.NewPCG(3, 3)), 2*manyShapes, 30, 20)
	f := newFilter(prices, nil)
	candidates := f.priced(f.candidates(options, templates), make([]int, 2*manyShapes))
	d := newDemand(candidates, nil)
	d.classify(candidates)
	p := d.problem(candidates)
	pl = newPlanner(p, unhurried())
	all.left = p.counts()
	for s := range p.shapes {
		room = append(room, p.shapes[s].limit)
	}
	pl.setValues()
	require.Truef(t, len(p.shapes) > manyShapes, "%d shapes are too few for this test", len(p.shapes))
	return pl, all, room
}

func TestFewOfManyShapesAreLookedAt(t *testing.T) {
	work := func(promising bool) int {
		pl, all, room := crowd(t)
		if !promising {
			pl.promiseAll()
		}
		before := pl.filler.work
		pl.rest(&all, room, pl.values, math.Inf(1), 0)
		return pl.filler.work - before
	}
	few, every := work(true), work(false)
	assert.Truef(t, 4*few <= every, "%d classes are looked at, %d where every shape is looked at for every node", few, every)
}

func TestNoStepGoesOnWithoutTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		step func(pl *planner, full, none *packing, room []int)
	}{
		{"fill nodes", func(pl *planner, _, none *packing, room []int) {
			pl.promiseAll()
			pl.rest(none, room, pl.values, math.Inf(1), 0)
		}},
		{"find a node", func(pl *planner, _, none *packing, room []int) { pl.next(none.left, room, pl.values, pl.all, 0) }},
		{"pack anew", func(pl *planner, full, _ *packing, room []int) { pl.improve(full, room) }},
		{"do without a shape", func(pl *planner, full, _ *packing, room []int) {
			pl.without(full, room, full.nodes[0].shape, []int{full.nodes[0].shape})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pl, none, room := crowd(t)
			full := packing{left: append([]int(nil), none.left...)}
			pl.rest(&full, room, pl.values, math.Inf(1), 0)
			now := &ticking{}
			pl.timer = &timer{clock: now, start: now.now, limit: 1}
			before := pl.filler.work
			tt.step(pl, &full, &none, room)
			work, looks := pl.filler.work-before, now.now.Sub(pl.timer.start)/time.Millisecond
			assert.Truef(t, work == 0 && looks == 1, "%d classes were looked at, and the clock looked at %d times, want none and once", work, looks)
		})
	}
}

// No sample has to contain the one kind of pods that some nodes are for.
func TestRareKindGetsItsCheapestNodesAmongManyShapes(t *testing.T) {
	for at := range 2 {
		options, templates, prices := many(rand.New(rand.NewPCG(1, 1)), manyShapes+10, 5*(sampled+12), sampled+12)
		rare := replicas(fmt.Sprintf("kind-%05d-gpu", at), 4, "3", "12Gi", "1")
		templates["large"], prices["large"] = template("96", "1100Gi", "8"), 22
		templates["small"], prices["small"] = template("4", "15Gi", "1"), 1
		options = append(options, option("large", 1, options[0].Pods[:40], rare), option("small", 4, rare))
		nodes, _ := bill(newFilter(prices, nil), options, templates)
		assert.Truef(t, nodes["large"] == 0 && nodes["small"] == 4, "kind %d: nodes %v, want no large ones and 4 small ones", at, nodes)
	}
}
