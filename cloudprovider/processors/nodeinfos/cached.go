package nodeinfos

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// dropMisleading replaces cached NodeInfos that do not show the group's next node: the group now launches something else or in other
// zones.
//
// The core keeps a group's last NodeInfo for years. It would never notice that the launch template changed while the group had no
// nodes. Nodes in a zone without a subnet of the group may stay as long, and the next one comes up in another zone.
func (n *Provider) dropMisleading(v *aws.View, infos map[string]*framework.NodeInfo, daemonSets []*appsv1.DaemonSet, taintConfig taints.TaintConfig) {
	for id, info := range infos {
		group := v.NodeGroup(id)
		if group == nil || v.Template(id) == nil || nodemeta.Template.On(info.Node()) {
			continue
		}
		if !outsideZones(info.Node(), v.Group(id)) && !n.provider.Outdated(group.AutoScalingGroup()) {
			continue
		}
		// On an error nothing is known about the new launch description, so the cached NodeInfo stays the best guess.
		if fresh, err := simulator.SanitizedTemplateNodeInfoFromNodeGroup(group, daemonSets, taintConfig); err == nil {
			infos[id] = fresh
		}
	}
}

// outsideZones reports whether the node group launches no more instances in the node's zone. It reads the provider ID: owners of a
// cluster may change the labels.
func outsideZones(node *corev1.Node, g *group.Group) bool {
	zone := nodemeta.Zone(node.Spec.ProviderID)
	return zone != "" && len(g.Zones) > 0 && !slices.Contains(g.Zones, zone)
}
