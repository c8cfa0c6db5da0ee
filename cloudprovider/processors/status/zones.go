package status

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

const (
	// zoneCheckSoon and zoneCheckLate bound how long a pod is left alone for which no group was divided: half its age. A change, such as a
	// bound claim, mostly comes soon after the pod. Another group that can be divided ends the time.
	zoneCheckSoon, zoneCheckLate = 10 * time.Second, 10 * time.Minute
	// zoneChecking bounds the simulations of a loop for the pods that remain, and again for the pods that it helped, but for one pod of each
	// scale-up. The other pods and groups are left to the next loops. Each takes a fraction of a millisecond, or ten milliseconds for a pod with hard spread among thousands of nodes.
	zoneChecking = 50 * time.Millisecond
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
	// Raises takes the status of a loop apart: one status for each scale-up.
	Raises   func(*corestatus.ScaleUpStatus) []*corestatus.ScaleUpStatus
	nextLook map[types.UID]time.Time // by pod
	able     map[string]bool         // groups that could be divided and grow in the last loop
	anew     bool                    // a group can that could not, since cleared
	cleared  time.Time

	unfinished types.UID // the pod whose look goes on first in the next loop, "" for none
	from       string    // the group at which it goes on
}

func (z *Zones) Process(ctx *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	now := z.Clock.Now()
	if maps.DeleteFunc(z.nextLook, func(_ types.UID, at time.Time) bool { return !now.Before(at) }); z.nextLook == nil {
		z.nextLook = map[types.UID]time.Time{}
	}
	if s.Result != corestatus.ScaleUpNoOptionsAvailable && s.Result != corestatus.ScaleUpSuccessful {
		return // the core has not tried every group
	}
	l := &zoneLook{Zones: z, ctx: ctx}
	l.groups, l.pausing = z.divisible(s, now)
	l.divideGrown(s)
	var pods []*corev1.Pod
	for _, info := range s.PodsRemainUnschedulable {
		if _, later := z.nextLook[info.Pod.UID]; !later && z.needs(info.Pod) {
			pods = append(pods, info.Pod)
		}
	}
	if at := slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return pod.UID == z.unfinished }); at > 0 {
		pods[0], pods[at] = pods[at], pods[0]
	}
	kinds := map[*corev1.Pod]int{} // each owner's pods are compared with few others
	for kind, equal := range snapshot.EqualPods(pods) {
		for _, pod := range equal {
			kinds[pod] = kind
		}
	}
	type like struct {
		zone string
		kind int
	}
	tried := map[like]bool{}
	l.until = z.Clock.Now().Add(zoneChecking) // the comparison of many pods alone may take longer
	for _, pod := range pods {
		need, _ := z.Need(pod)
		of, age := like{need.Zone, kinds[pod]}, time.Duration(0)
		if at := pod.CreationTimestamp; !at.IsZero() { // as for a buffer, whose pods keep their UIDs when it changes
			age = now.Sub(at.Time)
		}
		waits := tried[of] || 0 < age && age < cooldown.ShortestPoolCoolDown && l.helpedSoon(pod, need.Zone)
		if !waits && (l.over() || !l.inVain(pod, need.Zone)) {
			continue
		}
		tried[of] = true
		z.nextLook[pod.UID] = now.Add(min(max(zoneCheckSoon, age/2), zoneCheckLate))
	}
}

func (*Zones) CleanUp() {}

// divisible returns the groups that can be divided and grow. pausing are groups of one zone that can grow after a pause. All pods of a scale-up
// share the groups that are held back. If a group can be divided that could not before, Process looks at all pods again.
func (z *Zones) divisible(s *corestatus.ScaleUpStatus, now time.Time) (groups, pausing []string) {
	v, able, heldBack := z.Provider.View(), map[string]bool{}, map[string]corestatus.Reasons{}
	if len(s.PodsRemainUnschedulable) > 0 {
		heldBack = s.PodsRemainUnschedulable[0].SkippedNodeGroups
	}
	for _, ng := range s.ConsideredNodeGroups {
		name := ng.Id()
		_, held := heldBack[name]
		g, t := v.Group(name), v.Template(name)
		switch {
		case g == nil || t == nil || g.Blocked():
		case t.Labels[corev1.LabelTopologyZone] != "":
			if held && g.TargetInstances() < g.MostInstances() {
				pausing = append(pausing, name)
			}
		case !held && v.Divisible(name):
			groups, able[name], z.anew = append(groups, name), true, z.anew || !z.able[name]
		}
	}
	if z.able = able; z.anew && now.Sub(z.cleared) >= zoneCheckSoon {
		clear(z.nextLook)
		z.anew, z.cleared = false, now
	}
	return groups, pausing
}

// needs reports whether the pod may need a certain zone.
func (z *Zones) needs(pod *corev1.Pod) bool {
	_, one := z.Need(pod)
	return one || pod.Spec.Affinity != nil || pod.Spec.TopologySpreadConstraints != nil || slices.ContainsFunc(pod.Spec.Volumes, nodemeta.HasClaim)
}

// zoneLook is a look at the pods of one loop.
type zoneLook struct {
	*Zones
	ctx     *cacontext.AutoscalingContext
	groups  []string // that can be divided and grow
	pausing []string // of one zone, that can grow after a pause
	until   time.Time
}

// over reports whether the other pods and groups wait for the next loop.
func (l *zoneLook) over() bool { return !l.Clock.Now().Before(l.until) }

// helpedSoon reports whether a group of the zone takes the pod after its pause.
func (l *zoneLook) helpedSoon(pod *corev1.Pod, zone string) bool {
	return slices.ContainsFunc(l.pausing, func(name string) bool {
		return !l.over() && l.Provider.View().Template(name).Labels[corev1.LabelTopologyZone] == zone && l.fits(pod, name, zone)
	})
}

// inVain has each group divided whose nodes the pod would fit in the zone, and reports whether it has seen all groups and divided none. The
// empty zone is any. A group of the zone alone that is held back counts for nothing, because it may be at its maximum for ever.
// Once the time is over, the look goes on in the next loop.
func (l *zoneLook) inVain(pod *corev1.Pod, zone string) bool {
	divided, first := false, 0
	if pod.UID == l.unfinished {
		first = max(0, slices.Index(l.groups, l.from))
		l.unfinished = ""
	}
	for _, name := range l.groups[first:] {
		if l.over() {
			l.unfinished, l.from = pod.UID, name
			return false
		}
		zones := slices.DeleteFunc(slices.Clone(l.Provider.View().Group(name).Zones), func(z string) bool { return zone != "" && z != zone })
		if slices.ContainsFunc(zones, func(z string) bool { return l.fits(pod, name, z) }) {
			l.Provider.NeedZones(name) // the expander chooses among all of them
			divided = true
		}
	}
	return !divided
}

// divideGrown has each whole group divided that grew for a pod which other pods keep out of some of its zones. The node that was asked
// for may come up in one of these, and so might the next ones.
func (l *zoneLook) divideGrown(s *corestatus.ScaleUpStatus) {
	v, alone := l.Provider.View(), func(pod *corev1.Pod) bool { return !podzone.DependsOnPods(pod) }
	raises := l.Raises(s)
	for _, raise := range raises {
		kinds := snapshot.EqualPods(slices.DeleteFunc(slices.Clone(raise.PodsTriggeredScaleUp), alone))
		l.until = l.Clock.Now().Add(zoneChecking / time.Duration(len(raises)))
		for _, grown := range raise.ScaleUpInfos {
			name := grown.Group.Id()
			if !v.Divisible(name) {
				continue
			}
			zones := v.Group(name).Zones
			for _, equal := range kinds {
				if l.over() {
					break
				}
				fitting := slices.DeleteFunc(slices.Clone(zones), func(zone string) bool { return !l.fits(equal[0], name, zone) })
				if len(fitting) > 0 && len(fitting) < len(zones) {
					l.Provider.NeedZones(name)
					break
				}
			}
		}
	}
}

// fits reports whether the pod would fit a node of the group in the zone, by the core's simulator.
func (l *zoneLook) fits(pod *corev1.Pod, group, zone string) bool {
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
	l.ctx.ClusterSnapshot.Fork()
	defer l.ctx.ClusterSnapshot.Revert()
	if err := l.ctx.ClusterSnapshot.AddNodeInfo(info); err != nil {
		klog.ErrorS(err, "Could not simulate a node in a zone", "nodeGroup", group)
		return false
	}
	return l.ctx.ClusterSnapshot.CheckPredicates(pod, node.Name) == nil
}
