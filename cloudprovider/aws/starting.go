package aws

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	csisnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/snapshot"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// StartingNodes tells the core which nodes are still starting although their kubelet says Ready: those that do not show
// an accelerator yet that their group's template promises. The core counts such a node as upcoming: it launches no other in
// its place for the pods that wait, and does not remove it under them for being unneeded.
//
// That holds for as long as a node may take to start (--max-node-startup-time, or the group's tag), and for as long as no
// pod runs there but those of every node: one that others use already counts as it is. A node that shows no accelerator in
// time is reported once and counts as it is, too: it goes when nothing else needs it, and the waiting pods get another.
//
// The core calls it before Refresh, so it sees the view of the last loop. A node of a group that was found since then counts as it
// is for one loop. An empty one is removed for it only where --scale-down-unneeded-time is shorter than a loop.
//
// It implements the core's CustomResourcesProcessor in front of the core's own, and is used by the core's loop alone.
type StartingNodes struct {
	customresources.CustomResourcesProcessor
	provider *Provider
	clock    clock.PassiveClock
	late     map[string]bool // nodes, by name, that were reported
}

// NewStartingNodes makes a StartingNodes in front of the core's processor.
func NewStartingNodes(p *Provider, core customresources.CustomResourcesProcessor, c clock.PassiveClock) *StartingNodes {
	return &StartingNodes{CustomResourcesProcessor: core, provider: p, clock: c, late: map[string]bool{}}
}

// FilterOutNodesWithUnreadyResources takes the starting nodes from the ready ones and marks them as not ready among all. As the
// first in a loop to see all nodes with their volumes, it also adds the CSINodes that the core cannot do without.
func (s *StartingNodes) FilterOutNodesWithUnreadyResources(ctx *cacontext.AutoscalingContext, all, ready []*corev1.Node,
	devices *drasnapshot.Snapshot, volumes *csisnapshot.Snapshot) ([]*corev1.Node, []*corev1.Node) {
	addCSINodes(volumes, all)
	starting := map[string]*corev1.Node{}
	late := s.stillLate(all, devices)
	stillReady := make([]*corev1.Node, 0, len(ready))
	used := sync.OnceValue(func() map[string]bool { return usedNodes(ctx) })
	for _, node := range ready {
		missing := s.missing(node, devices)
		switch {
		case missing == "" || used()[node.Name]:
			stillReady = append(stillReady, node)
		case s.clock.Since(node.CreationTimestamp.Time) < s.startupTime(ctx, node):
			starting[node.Name] = kubernetes.GetUnreadyNodeCopy(node, kubernetes.ResourceUnready)
		default:
			stillReady = append(stillReady, node)
			late[node.Name] = true
			s.reportLate(node, missing)
		}
	}
	s.late = late
	if len(starting) > 0 {
		marked := make([]*corev1.Node, 0, len(all))
		for _, node := range all {
			if copied := starting[node.Name]; copied != nil {
				node = copied
			}
			marked = append(marked, node)
		}
		all = marked
	}
	measured := *ctx
	measured.TemplateNodeInfoRegistry = measuredOnly{ctx.TemplateNodeInfoRegistry}
	return s.CustomResourcesProcessor.FilterOutNodesWithUnreadyResources(&measured, all, stillReady, devices, volumes)
}

// stillLate are those of the nodes that were reported and have not shown their accelerator since, used or Ready as they may be.
func (s *StartingNodes) stillLate(nodes []*corev1.Node, devices *drasnapshot.Snapshot) map[string]bool {
	late := map[string]bool{}
	for _, node := range nodes {
		if s.late[node.Name] && s.missing(node, devices) != "" {
			late[node.Name] = true
		}
	}
	return late
}

// missing returns the accelerator that the node's group promises and the node does not show, or "". A node whose devices are
// shared out by a driver shows them in resource slices instead.
func (s *StartingNodes) missing(node *corev1.Node, devices *drasnapshot.Snapshot) corev1.ResourceName {
	group := s.provider.groupOf(node)
	if group == nil {
		return ""
	}
	t := s.provider.view.Load().templates[group.id]
	if t == nil {
		return ""
	}
	if devices != nil {
		if published, shared := devices.NodeResourceSlices(node.Name); shared && len(published) > 0 {
			return ""
		}
	}
	for name, shown := range node.Status.Allocatable {
		if nodetemplate.IsAccelerator(name) && !shown.IsZero() {
			return "" // its device plugin runs, and knows better how they are to be shared
		}
	}
	if promised := slices.Sorted(maps.Keys(t.Accelerators())); len(promised) > 0 {
		return promised[0]
	}
	return ""
}

// usedNodes are the nodes, by name, that run pods other than those that every node has.
func usedNodes(ctx *cacontext.AutoscalingContext) map[string]bool {
	if ctx.ListerRegistry == nil {
		return nil
	}
	pods, err := ctx.AllPodLister().List()
	if err != nil {
		return nil // a lister of a cache; the core's own listing fails, too
	}
	used := map[string]bool{}
	for _, pod := range pods {
		finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !finished && !podutils.IsDaemonSetPod(pod) && !podutils.IsMirrorPod(pod) && !podutils.IsStaticPod(pod) {
			used[pod.Spec.NodeName] = true
		}
	}
	return used
}

// startupTime is how long a node of the group may take until it is whole.
func (s *StartingNodes) startupTime(ctx *cacontext.AutoscalingContext, node *corev1.Node) time.Duration {
	defaults := ctx.NodeGroupDefaults
	if group := s.provider.groupOf(node); group != nil {
		if options, err := group.GetOptions(defaults); err == nil {
			return options.MaxNodeStartupTime
		}
	}
	return defaults.MaxNodeStartupTime
}

func (s *StartingNodes) reportLate(node *corev1.Node, missing corev1.ResourceName) {
	if s.late[node.Name] {
		return
	}
	age := s.clock.Since(node.CreationTimestamp.Time).Round(time.Second)
	message := fmt.Sprintf("Node %q has not published %s in %s, although its Auto Scaling group promises it: see whether the device "+
		"plugin's DaemonSet runs there. It counts as a node without it from now on; pods that wait for it get another node", node.Name, missing, age)
	klog.Warning(message)
	if s.provider.problems.event != nil {
		s.provider.problems.event(corev1.EventTypeWarning, "AcceleratorMissing", message)
	}
}
