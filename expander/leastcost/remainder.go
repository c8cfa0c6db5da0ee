package leastcost

import (
	"maps"
	"math"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// remainder is a plan after a choice.
type remainder struct {
	chosen []plan.Node        // by the last BestOptions
	later  []plan.Node        // in the order of the plan
	groups [][]string         // that may add a later node, by the node's index
	costs  map[string]float64 // of one more node, penalty included, by group, NaN for the groups that were asked for
	cut    bool               // time was short for the plan

	preferred bool // the plan follows what pods prefer
}

// remainder returns what is left of the plan after its choice, or nil.
func (d *decision) remainder(f *Filter) *remainder {
	b := d.choice
	if len(b.planned[b.first].nodes) == 0 {
		return nil
	}
	r := &remainder{chosen: b.planned[b.first].nodes, costs: make(map[string]float64, len(d.candidates)), cut: d.explanations[0].Cut, preferred: b.preferred}
	if d.before != nil {
		maps.Copy(r.costs, d.before.costs) // also of groups that were not among the options this time
	}
	growing := b.groups(d.candidates)
	for i := range d.candidates {
		c := &d.candidates[i]
		r.costs[c.id] = f.weighed(c, 1)
		if d.before != nil && math.IsNaN(d.before.costs[c.id]) || slices.Contains(growing, c.id) {
			r.costs[c.id] = math.NaN() // the next node of a group that grew may have another price
		}
		if i == b.first {
			continue
		}
		var groups []string
		for _, k := range b.alike[i] {
			groups = append(groups, d.candidates[k].id)
		}
		for _, node := range b.planned[i].nodes {
			r.later, r.groups = append(r.later, node), append(r.groups, groups)
		}
	}
	return r
}

// Plan returns the nodes that the last BestOptions has chosen, none for a whole option, and those that the plan has for later. If BestOptions
// gets the later nodes and their pods as its options, and no others, the plan goes on.
func (f *Filter) Plan() (chosen, later []plan.Node) {
	if f.rest == nil {
		return nil, nil
	}
	return f.rest.chosen, f.rest.later
}

// groups are the IDs of the groups that may get the chosen nodes: the equally good options, then the groups balanced with them.
func (b choice) groups(candidates []candidate) []string {
	var groups []string
	for _, i := range b.chosen {
		groups = append(groups, candidates[i].id)
	}
	for _, i := range b.chosen {
		for _, similar := range candidates[i].option.SimilarNodeGroups {
			if id := similar.Id(); !slices.Contains(groups, id) {
				groups = append(groups, id)
			}
		}
	}
	return groups
}

// next returns the next scale-up of the plan, and how many of its pods are no longer pending. It returns -1 where the plan no longer
// holds: other pods are pending, too, a group is new or costs more or less than it did, or the groups no longer take what is
// planned for them.
func (r *remainder) next(f *Filter, candidates []candidate, d *demand) (b choice, missing int) {
	if r == nil {
		return b, -1
	}
	at := make(map[string]int, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		at[c.id] = i
		before, known := r.costs[c.id]
		if cost := f.weighed(c, 1); !known || math.Abs(cost-before) > costTolerance*cost {
			return b, -1
		}
	}
	d.shareAbility(candidates)
	pending := make(map[types.UID]*apiv1.Pod, len(d.pods))
	for _, pod := range d.pods {
		pending[pod.UID] = pod
	}
	b = choice{planned: make([]assignment, len(candidates)), alike: make([][]int, len(candidates)), preferred: r.preferred}
	placed := 0
	for i, node := range r.later {
		pods := node.Waiting(pending)
		placed, missing = placed+len(pods), missing+len(node.Pods)-len(pods)
		if len(pods) > 0 && !b.assign(candidates, takers(r.groups[i], at, d, pods), pods) {
			return b, -1
		}
	}
	if placed == 0 || placed < len(d.pods) {
		return b, -1
	}
	b.begin(f, candidates)
	return b, missing
}

func takers(groups []string, at map[string]int, d *demand, pods []*apiv1.Pod) []int {
	var list []int
	for _, id := range groups {
		if c, known := at[id]; known && !slices.ContainsFunc(pods, func(pod *apiv1.Pod) bool { return !d.able[d.index[pod]].has(c) }) {
			list = append(list, c)
		}
	}
	return list
}

// assign gives a node with these pods to the first of the groups that can add it, and reports whether there is one.
func (b *choice) assign(candidates []candidate, groups []int, pods []*apiv1.Pod) bool {
	k := slices.IndexFunc(groups, func(c int) bool { return b.planned[c].count < candidates[c].option.NodeCount })
	if k < 0 {
		return false
	}
	c := groups[k]
	if b.planned[c].count == 0 {
		b.alike[c] = slices.Clone(groups)
	} else {
		b.alike[c] = slices.DeleteFunc(b.alike[c], func(other int) bool { return !slices.Contains(groups, other) })
	}
	b.planned[c].add(candidates[c].id, pods)
	return true
}
