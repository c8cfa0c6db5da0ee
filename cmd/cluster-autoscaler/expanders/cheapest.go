package expanders

import (
	"cmp"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// priceList tells what one instance of a type costs.
type priceList interface {
	Lookup(instanceType string) (pricing.Price, bool)
}

// cheapest keeps the options whose nodes together cost the least per hour.
type cheapest struct{ prices priceList }

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
		klog.Background().V(2).Info("Narrowed a tie by list price", "nodeGroup", best[0].NodeGroup.Id(), "cost", lowest.String(),
			"options", len(options), "left", len(best))
	}
	return best
}

// cost is what all nodes of an option cost, and whether that is known: the list must have the instance type that the
// node of the group's template is labelled with.
func (c cheapest) cost(option expander.Option, nodeInfos map[string]*framework.NodeInfo) (pricing.Amount, bool) {
	info := nodeInfos[option.NodeGroup.Id()]
	if c.prices == nil || info == nil || info.Node() == nil {
		return pricing.Amount{}, false
	}
	labels := info.Node().Labels
	price, ok := c.prices.Lookup(cmp.Or(labels[apiv1.LabelInstanceTypeStable], labels[apiv1.LabelInstanceType]))
	return price.Amount.Times(option.NodeCount), ok
}
