package nodeinfos

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

// dropMisleading replaces NodeInfos that do not show the group's next node: the group now launches something else, other instance types
// or in other zones, a tag states another division of its GPUs, or the node's figures are refused. It corrects the labels and taints of
// the others.
//
// The core keeps a group's last NodeInfo for years. It would never notice that the launch template changed while the group had no
// nodes. Nodes in a zone without a subnet of the group may stay as long, and the next one comes up in another zone. So may nodes of a type
// that the group no longer launches, and a pod that fits such a node may never fit the next one.
func (n *Provider) dropMisleading(v *aws.View, infos map[string]*framework.NodeInfo, nodes []*corev1.Node, daemonSets []*appsv1.DaemonSet,
	taintConfig taints.TaintConfig) {
	for id, info := range infos {
		group, t := v.NodeGroup(id), v.Template(id)
		if group == nil || t == nil || nodemeta.Template.On(info.Node()) {
			continue
		}
		g, facts := v.Group(id), fromgroup.Facts(v.Group(id).LaunchSpec, v.Catalogue())
		own, zone := stated(v, info.Node())
		// A script may have written the region for the zone.
		outside := len(g.Zones) > 0 && !slices.ContainsFunc(g.Zones, func(its string) bool { return strings.HasPrefix(its, zone) })
		if !outside && !ofFormerType(own, g, v.Catalogue()) && !redivided(info.Node(), nodes, t) && !t.Seen.Learnt.Refuses(info.Node(), own, facts) &&
			!n.provider.Outdated(group.AutoScalingGroup(), info.Node().CreationTimestamp.Time) {
			correct(info.Node(), t, v.Former(info.Node()), taintConfig)
			continue
		}
		// On an error nothing is known about the new launch description, so the cached NodeInfo stays the best guess.
		if fresh, err := simulator.SanitizedTemplateNodeInfoFromNodeGroup(group, daemonSets, taintConfig); err == nil {
			infos[id] = fresh
		}
	}
}

// soundFirst returns the nodes, behind the others the ones that show fewer accelerators than the template, and at the end the ones that started
// from an earlier launch description: the core copies the first good node of each group.
func (n *Provider) soundFirst(v *aws.View, nodes []*corev1.Node) []*corev1.Node {
	var sound, weak, former []*corev1.Node
	for _, node := range nodes {
		of := n.provider.NodeGroupOf(node)
		switch {
		case v.Former(node):
			former = append(former, node)
		case of != nil && v.Template(of.Id()) != nil && weaker(node, v.Template(of.Id())):
			weak = append(weak, node)
		default:
			sound = append(sound, node)
		}
	}
	return slices.Concat(sound, weak, former)
}

// stated returns the node's type and zone: AWS's while the instance lives, for owners of a cluster change labels and write provider IDs.
func stated(v *aws.View, node *corev1.Node) (instanceType, zone string) {
	if i, _ := v.Instance(node); i != nil {
		return i.Type, i.Zone
	}
	return node.Labels[corev1.LabelInstanceTypeStable], nodemeta.Zone(node.Spec.ProviderID)
}

// ofFormerType reports whether the node group launches no more instances of a node's type. The label of a node that is gone may name no type,
// as on k3s. A search for types with an image that could not be read assumes x86_64.
func ofFormerType(own string, g *group.Group, catalogue *instancetypes.Catalogue) bool {
	its, _ := catalogue.Lookup(own)
	return strings.Contains(own, ".") && g != nil && g.LaunchSpec != nil && len(g.LaunchSpec.Types) > 0 &&
		!slices.ContainsFunc(g.LaunchSpec.Types, func(t launchspec.Type) bool {
			return t.Name == own || t.Search != nil && its.Architecture == instancetypes.ArchitectureARM64 &&
				cmp.Or(t.Image, g.LaunchSpec.Image, &launchspec.Image{}).Architecture == ""
		})
}

// redivided reports whether a node that is gone lacks the parts that a tag states for the next one. A node that lives overrules the tag.
func redivided(node *corev1.Node, nodes []*corev1.Node, t *fromgroup.Template) bool {
	for name := range t.Capacity {
		if has := node.Status.Allocatable[name]; has.IsZero() && t.Restated(name) && divided(node.Status.Allocatable, name) {
			return !among(nodes, node)
		}
	}
	return false
}

// correct takes odd labels off a copied node, or gives their keys the values that the template promises, and adds the taints that the next
// node may have and the live one lacks. A node that started from an earlier launch description also gets the labels that are declared for the
// present one.
func correct(node *corev1.Node, t *fromgroup.Template, former bool, taintConfig taints.TaintConfig) {
	maps.DeleteFunc(node.Labels, func(key, value string) bool {
		_, promised := t.Labels[key]
		return !promised && t.Seen.Learnt.Odd(key, value)
	})
	for key, promised := range t.Labels {
		value, has := node.Labels[key]
		if has && t.Seen.Learnt.Odd(key, value) || former && t.Sources.Labels[key].Declared() {
			node.Labels[key] = promised
		}
	}
	node.Spec.Taints = append(node.Spec.Taints, missingTaints(node, t, taintConfig)...)
}

// missingTaints returns the taints of the template that keep pods away and that the live node lacks, though another node of the group
// shows them: in a group of both capacity types often only the spot nodes are tainted, and launches for pods that do not tolerate it would
// not end. A taint that no node shows is left out. A tag may state one that the owner has long taken off the nodes, and pods would wait for
// ever, while a launch too much ends as soon as its node shows the taint. Start-up taints go again.
func missingTaints(live *corev1.Node, t *fromgroup.Template, taintConfig taints.TaintConfig) []corev1.Taint {
	return slices.DeleteFunc(taints.SanitizeTaints(t.Taints, taintConfig), func(taint corev1.Taint) bool {
		has := slices.ContainsFunc(live.Spec.Taints, func(have corev1.Taint) bool { return have.MatchTaint(&taint) })
		return has || taint.Effect == corev1.TaintEffectPreferNoSchedule || !t.Seen.Learnt.Tainted(taint)
	})
}
