package aws

import (
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
)

// annotationGroup names the node group on the node of a NodeInfo that NodeInfos made. It is on no node of the cluster.
const annotationGroup = "asg-autoscaler/node-group"

// NewSimilar makes the comparator that tells which node groups are alike enough to be balanced (--balance-similar-node-groups)
// out of the core's own. A live node differs from any template in what only a node can know: a few labels, huge pages, the
// exact memory. So a group of which no node has been seen is compared by its template, with the template of the other; and both without what
// real nodes have taught, which may be known of one of them only.
func NewSimilar(p *Provider, core nodegroupset.NodeInfoComparator) nodegroupset.NodeInfoComparator {
	return func(a, b *framework.NodeInfo) bool {
		if core(a, b) {
			return true
		}
		first, second := groupName(a), groupName(b)
		v := p.view.Load()
		if !v.empty(first) && !v.empty(second) && !ofTemplate(a) && !ofTemplate(b) {
			return false
		}
		templateA, errA := nodeInfo(v.untaught(first, p.region))
		templateB, errB := nodeInfo(v.untaught(second, p.region))
		return errA == nil && errB == nil && core(templateA, templateB)
	}
}

// untaught is the group's template by all but what its real nodes have shown; nil for none.
func (v *view) untaught(name, region string) *grouptemplate.Template {
	t, g := v.templates[name], v.groups[name]
	if t == nil || t.Seen.Learnt == nil || g == nil {
		return t
	}
	return grouptemplate.Seen{CNI: t.Seen.CNI}.Build(g, region, v.catalogue)
}

// empty reports whether the group is one of ours and has no instance.
func (v *view) empty(name string) bool {
	g := v.groups[name]
	return g != nil && len(g.Instances) == 0
}

// ofTemplate reports whether the NodeInfo is of a template: the group's first instances may be on their way.
func ofTemplate(info *framework.NodeInfo) bool {
	return info.Node().Annotations[annotationTemplate] != ""
}

func groupName(info *framework.NodeInfo) string { return info.Node().Annotations[annotationGroup] }

// nameGroup notes on the NodeInfo's node, which is the core's own copy, whose it is.
func nameGroup(info *framework.NodeInfo, name string) {
	node := info.Node()
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	node.Annotations[annotationGroup] = name
}
