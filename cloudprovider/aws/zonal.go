package aws

import (
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
)

// A zonal view is a node group that is one zone of an Auto Scaling group. The views of a group share its limits, of which the
// core knows nothing: it takes each node group for itself. What follows has it count them once.

// bounded is a zonal view with another maximum size than its own share of the group's.
type bounded struct {
	*NodeGroup
	most int
}

// MaxSize implements cloudprovider.NodeGroup.
func (b *bounded) MaxSize() int { return b.most }

// candidate is the node group as it is weighed for a scale-up. A zonal view may get all that is left of its group: pods that need its
// zone are not helped by what is left for another.
func candidate(ng cloudprovider.NodeGroup, g *asg.Group) cloudprovider.NodeGroup {
	view, ok := ng.(*NodeGroup)
	if !ok || g.Zone == "" {
		return ng
	}
	return &bounded{NodeGroup: view, most: g.MostInstances()}
}

// zonalView returns the node group if it is a zonal view, weighed for a scale-up or not, or nil.
func zonalView(ng cloudprovider.NodeGroup) *NodeGroup {
	view, ok := ng.(*NodeGroup)
	if b, weighed := ng.(*bounded); weighed {
		view, ok = b.NodeGroup, true
	}
	if !ok || view.zone == "" {
		return nil
	}
	return view
}

// Balancing is the core's NodeGroupSetProcessor before another one. It has new nodes spread over the zonal views of a group that
// can take the same pods, so that its zones stay even without AZRebalance, and deals out what is left of the group's
// maximum size once.
type Balancing struct {
	nodegroupset.NodeGroupSetProcessor
	provider  *Provider
	viewsOnly bool
}

// NewBalancing makes a Balancing. With viewsOnly no other node groups are balanced.
func NewBalancing(p *Provider, core nodegroupset.NodeGroupSetProcessor, viewsOnly bool) *Balancing {
	return &Balancing{NodeGroupSetProcessor: core, provider: p, viewsOnly: viewsOnly}
}

// FindSimilarNodeGroups returns the node groups that may grow in the place of this one. The other views of its group count as
// full: what is left of the group is counted with the view that is asked about. Views where EC2 took spot instances back a moment ago
// are not among them, unless it is itself one. For pods of a provisioning request, of which all get nodes or none, there
// are none: one view can launch all or nothing, several cannot.
func (b *Balancing) FindSimilarNodeGroups(ctx *cacontext.AutoscalingContext, ng cloudprovider.NodeGroup,
	infos map[string]*framework.NodeInfo) ([]cloudprovider.NodeGroup, caerrors.AutoscalerError) {
	similar := []cloudprovider.NodeGroup{}
	view := zonalView(ng)
	if !b.viewsOnly {
		found, err := b.NodeGroupSetProcessor.FindSimilarNodeGroups(ctx, ng, infos)
		if err != nil {
			return nil, err
		}
		for _, other := range found {
			if v := zonalView(other); v == nil || view == nil || v.name != view.name {
				similar = append(similar, other)
			}
		}
	}
	if view == nil || ctx.ProvisioningRequestScaleUpMode {
		return similar, nil
	}
	for _, other := range ctx.CloudProvider.NodeGroups() {
		v := zonalView(other)
		if v == nil || v.name != view.name || v.zone == view.zone || infos[v.id] == nil {
			continue
		}
		if !b.provider.Interrupted(v.id) || b.provider.Interrupted(view.id) {
			size, _ := v.TargetSize()
			similar = append(similar, &bounded{NodeGroup: v, most: size})
		}
	}
	return similar, nil
}

// BalanceScaleUpBetweenGroups splits a scale-up between the node groups, as evenly as their maximum sizes and those of the Auto
// Scaling groups behind them allow.
func (b *Balancing) BalanceScaleUpBetweenGroups(ctx *cacontext.AutoscalingContext, groups []cloudprovider.NodeGroup,
	newNodes int) ([]nodegroupset.ScaleUpInfo, caerrors.AutoscalerError) {
	infos, err := b.NodeGroupSetProcessor.BalanceScaleUpBetweenGroups(ctx, b.shared(groups), newNodes)
	for at := range infos {
		if view := zonalView(infos[at].Group); view != nil {
			infos[at].Group, infos[at].MaxSize = view, view.group().MostInstances()
		}
	}
	return infos, err
}

// shared are the node groups with maximum sizes that add up to what their Auto Scaling groups allow.
func (b *Balancing) shared(groups []cloudprovider.NodeGroup) []cloudprovider.NodeGroup {
	zones := map[string][]string{}
	for _, ng := range groups {
		if view := zonalView(ng); view != nil {
			zones[view.name] = append(zones[view.name], view.zone)
		}
	}
	most := map[string]int{}
	for name, among := range zones {
		if g := b.provider.view.Load().snapshot.Group(name); g != nil {
			for _, v := range g.ByZone(among...) {
				most[v.ID()] = v.MaxInstances()
			}
		}
	}
	shared := make([]cloudprovider.NodeGroup, len(groups))
	for at, ng := range groups {
		shared[at] = ng
		if view := zonalView(ng); view != nil {
			shared[at] = &bounded{NodeGroup: view, most: most[view.id]}
		}
	}
	return shared
}

// SharedMinimum is the core's ScaleDownSetProcessor before another one: of the nodes that are to be removed it keeps those that the
// minimum size of an Auto Scaling group asks for, counted over all its zonal views, and with the removals that began
// while the group had another form.
type SharedMinimum struct {
	nodes.ScaleDownSetProcessor
	provider *Provider
}

// NewSharedMinimum makes a SharedMinimum.
func NewSharedMinimum(p *Provider, then nodes.ScaleDownSetProcessor) *SharedMinimum {
	return &SharedMinimum{ScaleDownSetProcessor: then, provider: p}
}

// FilterUnremovableNodes returns the nodes that may be removed, and those that stay.
func (m *SharedMinimum) FilterUnremovableNodes(ctx *cacontext.AutoscalingContext, scaleDown *nodes.ScaleDownContext,
	candidates []simulator.NodeToBeRemoved) ([]simulator.NodeToBeRemoved, []simulator.UnremovableNode) {
	spare := map[string]int{} // by Auto Scaling group
	var removable []simulator.NodeToBeRemoved
	var stay []simulator.UnremovableNode
	for _, c := range candidates {
		view := m.provider.groupOf(c.Node)
		if view == nil {
			removable = append(removable, c)
			continue
		}
		if _, counted := spare[view.name]; !counted {
			spare[view.name] = m.spare(view.name, scaleDown)
		}
		if spare[view.name] <= 0 {
			stay = append(stay, simulator.UnremovableNode{Node: c.Node, Reason: simulator.NodeGroupMinSizeReached})
			continue
		}
		spare[view.name]--
		removable = append(removable, c)
	}
	if len(stay) > 0 {
		klog.FromContext(m.provider.ctx).V(2).Info("Kept nodes that the minimum size of a group asks for over all its zones", "nodes", len(stay))
	}
	removable, unremovable := m.ScaleDownSetProcessor.FilterUnremovableNodes(ctx, scaleDown, removable)
	return removable, append(stay, unremovable...)
}

// spare is how many nodes an Auto Scaling group has beyond its minimum size, less those that are being removed.
func (m *SharedMinimum) spare(name string, scaleDown *nodes.ScaleDownContext) int {
	v := m.provider.view.Load()
	g := v.snapshot.Group(name)
	if g == nil {
		return 0
	}
	spare := g.TargetInstances() - g.MinInstances()
	if scaleDown == nil || scaleDown.ActuationStatus == nil || m.provider.nodes == nil {
		return spare
	}
	empty, drained := scaleDown.ActuationStatus.DeletionsInProgress()
	for _, name := range append(empty, drained...) {
		node, err := m.provider.nodes.Get(name)
		if err != nil {
			continue // gone
		}
		id, _ := instanceID(node.Spec.ProviderID)
		if i, of := v.snapshot.Instance(id); of == g && i.Lifecycle.Counts() {
			spare--
		}
	}
	return spare
}

// zeroSizes has the core's metrics of sizes count each group once when it begins or ends to be scaled zone by zone: the core never
// forgets a node group that it has shown.
func zeroSizes(before, now *view) {
	for id, ng := range before.byID {
		if now.byID[id] == nil && now.snapshot.Group(ng.name) != nil {
			metrics.UpdateNodeGroupMin(id, 0)
			metrics.UpdateNodeGroupMax(id, 0)
			metrics.UpdateNodeGroupTargetSize(map[string]int{id: 0})
		}
	}
}

// GroupName is the name of the Auto Scaling group behind a node group.
func (p *Provider) GroupName(nodeGroup string) string {
	if g := p.view.Load().groups[nodeGroup]; g != nil {
		return g.Name
	}
	return nodeGroup
}

// ViewRests reports whether the node group is a zonal view in which nothing can be launched now.
func (p *Provider) ViewRests(nodeGroup string) bool {
	g := p.view.Load().groups[nodeGroup]
	if g == nil || g.Zone == "" {
		return false
	}
	_, rests := p.cache.CoolDown(g)
	return rests
}
