package aws

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// dropOutdated replaces the core's pictures of nodes that a group had before it was made to launch something else. The core keeps
// a group's last picture for years, and would never notice that its launch template has changed while it had no nodes.
func (n *NodeInfos) dropOutdated(infos map[string]*framework.NodeInfo, daemonSets []*appsv1.DaemonSet, taintConfig taints.TaintConfig) {
	v := n.provider.view.Load()
	for id, info := range infos {
		group := v.byID[id]
		if group == nil || info.Node().Annotations[annotationTemplate] != "" || !n.provider.outdated(group.name) {
			continue
		}
		// On an error nothing is known of the new description: the picture is the best there is.
		if fresh, err := simulator.SanitizedTemplateNodeInfoFromNodeGroup(group, daemonSets, taintConfig); err == nil {
			infos[id] = fresh
		}
	}
}

// outdated reports whether all pictures of the group's nodes are of such as it would not launch any more.
func (p *Provider) outdated(group string) bool {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.lessons.outdated(group, p.clock.Now())
}
