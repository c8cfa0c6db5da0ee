package aws

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/providerid"
)

// dropOutdated replaces the core's pictures of nodes that a group had before it was made to launch something else, or elsewhere. The
// core keeps a group's last picture for years, and would never notice that its launch template has changed while it had no nodes.
// Nodes in a zone of which the subnet was taken out may stay for as long, and the next one comes up in another.
func (n *NodeInfos) dropOutdated(infos map[string]*framework.NodeInfo, daemonSets []*appsv1.DaemonSet, taintConfig taints.TaintConfig) {
	v := n.provider.view.Load()
	for id, info := range infos {
		group := v.byID[id]
		if group == nil || ofTemplate(info) {
			continue
		}
		if !elsewhere(info.Node(), v.groups[id]) && !n.provider.outdated(group.name) {
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

// outdated reports whether all pictures of the group's nodes are of such as it would not launch any more.
func (p *Provider) outdated(group string) bool {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.lessons.outdated(group, p.clock.Now())
}
