package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

const (
	// reasonZoneNotPromised is the reason of the event on a pod which a node group of several zones could help, but for the zone.
	reasonZoneNotPromised = "ZoneNotPromised"
	// zoneEventAgain is the time until a pod gets another event. The API server forgets events after an hour, by default.
	zoneEventAgain = 30 * time.Minute
	// zoneCheckSoon and zoneCheckLate bound how long a pod without an event is left alone: half its age. A change, such as a
	// bound claim, mostly comes soon after the pod.
	zoneCheckSoon, zoneCheckLate = 10 * time.Second, 10 * time.Minute
	// maxZoneChecks bounds the simulations of a loop, which leaves the other pods to the next loops. Each takes a fraction
	// of a millisecond.
	maxZoneChecks = 200
	// maxZoneGroups bounds the groups that an event names.
	maxZoneGroups = 3
)

// ZonePods knows which pods must run in one zone, and the identifiers of zones.
type ZonePods struct {
	Need   func(*corev1.Pod) (podzone.Need, bool)
	ZoneID func(name string) string // "" where it is unknown
}

// ZoneEvents looks at pods that would fit the nodes of a whole group with several zones, if only they came up in a certain zone. It has
// the group scaled zone by zone from the next loop on. Where that is not possible, a pod that must run in one zone gets an event, also if
// the group is raised for it, because AWS may launch in another zone. A pod gets one in half an hour. A pod of a ProvisioningRequest gets none, because
// the core makes it up and no such object exists.
//
// It implements the core's ScaleUpStatusProcessor. The core's loop alone uses it.
type ZoneEvents struct {
	provider *aws.Provider
	pods     ZonePods
	clock    clock.PassiveClock
	nextLook map[types.UID]time.Time // by pod
}

// NewZoneEvents makes a ZoneEvents.
func NewZoneEvents(p *aws.Provider, pods ZonePods, c clock.PassiveClock) *ZoneEvents {
	return &ZoneEvents{provider: p, pods: pods, clock: c, nextLook: map[types.UID]time.Time{}}
}

// Process looks at the pods that no group was found for, and at those that a group was raised for.
func (z *ZoneEvents) Process(ctx *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	now := z.clock.Now()
	for uid, at := range z.nextLook {
		if !now.Before(at) {
			delete(z.nextLook, uid)
		}
	}
	if s.Result != corestatus.ScaleUpNoOptionsAvailable && s.Result != corestatus.ScaleUpSuccessful {
		return // the core has not tried every group
	}
	l := &zoneLook{ZoneEvents: z, ctx: ctx, groups: s.ConsideredNodeGroups, left: maxZoneChecks}
	pods := slices.Clone(s.PodsRemainUnschedulable)
	for _, pod := range s.PodsTriggeredScaleUp {
		pods = append(pods, corestatus.NoScaleUpInfo{Pod: pod})
	}
	for at, info := range pods {
		pod := info.Pod
		need, one := z.pods.Need(pod)
		if _, later := z.nextLook[pod.UID]; later || !one && (at >= len(s.PodsRemainUnschedulable) || pod.Spec.Affinity == nil && pod.Spec.TopologySpreadConstraints == nil) {
			continue
		}
		if l.left <= 0 {
			return
		}
		helped := at >= len(s.PodsRemainUnschedulable)
		names, divided := l.groupsFor(info, need.Zone, helped)
		if divided || helped && len(names) == 0 {
			continue // the next loop shows whether AWS launches there
		}
		age := now.Sub(pod.CreationTimestamp.Time)
		z.nextLook[pod.UID] = now.Add(min(max(zoneCheckSoon, age/2), zoneCheckLate))
		if _, requested := pod.Annotations[provreqv1.ProvisioningRequestPodAnnotationKey]; one && len(names) > 0 && !requested {
			z.nextLook[pod.UID] = now.Add(zoneEventAgain)
			ctx.Recorder.Eventf(pod, corev1.EventTypeWarning, reasonZoneNotPromised, "Pod needs a node in zone %s, says its %s, and no node group that would "+
				"take it promises one. It would fit the nodes of %s, but AWS chooses among the zones of a group: have one of them scaled zone by zone (tag it "+
				"%s=true, and an event says what it lacks), or give zone %s a group of its own", need.Zone, need.Said, strings.Join(names, ", "), asg.TagZonal, need.Zone)
		}
	}
}

// CleanUp implements the core's ScaleUpStatusProcessor.
func (*ZoneEvents) CleanUp() {}

// zoneLook is a look at the pods of one loop.
type zoneLook struct {
	*ZoneEvents
	ctx    *cacontext.AutoscalingContext
	groups []cloudprovider.NodeGroup
	left   int // simulations until the other pods wait for the next loop
}

// groupsFor has each group divided whose nodes the pod would fit in the zone. The empty zone is any. If it finds none, it returns the groups that
// would fit and cannot be divided. There are none either if a group that promises the zone fits, and was raised for the pod or is merely held
// back, for instance by its maximum or a cool-down. A blocked group counts as neither.
func (l *zoneLook) groupsFor(info corestatus.NoScaleUpInfo, zone string, helped bool) (names []string, divided bool) {
	v := l.provider.View()
	for _, ng := range l.groups {
		name := ng.Id()
		g, t := v.Group(name), v.Template(name)
		if g == nil || t == nil || g.Blocked() {
			continue
		}
		_, heldBack := info.SkippedNodeGroups[name]
		if promised, ok := t.Labels[corev1.LabelTopologyZone]; ok {
			if (helped || heldBack) && promised == zone && l.fits(info.Pod, name, zone) {
				return nil, divided
			}
			continue
		}
		divisible := v.Divisible(name)
		if divisible && (helped || heldBack) || !divisible && (zone == "" || len(names) == maxZoneGroups) {
			continue
		}
		if !slices.ContainsFunc(g.Zones, func(z string) bool { return (zone == "" || z == zone) && l.fits(info.Pod, name, z) }) {
			continue
		}
		if divided = divided || divisible; divisible {
			l.provider.NeedZones(name) // the expander chooses among all of them
			continue
		}
		names = append(names, fmt.Sprintf("%q (%s)", name, strings.Join(slices.Sorted(slices.Values(g.Zones)), ", ")))
	}
	return names, divided
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
	delete(node.Labels, podzone.LabelZoneID)
	if id := l.pods.ZoneID(zone); id != "" {
		node.Labels[podzone.LabelZoneID] = id
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
