package aws

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/annotations"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/model"
)

// prices are the region's current prices, in one currency.
type prices interface {
	OnDemand(instanceType string) (pricing.Price, bool)
	Spot(instanceType string, zones []string) (pricing.Price, bool)
	Currency() pricing.Currency
	// Generation changes whenever another answer may have changed.
	Generation() uint64
}

// Pricing returns the prices of nodes and pods, or an error if the Provider was made without prices.
func (p *Provider) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) {
	if p.costs == nil {
		return nil, cloudprovider.ErrNotImplemented
	}
	return p.costs, nil
}

// Costs returns the model of prices, or nil if the Provider was made without prices.
func (p *Provider) Costs() *model.Model { return p.costs }

// groupFacts presents the current view to the model of prices.
type groupFacts struct{ provider *Provider }

// Group returns the node group with the ID, or nil.
func (f groupFacts) Group(id string) *asg.Group { return f.provider.view.Load().groups[id] }

// GroupOf returns the node group of a simulated or a live node, or nil.
func (f groupFacts) GroupOf(node *corev1.Node) *asg.Group {
	if id := annotations.NodeGroup.Of(node); id != "" {
		return f.Group(id)
	}
	if ng := f.provider.NodeGroupOf(node); ng != nil {
		return f.Group(ng.id)
	}
	return nil
}

// Catalogue returns the known instance types.
func (f groupFacts) Catalogue() *instancetypes.Catalogue { return f.provider.types.Catalogue() }
