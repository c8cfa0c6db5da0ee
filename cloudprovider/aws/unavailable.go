package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// present has the methods of the Cache that a Provider passes on.
type present interface {
	TooOldToAdd() bool    // to choose a group to grow by
	TooOldToRemove() bool // to choose a node to remove by
	CoolDown(*group.Group) (cooldown.Period, bool)
	CoolDowns(*group.Group) []cooldown.Period
	Closed(g *group.Group, zone string) bool
	Undivided(*group.Group) *launchspec.Problem
	Changed() <-chan struct{}
	AwaitIncreases(context.Context) error
}

// InShiftedZone reports whether a zonal shift keeps the node's group out of the node's zone.
func (p *Provider) InShiftedZone(node *corev1.Node) bool {
	i, g := p.instanceNow(node)
	return g != nil && p.cache.Shifted(g, i.Zone)
}

// InStandby reports whether the node's instance is in standby or being detached. AWS does not let such an instance be terminated.
func (p *Provider) InStandby(node *corev1.Node) bool {
	i, _ := p.instanceNow(node)
	return isStandby(i)
}

func isStandby(i *group.Instance) bool {
	return i != nil && !i.Lifecycle.Counts() && !i.Lifecycle.Leaving()
}

// IsLeaving reports whether the node's instance is on its way out, whoever ends it. A lifecycle hook may hold it there for hours.
func (p *Provider) IsLeaving(node *corev1.Node) bool {
	i, _ := p.instanceNow(node)
	return i != nil && i.Lifecycle.Leaving()
}

// IsMember reports whether the node's instance counts in a group of ours.
func (p *Provider) IsMember(node *corev1.Node) bool {
	i, _ := p.instanceNow(node)
	return i != nil && i.Lifecycle.Counts()
}

// Paused returns why a node group is left alone now, by its owner or because AWS works on it. See group.LeftAlone.
func (p *Provider) Paused(g *group.Group, down bool) group.Pause {
	return g.LeftAlone(p.clock.Now(), down)
}

// Keeps reports whether the node stays whatever its pods: it or its group asks to be left alone. The capacity of a zone under a zonal shift is
// wanted back when the shift ends, and the removal of an instance in standby would fail after its pods were evicted.
func (p *Provider) Keeps(node *corev1.Node) bool {
	_, g := p.instanceNow(node)
	return g != nil && p.Paused(g, true).Down || p.InShiftedZone(node) || p.InStandby(node) || nodemeta.DoNotDisrupt.Of(node) == "true"
}

// instanceNow returns the node's instance and its group by the newest reading, which may be newer than the View, or nil.
func (p *Provider) instanceNow(node *corev1.Node) (*group.Instance, *group.Group) {
	return p.cache.Snapshot().Instance(nodemeta.InstanceOf(node))
}

// RecentFailure returns why instances of a node group lately failed to launch, or that its pools were recently interrupted. It is
// false where nothing of the kind is known, or for a node group of somebody else.
func (p *Provider) RecentFailure(nodeGroup string) (reason string, known bool) {
	g := cmp.Or(p.View().Group(nodeGroup), vanished)
	if trouble, known := p.cache.Trouble(g); known {
		return fmt.Sprintf("%s in pool %s", trouble.Class, trouble.Pool), true
	}
	if p.cache.WasInterrupted(g) {
		return "spot instances taken back", true
	}
	return "", false
}

// Rank is lower for node groups to prefer among equal ones: fewer known problems of the Auto Scaling group come first, then groups that have not
// lately failed to launch, which stay the smallest, then capacity that is paid in any case. A problem that says nothing of the next node does not
// count. It may last, and the group would only shrink.
func (p *Provider) Rank(nodeGroup string) (rank int) {
	name := p.GroupName(nodeGroup)
	for _, problem := range p.Problems() {
		if problem.Group == name && !slices.Contains([]string{string(nodetemplate.ReasonImplausibleNode), "unknown-tag", "invalid-move-tag"}, problem.Reason) {
			rank += 4
		}
	}
	g := p.View().Group(nodeGroup)
	if g == nil {
		return rank
	}
	if _, failed := p.cache.Trouble(g); failed {
		rank += 2
	}
	if !g.Reserved() {
		rank++
	}
	return rank
}

// Interrupted reports whether the node group would launch in recently interrupted pools alone.
func (p *Provider) Interrupted(nodeGroup string) bool {
	g := p.View().Group(nodeGroup)
	return g != nil && p.cache.WasInterrupted(g)
}
