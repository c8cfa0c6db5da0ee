package aws

import (
	"cmp"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
)

// Model implements the core's PricingModel. Amounts are in the currency of the prices.
type Model struct {
	provider *Provider
	prices   *pricing.Book
	current  atomic.Pointer[pricer]
}

type pricer struct {
	*groupprice.Pricer
	generation uint64
	catalogue  *instancetypes.Catalogue
}

// Pricer prices groups by the present facts. It is the same one until they change.
func (m *Model) Pricer() *groupprice.Pricer {
	generation, catalogue := m.prices.Generation(), m.provider.types.Catalogue()
	if now := m.current.Load(); now != nil && now.generation == generation && now.catalogue == catalogue {
		return now.Pricer
	}
	next := &pricer{Pricer: groupprice.New(m.prices, catalogue), generation: generation, catalogue: catalogue}
	m.current.Store(next)
	return next.Pricer
}

// NodePrice returns the cost of the node from start to end. The error is always nil.
func (m *Model) NodePrice(node *corev1.Node, start, end time.Time) (float64, error) {
	if g := m.provider.groupOf(node); g != nil {
		return m.next(m.Pricer(), g, node, 1).Amount.PerHour * hours(start, end), nil
	}
	// It is outside our groups, and has a price by its instance type, or else by its resources.
	if price, ok := m.prices.OnDemand(typeOf(node)); ok {
		return price.Amount.PerHour * hours(start, end), nil
	}
	return m.Pricer().OfResources(resources(node.Status.Capacity)).Amount.PerHour * hours(start, end), nil
}

// PodPrice returns the on-demand cost of the pod's requests from start to end, in a type that they fill. The error is always nil.
func (m *Model) PodPrice(pod *corev1.Pod, start, end time.Time) (float64, error) {
	return m.Pricer().OfResources(resources(podutils.PodRequests(pod))).Amount.PerHour * hours(start, end), nil
}

// NodeCost returns the hourly cost of the group's next count nodes together. The template is the node that the group would add. It stands
// in for unknown types and may be nil. NodeCost is not ok where the group is not one of ours, or has unknown types and no template,
// and without any price of another type.
func (m *Model) NodeCost(nodeGroup string, template *corev1.Node, count int) (pricing.Amount, bool) {
	g := m.provider.View().Group(nodeGroup)
	switch {
	case g == nil:
		return pricing.Amount{}, false
	case template != nil:
		cost := m.next(m.Pricer(), g, template, count)
		return cost.Amount, cost.Amount.PerHour > 0 // nothing resembles the node without any price
	}
	cost, ok := m.Pricer().Next(g, count)
	return cost.Amount, ok
}

// next returns the cost of the next count nodes of g, which resemble node if their types are unknown.
func (m *Model) next(p *groupprice.Pricer, g *group.Group, node *corev1.Node, count int) groupprice.Cost {
	if cost, ok := p.Next(g, count); ok {
		return cost
	}
	return p.NextOfUnknownType(g, count, typeOf(node), resources(node.Status.Capacity))
}

func typeOf(node *corev1.Node) string {
	return cmp.Or(node.Labels[corev1.LabelInstanceTypeStable], node.Labels[corev1.LabelInstanceType])
}

func resources(list corev1.ResourceList) groupprice.Resources {
	r := groupprice.Resources{CPUMillis: list.Cpu().MilliValue(), MemoryBytes: list.Memory().Value(), Accelerators: map[string]int64{}}
	for name, quantity := range list {
		if nodetemplate.IsAccelerator(name) {
			r.Accelerators[string(name)] = quantity.Value()
		}
	}
	return r
}

func hours(start, end time.Time) float64 { return max(0, end.Sub(start).Hours()) }
