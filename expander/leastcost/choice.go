package leastcost

import (
	"cmp"
	"math"
	"slices"
	"time"

	apiv1 "k8s.io/api/core/v1"
	apisv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/expander"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// choice is the next scale-up, and the plan behind it, by candidate.
type choice struct {
	chosen []int // options that do equally well
	first  int   // the one of them to which the plan gives the nodes

	planned []assignment        // by candidate
	alike   map[string][]string // by group: those whose nodes are equal to the plan, itself among them, nil for a whole option
	total   float64             // the plan's total cost
	made    time.Time

	preferred bool // it follows what pods prefer
	cut       bool // time was short for the plan
}

type assignment struct {
	count int          // of nodes
	pods  []*apiv1.Pod // of all of them
	nodes []plan.Node  // nil for a whole option
}

// cheapestChoice returns the first scale-up of the cheapest plan.
func (f *Filter) cheapestChoice(candidates []candidate, d *demand, t *timer) choice {
	near := NearEachOther(d.pods, false)
	single, covered := f.cheapestSingle(candidates, d, near)
	if !separable(d.pods, near) {
		return single
	}
	d.preferences = f.Preferences
	d.classify(candidates)
	best := f.planned(candidates, d, t)
	perPod := func(total float64, pods int) float64 { return total / float64(pods) }
	if all := len(best.all()); all == 0 || covered >= all && perPod(single.total, covered) < perPod(best.total, all)*(1-costTolerance) {
		best = single
	}
	if !slices.ContainsFunc(d.classes, func(c class) bool { return c.scores != nil }) {
		return best
	}
	d.narrow = true
	own := *t
	preferred := f.planned(candidates, d, &own)
	if len(preferred.all()) < len(best.all()) || !d.preferences.asCheap(preferred.total, best.total) {
		return best
	}
	preferred.preferred, t.cut = true, own.cut
	return preferred
}

// separable reports whether the pods may be given to several groups, one after the other. Pods of a provisioning request
// want all or nothing. Pods that must be near each other may share only some nodes, and the core alone knows which. In each case only whole
// options are compared.
func separable(pods []*apiv1.Pod, near map[*apiv1.Pod]bool) bool {
	requested := func(pod *apiv1.Pod) bool {
		_, has := pod.Annotations[apisv1.ProvisioningRequestPodAnnotationKey]
		return has
	}
	return !slices.ContainsFunc(pods, requested) && len(near) == 0
}

// cheapestSingle chooses the cheapest option with the most pods, or, if pods must be near each other, the one with the most of these at the
// lowest cost for what its pods are worth: the others may go elsewhere. It also counts its pods.
func (f *Filter) cheapestSingle(candidates []candidate, d *demand, near map[*apiv1.Pod]bool) (choice, int) {
	worth := make([]float64, len(d.pods)) // by pod: its share of the node on which that is cheapest
	if len(near) > 0 {
		for _, c := range f.priced(candidates, make([]int, len(candidates))) {
			offered := d.dimensions.offeredBy(c.info)
			for _, pod := range c.option.Pods {
				at := d.index[pod]
				share := c.unit * d.requests[at].largestShare(offered)
				worth[at] = min(share, cmp.Or(worth[at], share))
			}
		}
	}
	most, lowest := -1, math.Inf(1)
	var b choice
	for i := range candidates {
		o := candidates[i].option
		count, cost := len(o.Pods), f.weighed(&candidates[i], o.NodeCount)
		if len(near) > 0 {
			all := 0.0
			for _, pod := range o.Pods {
				all += worth[d.index[pod]]
			}
			cost /= all
			count = len(slices.DeleteFunc(slices.Clone(o.Pods), func(pod *apiv1.Pod) bool { return !near[pod] }))
		}
		switch {
		case count > most || count == most && cost < lowest*(1-costTolerance):
			most, lowest = count, cost
			b.chosen = []int{i}
		case count == most && cost <= lowest*(1+costTolerance):
			b.chosen = append(b.chosen, i)
		}
	}
	b.planned = make([]assignment, len(candidates))
	o := candidates[b.chosen[0]].option
	b.first, b.planned[b.chosen[0]] = b.chosen[0], assignment{count: o.NodeCount, pods: o.Pods}
	b.total = f.weighed(&candidates[b.first], o.NodeCount)
	return b, len(o.Pods)
}

// planned makes the plan and begins with the group that gets the most pods. It plans once more if a group's cost for the
// planned nodes differs from the cost for its option's nodes.
func (f *Filter) planned(candidates []candidate, d *demand, t *timer) choice {
	counts := make([]int, len(candidates))
	first := f.priced(candidates, counts)
	t.start, t.cut = t.clock.Now(), false
	b := f.plannedAt(first, d, t)
	for i, a := range b.planned {
		counts[i] = a.count
	}
	again := f.priced(candidates, counts)
	same := func(x, y candidate) bool { return math.Abs(x.unit-y.unit) <= 0.001*x.unit }
	if slices.EqualFunc(first, again, same) || t.past() {
		return b
	}
	if other := f.plannedAt(again, d, t); other.better(b) {
		return other
	}
	return b
}

func (b choice) better(than choice) bool {
	return len(b.all()) >= len(than.all()) && b.total < than.total
}

func (f *Filter) plannedAt(candidates []candidate, d *demand, t *timer) choice {
	p := d.problem(candidates)
	result := p.solve(t)
	b := choice{planned: p.assign(result, candidates), alike: make(map[string][]string, len(candidates))}
	b.begin(f, candidates)
	for _, s := range p.shapes {
		ids := make([]string, len(s.groups))
		for at, i := range s.groups {
			ids[at] = candidates[i].id
			b.alike[ids[at]] = ids
		}
		if slices.Contains(s.groups, b.first) {
			b.chosen = slices.DeleteFunc(slices.Clone(s.groups), func(i int) bool {
				return i != b.first && candidates[i].option.NodeCount < b.planned[b.first].count
			})
		}
	}
	return b
}

// begin sets the plan's cost, and the group with the most pods to begin with.
func (b *choice) begin(f *Filter, candidates []candidate) {
	for i, a := range b.planned {
		if a.count > 0 {
			b.total += f.weighed(&candidates[i], a.count)
		}
		if len(a.pods) > len(b.planned[b.first].pods) {
			b.first = i
		}
	}
}

// assign gives the planned nodes and their pods to the groups. Groups of one shape come in the order of the candidates.
func (p *problem) assign(result packing, candidates []candidate) []assignment {
	assigned := make([]assignment, len(candidates))
	next := make([]int, len(p.classes))
	for _, node := range result.nodes {
		groups := p.shapes[node.shape].groups
		i := slices.IndexFunc(groups, func(c int) bool { return assigned[c].count < candidates[c].option.NodeCount })
		to := groups[max(0, i)]
		var pods []*apiv1.Pod
		for _, sh := range node.shares {
			pods = append(pods, p.classes[sh.class].pods[next[sh.class]:next[sh.class]+sh.count]...)
			next[sh.class] += sh.count
		}
		assigned[to].add(candidates[to].id, pods)
	}
	return assigned
}

func (a *assignment) add(group string, pods []*apiv1.Pod) {
	a.count++
	a.pods, a.nodes = append(a.pods, pods...), append(a.nodes, plan.Node{Group: group, Pods: pods})
}

func (b choice) all() (pods []*apiv1.Pod) {
	for _, a := range b.planned {
		pods = append(pods, a.pods...)
	}
	return pods
}

func (b choice) options(candidates []candidate) (list []expander.Option) {
	for _, i := range b.chosen {
		o := candidates[i].option
		if first := b.planned[b.first]; len(first.nodes) > 0 {
			o.NodeCount, o.Pods = first.count, slices.Clone(first.pods)
		}
		if b.preferred {
			o.SimilarNodeGroups = slices.DeleteFunc(slices.Clone(o.SimilarNodeGroups), func(other cloudprovider.NodeGroup) bool {
				return !slices.Contains(b.alike[candidates[i].id], other.Id())
			})
		}
		list = append(list, o)
	}
	return list
}

func (f *Filter) explain(candidates []candidate, b choice) []Explanation {
	list := make([]Explanation, len(candidates))
	total, pods := pricing.Amount{}, len(b.all())
	for i := range candidates {
		c, a, e := &candidates[i], b.planned[i], &list[i]
		e.NodeGroup, e.Nodes, e.Pods, e.Penalty = c.id, c.option.NodeCount, len(c.option.Pods), c.penalty
		e.Cost, _ = f.cost(c, c.option.NodeCount)
		e.PlannedCost.Currency = e.Cost.Currency
		e.PlannedNodes, e.PlannedPods = a.count, len(a.pods)
		if a.count > 0 {
			e.PlannedCost, _ = f.cost(c, a.count)
			total = total.Plus(e.PlannedCost)
		}
		e.Preferred = b.preferred
	}
	for i := range list {
		list[i].TotalCost, list[i].TotalPods, list[i].Cut = total, pods, b.cut
	}
	return list
}
