package nodegroups

import (
	"slices"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Balancing spreads new nodes over the zone groups of an Auto Scaling group that can take the same pods. So its zones stay even
// without AZRebalance. It deals out the rest of the group's maximum size once. It wraps the core's NodeGroupSetProcessor.
type Balancing struct {
	nodegroupset.NodeGroupSetProcessor
	Provider       *aws.Provider
	ZoneGroupsOnly bool // no other node groups are balanced
	// Among reports whether another group may grow in the place of the one that the expander chose, by what the pods prefer. Nil allows all.
	Among func(chosen, other string) bool
}

// FindSimilarNodeGroups returns the node groups that may grow in the place of ng. The other zone groups of its Auto Scaling group count as
// full, because ng already counts the rest of the group. A group with recently interrupted pools is not among them, unless ng is one
// itself. Nor is an on-demand group in the place of one that may launch spot instances, at a multiple of the price. A provisioning request
// that wants all nodes or none gets no other group: one group can launch all or nothing, several cannot.
func (b *Balancing) FindSimilarNodeGroups(ctx *cacontext.AutoscalingContext, ng cloudprovider.NodeGroup,
	infos map[string]*framework.NodeInfo) ([]cloudprovider.NodeGroup, caerrors.AutoscalerError) {
	if ctx.ProvisioningRequestScaleUpMode {
		return nil, nil
	}
	similar := []cloudprovider.NodeGroup{}
	own, interrupted, spot := zoneGroup(ng), b.Provider.Interrupted(ng.Id()), b.capacityType(ng) != awsmessage.OnDemand
	if !b.ZoneGroupsOnly {
		found, err := b.NodeGroupSetProcessor.FindSimilarNodeGroups(ctx, ng, infos)
		if err != nil {
			return nil, err
		}
		similar = append(similar, slices.DeleteFunc(found, func(other cloudprovider.NodeGroup) bool {
			return siblings(zoneGroup(other), own) || !interrupted && b.Provider.Interrupted(other.Id()) ||
				spot && b.capacityType(other) == awsmessage.OnDemand
		})...)
	}
	if own == nil {
		return similar, nil
	}
	for _, other := range ctx.CloudProvider.NodeGroups() {
		z := zoneGroup(other)
		if siblings(z, own) && z.Zone() != own.Zone() && infos[z.Id()] != nil && (interrupted || !b.Provider.Interrupted(z.Id())) {
			size, _ := z.TargetSize()
			similar = append(similar, &bounded{NodeGroup: z, most: size})
		}
	}
	return similar, nil
}

func (b *Balancing) capacityType(ng cloudprovider.NodeGroup) string {
	if g := b.Provider.View().Group(ng.Id()); g != nil {
		return g.CapacityType()
	}
	return ""
}

// siblings reports whether both are zone groups of one Auto Scaling group.
func siblings(a, b *aws.NodeGroup) bool {
	return a != nil && b != nil && a.AutoScalingGroup() == b.AutoScalingGroup()
}

// BalanceScaleUpBetweenGroups splits a scale-up between the node groups, as evenly as their maximum sizes and the maximum sizes of
// the Auto Scaling groups behind them allow. A spend cap that the node groups share cuts the last of them.
func (b *Balancing) BalanceScaleUpBetweenGroups(ctx *cacontext.AutoscalingContext, groups []cloudprovider.NodeGroup,
	newNodes int) ([]nodegroupset.ScaleUpInfo, caerrors.AutoscalerError) {
	if b.Among != nil && len(groups) > 1 {
		chosen := groups[0].Id()
		groups = slices.DeleteFunc(slices.Clone(groups), func(ng cloudprovider.NodeGroup) bool {
			return ng.Id() != chosen && !b.Among(chosen, ng.Id())
		})
	}
	v := b.Provider.View()
	infos, err := b.NodeGroupSetProcessor.BalanceScaleUpBetweenGroups(ctx, shared(v, groups), newNodes)
	room := b.Provider.Spending().Shared()
	for at := range infos {
		i := &infos[at]
		i.NewSize = i.CurrentSize + room(i.Group.Id(), i.NewSize-i.CurrentSize)
		if z := zoneGroup(i.Group); z != nil {
			i.Group = z
			if g := v.Group(z.Id()); g != nil {
				i.MaxSize = g.MostInstances()
			}
		}
	}
	return slices.DeleteFunc(infos, func(i nodegroupset.ScaleUpInfo) bool { return i.NewSize == i.CurrentSize }), err
}

// shared returns the node groups with maximum sizes that add up to the limits of their Auto Scaling groups.
func shared(v *aws.View, groups []cloudprovider.NodeGroup) []cloudprovider.NodeGroup {
	zones := map[string][]string{}
	for _, ng := range groups {
		if z := zoneGroup(ng); z != nil {
			zones[z.AutoScalingGroup()] = append(zones[z.AutoScalingGroup()], z.Zone())
		}
	}
	most := map[string]int{}
	for name, among := range zones {
		if g := v.AutoScalingGroup(name); g != nil {
			for _, z := range g.ByZone(among...) {
				most[z.ID()] = z.MaxInstances()
			}
		}
	}
	shared := slices.Clone(groups)
	for at, ng := range groups {
		if z := zoneGroup(ng); z != nil {
			shared[at] = &bounded{NodeGroup: z, most: most[z.Id()]}
		}
	}
	return shared
}

// NewSimilar makes the comparator that decides which node groups are alike enough to be balanced (--balance-similar-node-groups).
//
// The core's comparator decides first. But a live node differs from any template by facts that only a node knows: a few labels, huge
// pages, the exact memory. So a group without a live node is compared by its template with the template of the other. Both templates
// leave out observed node facts, which may be known of one group only.
func NewSimilar(p *aws.Provider, core nodegroupset.NodeInfoComparator) nodegroupset.NodeInfoComparator {
	return func(a, b *framework.NodeInfo) bool {
		if core(a, b) {
			return true
		}
		v := p.View()
		if live(v, a) && live(v, b) {
			return false
		}
		templateA, errA := v.DeclaredNodeInfo(nodemeta.NodeGroup.Of(a.Node()))
		templateB, errB := v.DeclaredNodeInfo(nodemeta.NodeGroup.Of(b.Node()))
		return errA == nil && errB == nil && core(templateA, templateB)
	}
}

// live reports whether the NodeInfo shows a node of a group that has instances. One from elsewhere counts as live.
func live(v *aws.View, info *framework.NodeInfo) bool {
	g := v.Group(nodemeta.NodeGroup.Of(info.Node()))
	return !nodemeta.Template.On(info.Node()) && (g == nil || len(g.Instances) > 0)
}
