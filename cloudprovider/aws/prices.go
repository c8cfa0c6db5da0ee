package aws

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/model"
)

// prices are those of the region, in one currency, at the moment.
type prices interface {
	OnDemand(instanceType string) (pricing.Price, bool)
	Spot(instanceType string, zones []string) (pricing.Price, bool)
	Currency() pricing.Currency
	// Generation is another number whenever an answer of the others may have changed.
	Generation() uint64
}

// Pricing returns the prices of nodes and pods. The error tells that the Provider was made without prices.
func (p *Provider) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) {
	if p.costs == nil {
		return nil, cloudprovider.ErrNotImplemented
	}
	return p.costs, nil
}

// Costs prices nodes of the groups and pods; nil if the Provider was made without prices.
func (p *Provider) Costs() *model.Model { return p.costs }

// groupFacts are the groups of the current loop, as the Model of prices asks for them.
type groupFacts struct{ provider *Provider }

// Group returns the node group with the ID, or nil.
func (f groupFacts) Group(id string) *asg.Group { return f.provider.view.Load().groups[id] }

// GroupOf returns the group that NodeInfos named on the node of a template, or that has the node's instance; or nil.
func (f groupFacts) GroupOf(node *corev1.Node) *asg.Group {
	if id := node.Annotations[annotationGroup]; id != "" {
		return f.Group(id)
	}
	if ng := f.provider.groupOf(node); ng != nil {
		return f.Group(ng.id)
	}
	return nil
}

// Catalogue is what is known of instance types.
func (f groupFacts) Catalogue() *instancetypes.Catalogue { return f.provider.types.catalogue() }
