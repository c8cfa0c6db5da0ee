package aws

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaleup "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

const (
	// reasonZoneNotPromised is that of the event on a pod which a node group of several zones could help, but for the zone.
	reasonZoneNotPromised = "ZoneNotPromised"
	// zoneEventAgain is how long after its event a pod gets another: the API server forgets events after an hour, by default.
	zoneEventAgain = 30 * time.Minute
	// zoneCheckSoon and zoneCheckLate bound how long a pod is left alone for which there was nothing to tell: half its age.
	// What changes it, such as a claim that is bound, mostly comes soon after the pod.
	zoneCheckSoon, zoneCheckLate = 10 * time.Second, 10 * time.Minute
	// maxZoneChecks is how many simulations a loop makes before it leaves the other pods to the loops that follow; each
	// takes a fraction of a millisecond.
	maxZoneChecks = 200
	// maxZoneGroups is how many groups an event names.
	maxZoneGroups = 3
)

// ZoneEvents tells the owner of a pod that has to run in one zone, and that no node group helps, when there is a group of
// several zones, that zone among them, whose nodes would fit: it is an event on the pod, once in half an hour.
//
// It implements the core's ScaleUpStatusProcessor, and is used by the core's loop alone.
type ZoneEvents struct {
	pods  *ZonalPods
	clock clock.PassiveClock
	rest  map[types.UID]time.Time // by pod, the time until which it is left alone
}

// NewZoneEvents makes a ZoneEvents.
func NewZoneEvents(pods *ZonalPods, c clock.PassiveClock) *ZoneEvents {
	return &ZoneEvents{pods: pods, clock: c, rest: map[types.UID]time.Time{}}
}

// Process looks at the pods that no group was found for.
func (z *ZoneEvents) Process(ctx *cacontext.AutoscalingContext, s *scaleup.ScaleUpStatus) {
	now := z.clock.Now()
	for uid, until := range z.rest {
		if !now.Before(until) {
			delete(z.rest, uid)
		}
	}
	if s.Result != scaleup.ScaleUpNoOptionsAvailable && s.Result != scaleup.ScaleUpSuccessful {
		return // not every group was tried
	}
	f := &fitting{ctx: ctx, provider: z.pods.provider, left: maxZoneChecks}
	for _, remaining := range s.PodsRemainUnschedulable {
		pod := remaining.Pod
		if _, resting := z.rest[pod.UID]; resting {
			continue
		}
		need, ok := z.pods.need(pod)
		if !ok {
			continue
		}
		if f.left <= 0 {
			return
		}
		message := z.message(f, need, remaining, s)
		age := now.Sub(pod.CreationTimestamp.Time)
		z.rest[pod.UID] = now.Add(min(max(zoneCheckSoon, age/2), zoneCheckLate))
		if message != "" {
			z.rest[pod.UID] = now.Add(zoneEventAgain)
			ctx.Recorder.Event(pod, corev1.EventTypeWarning, reasonZoneNotPromised, message)
		}
	}
}

// CleanUp implements the core's ScaleUpStatusProcessor.
func (*ZoneEvents) CleanUp() {}

// message is what there is to tell of a pod; "" for nothing: no group would fit if only it promised the zone, or one that
// does promise it fits and is merely held back, by its maximum for instance.
func (z *ZoneEvents) message(f *fitting, need podzone.Need, remaining scaleup.NoScaleUpInfo, s *scaleup.ScaleUpStatus) string {
	v := z.pods.provider.view.Load()
	var names []string
	for _, ng := range s.ConsideredNodeGroups {
		name := ng.Id()
		g, t := v.groups[name], v.templates[name]
		if g == nil || t == nil {
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
	ctx      *cacontext.AutoscalingContext
	provider *Provider
	left     int // simulations until no other pod is looked at
}

// fits reports whether the pod would fit a node of the group in the zone.
func (f *fitting) fits(pod *corev1.Pod, group, zone string) bool {
	f.left--
	picture, ok := f.ctx.TemplateNodeInfoRegistry.GetNodeInfo(group)
	if !ok {
		return false
	}
	info, err := simulator.SanitizedNodeInfo(picture, "zone")
	if err != nil {
		klog.FromContext(f.provider.ctx).Error(err, "Could not simulate a node in a zone", "nodeGroup", group)
		return false
	}
	node := info.Node()
	delete(node.Labels, LabelZoneAssumed)
	for _, key := range podzone.NameLabels {
		node.Labels[key] = zone
	}
	delete(node.Labels, podzone.LabelZoneID)
	if id := f.provider.zoneIDs.Load().byName[zone]; id != "" {
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
		klog.FromContext(f.provider.ctx).Error(err, "Could not take a simulated node back", "nodeGroup", group)
	}
	return fits
}
