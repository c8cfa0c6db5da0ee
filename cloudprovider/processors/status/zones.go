package status

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

const (
	// zoneCheckSoon and zoneCheckLate bound how long a pod is left alone for which no group was divided: half its age. A change, such as a
	// bound claim, mostly comes soon after the pod.
	zoneCheckSoon, zoneCheckLate = 10 * time.Second, 10 * time.Minute
	// maxZoneChecks bounds the simulations of a loop, which leaves the other pods to the next loops. Each takes a fraction
	// of a millisecond.
	maxZoneChecks = 200
)

// Zones looks at pods that would fit the nodes of a whole group with several zones, if only they came up in a certain zone. It has
// the group scaled zone by zone from the next loop on, where that is possible.
//
// It implements the core's ScaleUpStatusProcessor. The core's loop alone uses it.
type Zones struct {
	Provider *aws.Provider
	Need     func(*corev1.Pod) (podzone.Need, bool) // the one zone that a pod must run in
	ZoneID   func(name string) string               // "" where it is unknown
	Clock    clock.PassiveClock
	nextLook map[types.UID]time.Time // by pod
}

func (z *Zones) Process(ctx *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	now := z.Clock.Now()
	if maps.DeleteFunc(z.nextLook, func(_ types.UID, at time.Time) bool { return !now.Before(at) }); z.nextLook == nil {
		z.nextLook = map[types.UID]time.Time{}
	}
	if s.Result != corestatus.ScaleUpNoOptionsAvailable && s.Result != corestatus.ScaleUpSuccessful {
		return // the core has not tried every group
	}
	l := &zoneLook{Zones: z, ctx: ctx, groups: s.ConsideredNodeGroups, left: maxZoneChecks}
	for _, info := range s.PodsRemainUnschedulable {
		pod := info.Pod
		need, one := z.Need(pod)
		elsewhere := one || pod.Spec.Affinity != nil || pod.Spec.TopologySpreadConstraints != nil ||
			slices.ContainsFunc(pod.Spec.Volumes, nodemeta.HasClaim)
		if _, later := z.nextLook[pod.UID]; later || !elsewhere {
			continue
		}
		if l.left <= 0 {
			return
		}
		if !l.divide(info, need.Zone) {
			z.nextLook[pod.UID] = now.Add(min(max(zoneCheckSoon, now.Sub(pod.CreationTimestamp.Time)/2), zoneCheckLate))
		}
	}
}

func (*Zones) CleanUp() {}

// zoneLook is a look at the pods of one loop.
type zoneLook struct {
	*Zones
	ctx    *cacontext.AutoscalingContext
	groups []cloudprovider.NodeGroup
	left   int // simulations until the other pods wait for the next loop
}

// divide has each group divided whose nodes the pod would fit in the zone, and reports whether there is one. The empty zone is any. It
// ends at a group that promises the zone and is merely held back, for instance by its maximum or a cool-down.
func (l *zoneLook) divide(info corestatus.NoScaleUpInfo, zone string) (divided bool) {
	v := l.Provider.View()
	for _, ng := range l.groups {
		name := ng.Id()
		g, t := v.Group(name), v.Template(name)
		if g == nil || t == nil || g.Blocked() {
			continue
		}
		_, heldBack := info.SkippedNodeGroups[name]
		if promised, ok := t.Labels[corev1.LabelTopologyZone]; ok {
			if heldBack && promised == zone && l.fits(info.Pod, name, zone) {
				return divided
			}
			continue
		}
		if !heldBack && v.Divisible(name) && slices.ContainsFunc(g.Zones, func(z string) bool { return (zone == "" || z == zone) && l.fits(info.Pod, name, z) }) {
			l.Provider.NeedZones(name) // the expander chooses among all of them
			divided = true
		}
	}
	return divided
}

// fits reports whether the pod would fit a node of the group in the zone, by the core's simulator.
func (l *zoneLook) fits(pod *corev1.Pod, group, zone string) bool {
	l.left--
	cached, ok := l.ctx.TemplateNodeInfoRegistry.GetNodeInfo(group)
	if !ok {
		return false
	}
	info, err := simulator.SanitizedNodeInfo(cached, "zone")
	if err != nil {
		klog.ErrorS(err, "Could not simulate a node in a zone", "nodeGroup", group)
		return false
	}
	node := info.Node()
	delete(node.Labels, nodemeta.ZoneAssumed)
	for _, key := range podzone.NameLabels {
		node.Labels[key] = zone
	}
	if node.Labels[podzone.LabelZoneID] = l.ZoneID(zone); node.Labels[podzone.LabelZoneID] == "" {
		delete(node.Labels, podzone.LabelZoneID)
	}
	fits := false
	_, err = clustersnapshot.WithForkedSnapshot(l.ctx.ClusterSnapshot, func() (bool, error) {
		if err := l.ctx.ClusterSnapshot.AddNodeInfo(info); err != nil {
			return false, err
		}
		fits = l.ctx.ClusterSnapshot.CheckPredicates(pod, node.Name) == nil
		return false, nil
	})
	if err != nil {
		klog.ErrorS(err, "Could not take a simulated node back", "nodeGroup", group)
	}
	return fits
}
