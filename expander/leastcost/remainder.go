package leastcost

import (
	"maps"
	"math"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// remainder is the part of a plan that was not asked for yet.
type remainder struct {
	chosen [][]*apiv1.Pod     // by the last BestOptions, node by node
	costs  map[string]float64 // of one more node, penalty included, by group, NaN for the groups that were asked for
	nodes  []place            // in the order of the plan
	cut    bool               // time was short for the plan
}

// place is one node of a plan, with its pods.
type place struct {
	group  string   // that the plan gives it to
	groups []string // that may add it
	pods   []types.UID
}

// remainder returns what is left of the plan after its choice, or nil.
func (d *decision) remainder(f *Filter) *remainder {
	b := d.choice
	if b.nodes == 0 {
		return nil
	}
	r := &remainder{chosen: b.nodePods, costs: make(map[string]float64, len(d.candidates)), cut: d.explanations[0].Cut}
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
		for _, pods := range b.planned[i].nodePods {
			node := place{group: d.candidates[i].id, pods: uids(pods)}
			for _, k := range b.alike[i] {
				node.groups = append(node.groups, d.candidates[k].id)
			}
			r.nodes = append(r.nodes, node)
		}
	}
	return r
}

// Chosen returns the pods of the last choice of BestOptions node by node. It is nil for a whole option.
func (f *Filter) Chosen() [][]*apiv1.Pod {
	if f.rest == nil {
		return nil
	}
	return f.rest.chosen
}

// Rest returns the nodes of the last plan that BestOptions has not chosen, as the UIDs of the pods on each, by node group ID. It is
// empty where no plan goes on. If BestOptions gets the same nodes and pods as its options, and no others, the plan goes on.
func (f *Filter) Rest() map[string][][]types.UID {
	if f.rest == nil {
		return nil
	}
	nodes := make(map[string][][]types.UID)
	for _, n := range f.rest.nodes {
		nodes[n.group] = append(nodes[n.group], n.pods)
	}
	return nodes
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

func uids(pods []*apiv1.Pod) []types.UID {
	list := make([]types.UID, len(pods))
	for i, pod := range pods {
		list[i] = pod.UID
	}
	return list
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
	pending := make(map[types.UID]int, len(d.pods))
	for i, pod := range d.pods {
		pending[pod.UID] = i
	}
	b = choice{planned: make([]assignment, len(candidates)), alike: make([][]int, len(candidates))}
	placed := 0
	for _, node := range r.nodes {
		var pods []int
		for _, uid := range node.pods {
			if i, known := pending[uid]; known {
				pods = append(pods, i)
			}
		}
		placed, missing = placed+len(pods), missing+len(node.pods)-len(pods)
		if len(pods) > 0 && !b.assign(candidates, d, node.alike(at, d, pods), pods) {
			return b, -1
		}
	}
	if placed == 0 || placed < len(d.pods) {
		return b, -1
	}
	b.begin(f, candidates)
	return b, missing
}

// alike are the candidates that the node may be of and that take its pods.
func (n place) alike(at map[string]int, d *demand, pods []int) []int {
	var list []int
	for _, id := range n.groups {
		if c, known := at[id]; known && !slices.ContainsFunc(pods, func(i int) bool { return !d.able[i].has(c) }) {
			list = append(list, c)
		}
	}
	return list
}

// assign gives a node with these pods to the first of the groups that can add it, and reports whether there is one.
func (b *choice) assign(candidates []candidate, d *demand, groups, pods []int) bool {
	k := slices.IndexFunc(groups, func(c int) bool { return b.planned[c].nodes < candidates[c].option.NodeCount })
	if k < 0 {
		return false
	}
	c := groups[k]
	if to := &b.planned[c]; to.nodes == 0 {
		b.alike[c] = slices.Clone(groups)
	} else {
		b.alike[c] = slices.DeleteFunc(b.alike[c], func(other int) bool { return !slices.Contains(groups, other) })
	}
	var node []*apiv1.Pod
	for _, i := range pods {
		node = append(node, d.pods[i])
	}
	b.planned[c].add(node)
	return true
}
