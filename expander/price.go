package expander

import (
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/price"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

// byPrice is the core's price filter, and the provider whose prices the filter asks for. The filter multiplies the price of one node, but the next
// nodes of a mixed group differ: each counts with its share of what the option's nodes cost together, where that is known.
type byPrice struct {
	coreexpander.Filter
	cloudprovider.CloudProvider
	cloudprovider.PricingModel
	costs   cheapest
	perHour map[*apiv1.Node]float64 // by the template of the option's nodes
}

func newByPrice(c Config) *byPrice {
	model, _ := c.Provider.Pricing() // of a Provider of ours, which never fails
	b := &byPrice{CloudProvider: c.Provider, PricingModel: model, costs: cheapest{c.Costs}}
	b.Filter = price.NewFilter(b, price.NewSimplePreferredNodeProvider(c.Clients.AllNodeLister()), price.SimpleNodeUnfitness)
	return b
}

func (b *byPrice) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) { return b, nil }

func (b *byPrice) NodePrice(node *apiv1.Node, start, end time.Time) (float64, error) {
	if perHour, known := b.perHour[node]; known {
		return perHour * end.Sub(start).Hours(), nil
	}
	return b.PricingModel.NodePrice(node, start, end)
}

// BestOptions also gives options their similar node groups back. The core's filter builds new options without them.
func (b *byPrice) BestOptions(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) []coreexpander.Option {
	similar := make(map[string][]cloudprovider.NodeGroup, len(options))
	b.perHour = make(map[*apiv1.Node]float64, len(options))
	for _, o := range options {
		similar[o.NodeGroup.Id()] = o.SimilarNodeGroups
		if info := nodeInfos[o.NodeGroup.Id()]; info != nil && o.NodeCount > 0 {
			if cost, known := b.costs.cost(o, nodeInfos); known {
				b.perHour[info.Node()] = cost.PerHour / float64(o.NodeCount)
			}
		}
	}
	best := b.Filter.BestOptions(options, nodeInfos)
	for i := range best {
		best[i].SimilarNodeGroups = similar[best[i].NodeGroup.Id()]
	}
	return best
}
