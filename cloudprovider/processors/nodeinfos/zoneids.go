package nodeinfos

import (
	"maps"
	"slices"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// ZoneIDs knows the identifiers of zones by their names. A name means another zone in another AWS account.
//
// It is empty while no node of the cluster carries the label. Cloud controllers before Kubernetes 1.30 do not set it, and no node
// may be promised with a label that it will not have. The core's loop alone teaches it. ID and Name are safe for concurrent use.
type ZoneIDs struct {
	provider *aws.Provider
	byName   atomic.Pointer[map[string]string] // replaced and never changed
}

func NewZoneIDs(provider *aws.Provider) *ZoneIDs {
	z := &ZoneIDs{provider: provider}
	z.byName.Store(&map[string]string{})
	return z
}

// ID returns the identifier of the named zone, or "".
func (z *ZoneIDs) ID(name string) string { return (*z.byName.Load())[name] }

// Name returns the name of the zone with the identifier, or "".
func (z *ZoneIDs) Name(id string) string {
	for name, known := range *z.byName.Load() {
		if known == id {
			return name
		}
	}
	return ""
}

// Learn reads the identifiers off the cluster's nodes. For other zones of groups it requests a look-up.
func (z *ZoneIDs) Learn(nodes []*corev1.Node, v *aws.View) {
	shown := map[string]string{}
	for _, node := range nodes {
		zone, id := node.Labels[corev1.LabelTopologyZone], node.Labels[podzone.LabelZoneID]
		if zone != "" && id != "" {
			shown[zone] = id
		}
	}
	byName := map[string]string{}
	if len(shown) > 0 {
		maps.Insert(byName, z.provider.Zones().Known().All())
		maps.Copy(byName, shown)
	}
	z.byName.Store(&byName)
	if len(shown) > 0 && z.lacks(v) {
		z.provider.Zones().Want("")
	}
}

// lacks reports whether a group may launch in a zone without a known identifier.
func (z *ZoneIDs) lacks(v *aws.View) bool {
	return slices.ContainsFunc(v.NodeGroups(), func(ng cloudprovider.NodeGroup) bool {
		return slices.ContainsFunc(v.Group(ng.Id()).Zones, func(zone string) bool { return z.ID(zone) == "" })
	})
}

// Label adds the zone's identifier to the labels of a node that the caller owns, if the node has none.
func (z *ZoneIDs) Label(node *corev1.Node) {
	if id := z.ID(node.Labels[corev1.LabelTopologyZone]); id != "" && node.Labels[podzone.LabelZoneID] == "" {
		node.Labels[podzone.LabelZoneID] = id
	}
}

// completeZone adds the zone's identifier to the labels of a NodeInfo's node, which is the core's own copy. A label from a tag or from
// the live node stays. A zone that is only assumed is an open one, and a divisible group need not promise it.
func (n *Provider) completeZone(node *corev1.Node, t *fromgroup.Template, g *group.Group, divisible bool) {
	if _, assumed := t.Assumed[corev1.LabelTopologyZone]; assumed {
		n.leaveClosedZone(node, g)
		if divisible {
			node.Labels[nodemeta.ZoneAssumed] = nodemeta.Among(g.Zones)
		}
	}
	n.zoneIDs.Label(node)
}

// leaveClosedZone puts the node into the group's first open zone if nothing can be launched in its own. A pod that needs the closed zone
// would have the group launch node after node, all in other zones.
func (n *Provider) leaveClosedZone(node *corev1.Node, g *group.Group) {
	zone := node.Labels[corev1.LabelTopologyZone]
	if !n.provider.Closed(g, zone) {
		return
	}
	at := slices.IndexFunc(g.Zones, func(zone string) bool { return !n.provider.Closed(g, zone) })
	if at < 0 {
		return
	}
	for _, key := range podzone.NameLabels {
		if node.Labels[key] == zone {
			node.Labels[key] = g.Zones[at]
		}
	}
	if node.Labels[podzone.LabelZoneID] == n.zoneIDs.ID(zone) {
		delete(node.Labels, podzone.LabelZoneID)
	}
}
