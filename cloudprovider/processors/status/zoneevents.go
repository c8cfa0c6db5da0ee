package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/annotations"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

const (
	// reasonZoneNotPromised is the reason of the event on a pod which a node group of several zones could help, but for the zone.
	reasonZoneNotPromised = "ZoneNotPromised"
	// zoneEventAgain is how long after its event a pod gets another. The API server forgets events after an hour, by default.
	zoneEventAgain = 30 * time.Minute
	// zoneCheckSoon and zoneCheckLate bound how long a pod without an event is left alone: half its age. A change, such as a
	// bound claim, mostly comes soon after the pod.
	zoneCheckSoon, zoneCheckLate = 10 * time.Second, 10 * time.Minute
	// maxZoneChecks is how many simulations a loop makes before it leaves the other pods to the next loops. Each takes a fraction
	// of a millisecond.
	maxZoneChecks = 200
	// maxZoneGroups is how many groups an event names.
	maxZoneGroups = 3
)

// ZonePods knows which pods must run in one zone, and the identifiers of zones.
type ZonePods struct {
	Need   func(*corev1.Pod) (podzone.Need, bool)
	ZoneID func(name string) string // "" where it is unknown
}

// ZoneEvents publishes an event on a pod that must run in one zone and that no node group helps, if the nodes of a group with
// several zones would fit, that zone among them. A pod gets one in half an hour. A pod of a ProvisioningRequest gets none, because
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

// Process looks at the pods that no group was found for.
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
	f := &fitting{ctx: ctx, zoneID: z.pods.ZoneID, left: maxZoneChecks}
	for _, remaining := range s.PodsRemainUnschedulable {
		pod := remaining.Pod
		_, later := z.nextLook[pod.UID]
		if _, requested := pod.Annotations[provreqv1.ProvisioningRequestPodAnnotationKey]; later || requested {
			continue
		}
		need, ok := z.pods.Need(pod)
		if !ok {
			continue
		}
		if f.left <= 0 {
			return
		}
		message := z.message(f, need, remaining, s)
		age := now.Sub(pod.CreationTimestamp.Time)
		z.nextLook[pod.UID] = now.Add(min(max(zoneCheckSoon, age/2), zoneCheckLate))
		if message != "" {
			z.nextLook[pod.UID] = now.Add(zoneEventAgain)
			ctx.Recorder.Event(pod, corev1.EventTypeWarning, reasonZoneNotPromised, message)
		}
	}
}

// CleanUp implements the core's ScaleUpStatusProcessor.
func (*ZoneEvents) CleanUp() {}

// message returns the text of the event, or "" for none. There is none if no group would fit by promising the zone, or if a group that
// promises it fits and is merely held back, for instance by its maximum or a cool-down. A blocked group counts as neither.
func (z *ZoneEvents) message(f *fitting, need podzone.Need, remaining corestatus.NoScaleUpInfo, s *corestatus.ScaleUpStatus) string {
	v := z.provider.View()
	var names []string
	for _, ng := range s.ConsideredNodeGroups {
		name := ng.Id()
		g, t := v.Group(name), v.Template(name)
		if g == nil || t == nil || g.Blocked() {
			continue
		}
		if promised, ok := t.Labels[corev1.LabelTopologyZone]; ok {
			if _, heldBack := remaining.SkippedNodeGroups[name]; heldBack && promised == need.Zone && f.fits(remaining.Pod, name, need.Zone) {
				return ""
			}
			continue
		}
		if len(names) < maxZoneGroups && slices.Contains(g.Zones, need.Zone) && f.fits(remaining.Pod, name, need.Zone) {
			names = append(names, fmt.Sprintf("%q (%s)", name, strings.Join(slices.Sorted(slices.Values(g.Zones)), ", ")))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("Pod needs a node in zone %s, says its %s, and no node group that would take it promises one. It would fit the nodes of %s, "+
		"but AWS chooses among the zones of a group: have one of them scaled zone by zone (tag it %s=true and suspend its process AZRebalance), "+
		"or give zone %s a group of its own", need.Zone, need.Said, strings.Join(names, ", "), asg.TagZonal, need.Zone)
}

// fitting tries pods on nodes that groups would add, in the core's simulator.
type fitting struct {
	ctx    *cacontext.AutoscalingContext
	zoneID func(name string) string
	left   int // simulations until the other pods wait for the next loop
}

// fits reports whether the pod would fit a node of the group in the zone.
func (f *fitting) fits(pod *corev1.Pod, group, zone string) bool {
	f.left--
	cached, ok := f.ctx.TemplateNodeInfoRegistry.GetNodeInfo(group)
	if !ok {
		return false
	}
	info, err := simulator.SanitizedNodeInfo(cached, "zone")
	if err != nil {
		klog.ErrorS(err, "Could not simulate a node in a zone", "nodeGroup", group)
		return false
	}
	node := info.Node()
	delete(node.Labels, annotations.ZoneAssumed)
	for _, key := range podzone.NameLabels {
		node.Labels[key] = zone
	}
	delete(node.Labels, podzone.LabelZoneID)
	if id := f.zoneID(zone); id != "" {
		node.Labels[podzone.LabelZoneID] = id
	}
	fits := false
	_, err = clustersnapshot.WithForkedSnapshot(f.ctx.ClusterSnapshot, func() (bool, error) {
		if err := f.ctx.ClusterSnapshot.AddNodeInfo(info); err != nil {
			return false, err
		}
		fits = f.ctx.ClusterSnapshot.CheckPredicates(pod, node.Name) == nil
		return false, nil
	})
	if err != nil {
		klog.ErrorS(err, "Could not take a simulated node back", "nodeGroup", group)
	}
	return fits
}
