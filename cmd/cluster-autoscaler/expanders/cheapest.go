package expanders

import (
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// cheapest keeps the options whose nodes together cost the least per hour.
type cheapest struct{ costs costs }

// BestOptions returns the options that share the lowest cost, in the order given. One whose cost is unknown is only kept
// where none is known. Costs in two currencies cannot be compared: then every option is kept.
func (c cheapest) BestOptions(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []expander.Option {
	var best []expander.Option
	var lowest pricing.Amount
	for _, option := range options {
		cost, known := c.cost(option, nodeInfos)
		if !known {
			continue
		}
		if len(best) == 0 {
			lowest = cost
		}
		order, ok := cost.Compare(lowest)
		switch {
		case !ok:
			return options
		case order < 0:
			best, lowest = []expander.Option{option}, cost
		case order == 0:
			best = append(best, option)
		}
	}
	if len(best) == 0 {
		return options
	}
	if len(best) < len(options) {
		klog.Background().V(2).Info("Narrowed a tie by price", "nodeGroup", best[0].NodeGroup.Id(), "cost", lowest.String(),
			"options", len(options), "left", len(best))
	}
	return best
}

// cost is what all nodes of an option cost, and whether that is known.
func (c cheapest) cost(option expander.Option, nodeInfos map[string]*framework.NodeInfo) (pricing.Amount, bool) {
	if c.costs == nil {
		return pricing.Amount{}, false
	}
	var template *apiv1.Node
	if info := nodeInfos[option.NodeGroup.Id()]; info != nil {
		template = info.Node()
	}
	return c.costs.NodeCost(option.NodeGroup.Id(), template, option.NodeCount)
}
