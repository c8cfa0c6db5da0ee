package nodegroups

import (
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

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
