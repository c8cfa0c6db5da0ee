package leastcost

import (
	"slices"
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// planLasts is how long a plan goes on. Prices, interruptions and capacity may change meanwhile, and its rest may have waited for a limit.
const planLasts = time.Minute

// later returns the nodes that the plan has for other groups than the first, in its order.
func (b *choice) later() (nodes []plan.Node) {
	for i, a := range b.planned {
		if i != b.first {
			nodes = append(nodes, a.nodes...)
		}
	}
	return nodes
}

// Plan returns the nodes that the last BestOptions has chosen, none for a whole option, and those that the plan has for later.
func (f *Filter) Plan() (chosen, later []plan.Node) {
	if f.rest == nil {
		return nil, nil
	}
	return f.rest.planned[f.rest.first].nodes, f.rest.later()
}

// next returns the next scale-up of the plan. It is not ok where the plan no longer holds: it is old, other pods are pending, too, some pods
// of a node no longer are, or a group no longer takes what is planned for it.
func (last *choice) next(f *Filter, candidates []candidate, d *demand) (b choice, ok bool) {
	if last == nil || f.clock.Since(last.made) > planLasts {
		return b, false
	}
	at := make(map[string]int, len(candidates))
	for i := range candidates {
		at[candidates[i].id] = i
	}
	d.shareAbility()
	pending := make(map[types.UID]*apiv1.Pod, len(d.pods))
	for _, pod := range d.pods {
		pending[pod.UID] = pod
	}
	b = choice{planned: make([]assignment, len(candidates)), alike: last.alike, made: last.made, preferred: last.preferred, cut: last.cut}
	placed := 0
	for _, node := range last.later() {
		pods := node.Waiting(pending)
		if len(pods) == 0 {
			continue
		}
		i, known := at[node.Group]
		if !known || len(pods) < len(node.Pods) || b.planned[i].count == candidates[i].option.NodeCount ||
			slices.ContainsFunc(pods, func(pod *apiv1.Pod) bool { return !d.able[d.index[pod]].has(i) }) {
			return b, false
		}
		b.planned[i].add(node.Group, pods)
		placed += len(pods)
	}
	if placed < len(d.pods) {
		return b, false
	}
	b.begin(f, candidates)
	b.chosen = []int{b.first}
	return b, true
}
