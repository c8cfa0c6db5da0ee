package expander

import (
	"cmp"
	"slices"
	"strings"

	apiv1 "k8s.io/api/core/v1"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// cheapest keeps the options whose nodes together cost the least per hour for each of their pods.
type cheapest struct{ costs leastcost.Prices }

// BestOptions returns the options that share the lowest cost, in the order given. An option of unknown cost is only kept
// where no cost is known.
func (c cheapest) BestOptions(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) []coreexpander.Option {
	var best []coreexpander.Option
	var lowest pricing.Amount
	for _, option := range options {
		cost, known := c.cost(option, nodeInfos)
		if !known {
			continue
		}
		cost.PerHour /= float64(max(1, len(option.Pods)))
		switch order := cost.Compare(lowest); {
		case len(best) == 0 || order < 0:
			best, lowest = []coreexpander.Option{option}, cost
		case order == 0:
			best = append(best, option)
		}
	}
	if len(best) == 0 {
		return options
	}
	if len(best) < len(options) {
		klog.Background().V(2).Info("Narrowed a tie by price", "nodeGroup", best[0].NodeGroup.Id(), "costForAPod", lowest.String(),
			"options", len(options), "left", len(best))
	}
	return best
}

func (c cheapest) cost(option coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) (pricing.Amount, bool) {
	if c.costs == nil {
		return pricing.Amount{}, false
	}
	var template *apiv1.Node
	if info := nodeInfos[option.NodeGroup.Id()]; info != nil {
		template = info.Node()
	}
	return c.costs.NodeCost(option.NodeGroup.Id(), template, option.NodeCount)
}

// firstByName keeps the option whose node group has the lowest rank, of equal ones the smallest, and of these the first by ID. So equal groups,
// such as one for each zone, fill evenly.
type firstByName struct{ rank func(nodeGroup string) int }

func (f firstByName) BestOptions(options []coreexpander.Option, _ map[string]*framework.NodeInfo) []coreexpander.Option {
	if len(options) == 0 {
		return nil
	}
	return []coreexpander.Option{slices.MinFunc(options, func(a, b coreexpander.Option) int {
		x, y := a.NodeGroup.Id(), b.NodeGroup.Id()
		byRank := 0
		if f.rank != nil {
			byRank = cmp.Compare(f.rank(x), f.rank(y))
		}
		sizeOfA, _ := a.NodeGroup.TargetSize()
		sizeOfB, _ := b.NodeGroup.TargetSize()
		return cmp.Or(byRank, cmp.Compare(sizeOfA, sizeOfB), strings.Compare(x, y))
	})}
}
