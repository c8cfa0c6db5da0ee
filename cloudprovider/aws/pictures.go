package aws

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/providerid"
)

// dropMisleading replaces the core's pictures of nodes that a group had before it was made to launch something else, or elsewhere. The
// core keeps a group's last picture for years, and would never notice that its launch template has changed while it had no nodes.
// Nodes in a zone of which the subnet was taken out may stay for as long, and the next one comes up in another. It also replaces the
// picture of a node whose figures are refused, and takes labels from the others that most of the group's nodes do not carry.
func (n *NodeInfos) dropMisleading(infos map[string]*framework.NodeInfo, daemonSets []*appsv1.DaemonSet, taintConfig taints.TaintConfig) {
	v := n.provider.view.Load()
	for id, info := range infos {
		group := v.byID[id]
		if group == nil || ofTemplate(info) {
			continue
		}
		if !elsewhere(info.Node(), v.groups[id]) && !n.provider.misleads(group.name, info.Node()) {
			infos[id] = n.provider.withoutOddLabels(info, group.name, v.templates[id])
			continue
		}
		// On an error nothing is known of the new description: the picture is the best there is.
		if fresh, err := simulator.SanitizedTemplateNodeInfoFromNodeGroup(group, daemonSets, taintConfig); err == nil {
			infos[id] = fresh
		}
	}
}

// elsewhere reports whether the node is in a zone in which the node group launches none any more. What labels its owner puts on
// nodes does not matter.
func elsewhere(node *corev1.Node, g *asg.Group) bool {
	zone := providerid.Zone(node.Spec.ProviderID)
	return zone != "" && len(g.Zones) > 0 && !slices.Contains(g.Zones, zone)
}

// misleads reports whether the node, or the core's picture of one, is not what the group would launch now.
func (p *Provider) misleads(group string, node *corev1.Node) bool {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.lessons.outdated(group, p.clock.Now()) || p.lessons.refuses(group, node)
}

// withoutOddLabels is info without the labels that most nodes of the group do not carry, unless its template t promises them.
func (p *Provider) withoutOddLabels(info *framework.NodeInfo, group string, t *grouptemplate.Template) *framework.NodeInfo {
	p.changing.Lock()
	learnt := p.lessons.of(group)
	p.changing.Unlock()
	var node *corev1.Node
	for key, value := range info.Node().Labels {
		if !learnt.Odd(key, value) || t != nil && t.Labels[key] == value {
			continue
		}
		if node == nil {
			node = info.Node().DeepCopy()
		}
		delete(node.Labels, key)
	}
	if node == nil {
		return info
	}
	return rebuilt(info, node, info.LocalResourceSlices)
}
