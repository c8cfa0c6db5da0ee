package nodeinfos

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

// dropMisleading replaces cached NodeInfos that do not show the group's next node: the group now launches something else or in other
// zones, or the node's figures are refused. From the others it removes odd labels.
//
// The core keeps a group's last NodeInfo for years. It would never notice that the launch template changed while the group had no
// nodes. Nodes in a zone without a subnet of the group may stay as long, and the next one comes up in another zone.
func (n *Provider) dropMisleading(v *aws.View, infos map[string]*framework.NodeInfo, daemonSets []*appsv1.DaemonSet, taintConfig taints.TaintConfig) {
	for id, info := range infos {
		group, t := v.NodeGroup(id), v.Template(id)
		if group == nil || t == nil || nodemeta.Template.On(info.Node()) {
			continue
		}
		if !outsideZones(info.Node(), v.Group(id)) && !n.provider.Outdated(group.AutoScalingGroup()) && !refused(v, group, t, info.Node()) {
			infos[id] = withoutOddLabels(info, t)
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

// refused reports whether the figures of the node are not the figures of the group's next node.
func refused(v *aws.View, group *aws.NodeGroup, t *fromgroup.Template, node *corev1.Node) bool {
	var launch *launchspec.LaunchSpec
	if whole := v.AutoScalingGroup(group.AutoScalingGroup()); whole != nil {
		launch = whole.LaunchSpec
	}
	return t.Seen.Learnt.Refuses(node, node.Labels[corev1.LabelInstanceTypeStable], fromgroup.Facts(launch, v.Catalogue()))
}

// withoutOddLabels returns info without its odd labels, or with the values that the template promises for their keys.
func withoutOddLabels(info *framework.NodeInfo, t *fromgroup.Template) *framework.NodeInfo {
	labels := maps.Clone(info.Node().Labels)
	for key, value := range info.Node().Labels {
		promised, known := t.Labels[key]
		switch odd := t.Seen.Learnt.Odd(key, value); {
		case odd && known:
			labels[key] = promised
		case odd:
			delete(labels, key)
		}
	}
	if maps.Equal(labels, info.Node().Labels) {
		return info
	}
	node := info.Node().DeepCopy()
	node.Labels = labels
	return rebuilt(info, node, info.LocalResourceSlices)
}
