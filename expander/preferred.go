package expander

import (
	"cmp"
	"slices"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/expander/preference"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// preferred keeps, of the options that cost about the same, those whose nodes suit best what their pods prefer.
type preferred struct {
	judge preference.Judge
	costs costs
}

// BestOptions returns these options, in the order given, or all options where pods prefer none of them. Their groups are balanced among
// themselves alone.
func (p preferred) BestOptions(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) []coreexpander.Option {
	near := p.near(options, nodeInfos)
	var pods []*apiv1.Pod
	takes := map[*apiv1.Pod][]bool{}
	for i, o := range near {
		for _, pod := range o.Pods {
			if takes[pod] == nil {
				takes[pod], pods = make([]bool, len(near)), append(pods, pod)
			}
			takes[pod][i] = true
		}
	}
	nodes := make([]*apiv1.Node, len(near))
	for i, o := range near {
		nodes[i] = &apiv1.Node{}
		if info := nodeInfos[o.NodeGroup.Id()]; info != nil && info.Node() != nil {
			nodes[i] = info.Node()
		}
	}
	sums := make([]int64, len(near))
	for k, scores := range p.judge.Scores(pods, nodes, func(pod, node int) bool { return takes[pods[pod]][node] }) {
		for i, score := range scores {
			if takes[pods[k]][i] {
				sums[i] += score
			}
		}
	}
	if len(near) == 0 || slices.Min(sums) == slices.Max(sums) {
		return options
	}
	most := slices.Max(sums)
	var best []coreexpander.Option
	for i, o := range near {
		if sums[i] == most {
			best = append(best, o)
		}
	}
	ids := idsOf(best)
	for i := range best {
		best[i].SimilarNodeGroups = slices.DeleteFunc(slices.Clone(best[i].SimilarNodeGroups), func(other cloudprovider.NodeGroup) bool {
			return !slices.Contains(ids, other.Id())
		})
	}
	klog.Background().V(2).Info("Narrowed the options by what pods prefer", "nodeGroups", ids, "options", len(options))
	return best
}

// near returns the options that cost at most the Judge's percentage more than the cheapest, or all where no cost is known. It returns none where costs
// are in two currencies.
func (p preferred) near(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) (near []coreexpander.Option) {
	var costs []pricing.Amount
	for _, o := range options {
		if cost, known := (cheapest{p.costs}).cost(o, nodeInfos); known {
			near, costs = append(near, o), append(costs, cost)
		}
	}
	if len(near) == 0 {
		return options
	}
	lowest := slices.MinFunc(costs, func(a, b pricing.Amount) int { return cmp.Compare(a.PerHour, b.PerHour) })
	if slices.ContainsFunc(costs, func(c pricing.Amount) bool { return c.Currency != lowest.Currency }) {
		return nil
	}
	kept := near[:0]
	for i, o := range near {
		if p.judge.AsCheap(costs[i].PerHour, lowest.PerHour) {
			kept = append(kept, o)
		}
	}
	return kept
}

func idsOf(options []coreexpander.Option) (ids []string) {
	for _, o := range options {
		ids = append(ids, o.NodeGroup.Id())
	}
	return ids
}
