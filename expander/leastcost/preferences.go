package leastcost

import (
	"math"
	"slices"

	apiv1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/expander/preference"
)

// A plan that follows preferences is made after the cheapest one, and counts if it costs about the same and places as many pods. There, each class of
// pods keeps off the shapes that it prefers less, among those on which its pods cost about the least. What finds no place goes anywhere in the end.

func templatesOf(candidates []candidate) []*apiv1.Node {
	nodes := make([]*apiv1.Node, len(candidates))
	for c := range candidates {
		nodes[c] = candidates[c].info.Node()
	}
	return nodes
}

// prefers reports whether pods tell candidates apart by what they prefer.
func (d *demand) prefers() bool {
	return slices.ContainsFunc(d.classes, func(c class) bool { return c.scores != nil })
}

// preferenceOf is the same for candidates that suit all preferences equally, "" where there are none.
func (d *demand) preferenceOf(candidate int) string {
	var scores []int64
	for i := range d.classes {
		if s := d.classes[i].scores; s != nil {
			scores = append(scores, s[candidate])
		}
	}
	return keyOf(scores)
}

// narrow has classes fit only the most preferred of the shapes that cost a pod about as little as the cheapest, and all that cost more.
func (p *problem) narrow(judge preference.Judge) {
	for i := range p.classes {
		class := &p.classes[i]
		if class.scores == nil {
			continue
		}
		score := func(s int) int64 { return class.scores[p.shapes[s].groups[0]] }
		cost := func(s int) float64 { return p.shapes[s].cost * p.largest(s, i) }
		least, best := math.Inf(1), int64(0)
		class.fits.each(func(s int) { least = min(least, cost(s)) })
		class.fits.each(func(s int) {
			if judge.AsCheap(cost(s), least) {
				best = max(best, score(s))
			}
		})
		class.wide = class.fits
		class.fits = newBits(len(p.shapes))
		class.wide.each(func(s int) {
			if !judge.AsCheap(cost(s), least) || score(s) == best {
				class.fits.set(s)
			}
		})
	}
}

// widen lets pods without a node fit less preferred shapes, too, and reports whether there are any.
func (p *problem) widen(left []int) (any bool) {
	for i := range p.classes {
		if class := &p.classes[i]; class.wide != nil && left[i] > 0 {
			class.fits, any = class.wide, true
		}
	}
	return any
}
