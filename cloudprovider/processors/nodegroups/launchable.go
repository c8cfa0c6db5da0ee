package nodegroups

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	podutil "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// Launchable is the core's NodeGroupListProcessor. It leaves out groups that cannot grow now: the core would ask and complain about each at
// every scale-up, although all of them have been reported. The core's loop alone uses it.
type Launchable struct {
	Provider *aws.Provider
	// Bound returns the size up to which a node group may grow for the pods of this loop, false for the usual one. It may be nil.
	Bound func(nodeGroup string) (size int, bounded bool)

	leftOut []cloudprovider.NodeGroup
	reasons map[string]corestatus.Reasons // by ID of leftOut
}

// Process returns the groups that can grow, and their next nodes. A group whose nodes came up without an accelerator has none to give for a time,
// and is left out for no pods. Process never fails.
func (l *Launchable) Process(_ *cacontext.AutoscalingContext, groups []cloudprovider.NodeGroup, infos map[string]*framework.NodeInfo,
	pods []*corev1.Pod) ([]cloudprovider.NodeGroup, map[string]*framework.NodeInfo, error) {
	leftOut, reasons := []cloudprovider.NodeGroup(nil), map[string]corestatus.Reasons{}
	able := make([]cloudprovider.NodeGroup, 0, len(groups))
	for _, ng := range groups {
		g := l.Provider.View().Group(ng.Id())
		if r := l.refusal(g, infos[ng.Id()], pods); r.Kind != "" {
			leftOut, reasons[ng.Id()] = append(leftOut, ng), r
			continue
		}
		if devices := l.Provider.Withheld(g.Name); len(devices) > 0 {
			infos = maps.Clone(infos) // the loop goes on with the core's
			infos[ng.Id()] = without(infos[ng.Id()], devices)
		}
		candidate := candidate(ng)
		if l.Bound != nil {
			if size, isBounded := l.Bound(ng.Id()); isBounded && g.TargetInstances() >= size {
				continue // the loop is for pods of another group
			} else if own, ok := ng.(*aws.NodeGroup); ok && isBounded {
				candidate = &bounded{NodeGroup: own, most: min(size, candidate.MaxSize())}
			}
		}
		able = append(able, candidate)
	}
	l.leftOut, l.reasons = leftOut, reasons
	return able, infos, nil
}

// refusal is why the group cannot grow now, zero if it can. info is of its next node.
func (l *Launchable) refusal(g *group.Group, info *framework.NodeInfo, pods []*corev1.Pod) why.Refusal {
	switch {
	case l.Provider.TooOldToAdd():
		return why.Refusal{Kind: why.RefusedUnread}
	case g != nil && l.Provider.Paused(g, false).Up:
		return why.Refusal{Kind: why.RefusedPaused}
	case g == nil, info == nil, nodemeta.Placeholder.On(info.Node()), g.Blocked():
		return why.Refusal{Kind: why.RefusedDegraded}
	}
	if rest, cooling := l.Provider.CoolDown(g); cooling {
		r := why.Refusal{Kind: why.RefusedCoolDown, Class: string(rest.Class)}
		if l.reasons[g.ID()] != corestatus.Reasons(r) { // once, and not in each scale-up
			klog.V(2).InfoS("Passed over a node group that cannot launch now", "nodeGroup", g.ID(), "pool", rest.Pool, "reason", rest.Class, "until", rest.Until)
		}
		return r
	}
	if by := l.Provider.Capped(g); by != nil {
		return why.Refusal{Kind: why.RefusedSpendCap, Cap: *by}
	}
	devices := l.Provider.Withheld(g.Name) // its nodes came up without these
	if len(devices) > 0 && !slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return !asks(pod, devices, info) }) {
		return why.Refusal{Kind: why.RefusedCoolDown, Class: "without " + strings.Join(devices, ", ")}
	}
	return why.Refusal{}
}

// asks reports whether the pod asks for any of the devices, by count or, where a driver shares it out as far as is known, by a claim.
func asks(pod *corev1.Pod, devices []string, info *framework.NodeInfo) bool {
	requests := podutil.PodRequests(pod)
	return slices.ContainsFunc(devices, func(device string) bool {
		asked := requests[corev1.ResourceName(device)]
		return !asked.IsZero()
	}) || len(pod.Spec.ResourceClaims) > 0 && slices.ContainsFunc(info.LocalResourceSlices, assumed(devices))
}

// assumed reports whether no node of the group publishes the slice, which has some of the devices.
func assumed(devices []string) func(*resourceapi.ResourceSlice) bool {
	return func(s *resourceapi.ResourceSlice) bool {
		return nodemeta.Assumed.On(s) && slices.ContainsFunc(devices, func(device string) bool {
			return nodetemplate.Shares(s.Spec.Driver, corev1.ResourceName(device))
		})
	}
}

// without returns info with a node that gives pods no devices. Its capacity still shows them, by which expanders keep other pods off.
func without(info *framework.NodeInfo, devices []string) *framework.NodeInfo {
	info = info.DeepCopy()
	info.LocalResourceSlices = slices.DeleteFunc(info.LocalResourceSlices, assumed(devices))
	node := info.Node()
	for _, device := range devices {
		delete(node.Status.Allocatable, corev1.ResourceName(device))
	}
	info.SetNode(node) // has the scheduler's sums made again
	return info
}

// AddLeftOut adds the groups that the last Process left out to the result of a scale-up, so that the events on waiting pods count them. The
// core itself counts only the groups that it considered, and gives no reason where there is none.
func (l *Launchable) AddLeftOut(s *corestatus.ScaleUpStatus) {
	if len(l.leftOut) == 0 || len(s.PodsRemainUnschedulable) == 0 {
		return
	}
	s.ConsideredNodeGroups = slices.Concat(s.ConsideredNodeGroups, l.leftOut)
	skipped := maps.Clone(l.reasons)
	for at := range s.PodsRemainUnschedulable {
		pod := &s.PodsRemainUnschedulable[at]
		if pod.SkippedNodeGroups == nil {
			pod.SkippedNodeGroups = skipped
		} else if _, added := pod.SkippedNodeGroups[l.leftOut[0].Id()]; !added { // the core's pods share one map
			maps.Copy(pod.SkippedNodeGroups, skipped)
		}
	}
}

func (*Launchable) CleanUp() {}

// bounded is a node group with another maximum size than its own, such as a zone group that may have more than its share.
type bounded struct {
	*aws.NodeGroup
	most int
}

func (b *bounded) MaxSize() int { return b.most }

// candidate is the node group as the core weighs it for a scale-up.
func candidate(ng cloudprovider.NodeGroup) cloudprovider.NodeGroup {
	if z := zoneGroup(ng); z != nil {
		return &bounded{NodeGroup: z, most: z.MostSize()}
	}
	return ng
}

// zoneGroup returns the node group if it is a zone group, bounded or not, or nil.
func zoneGroup(ng cloudprovider.NodeGroup) *aws.NodeGroup {
	if b, weighed := ng.(*bounded); weighed {
		ng = b.NodeGroup
	}
	if own, ok := ng.(*aws.NodeGroup); ok && own.Zone() != "" {
		return own
	}
	return nil
}
