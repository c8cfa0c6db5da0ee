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

const (
	// leastPatience is how long a Ready node is waited for at least until it shows its accelerator, and patience how many times as long
	// as the group's nodes usually need.
	leastPatience = 3 * time.Minute
	patience      = 3
	// mostDoublings bounds how often the wait is doubled. It ends with the node's start-up time in any case.
	mostDoublings = 5
	// brokenAfter is how long an accelerator may be gone that the node has shown: a device plugin that is restarted is back sooner.
	brokenAfter = 2 * time.Minute
	// unusualAfter is when a wait is reported in a group of which the usual time is not known, or shorter.
	unusualAfter = time.Minute
	// mostSamples is how many of a group's nodes, the latest, make up its usual time.
	mostSamples = 9
)

// StartingNodes tells the core which nodes are still starting although their kubelet says Ready: those that do not show
// an accelerator yet that their group's template promises. The core counts such a node as upcoming: it launches no other in
// its place for the pods that wait, and does not remove it under them for being unneeded.
//
// That holds for three times as long as nodes of the group usually need from Ready until they show it, three minutes at least, and for as long
// as a node may take to start (--max-node-startup-time) at most. Where the group's tag says how long a node may take to start, that alone
// counts. From the third time in a row that nodes of the group show none, each wait is twice as long as the one before, so that a device plugin that
// never works does not fill the group. An accelerator that the node has shown already is waited for for two minutes. And it holds for as long as no pod runs there but those of
// every node: one that others use already counts as it is. A node that shows no accelerator in time is reported once and counts as it is, too: it
// goes when nothing else needs it, and the waiting pods get another.
//
// The core calls it before Refresh, so it sees the view of the last loop. A node of a group that was found since then counts as it
// is for one loop. An empty one is removed for it only where --scale-down-unneeded-time is shorter than a loop.
//
// It implements the core's CustomResourcesProcessor in front of the core's own, and is used by the core's loop alone.
type StartingNodes struct {
	customresources.CustomResourcesProcessor
	provider *Provider
	clock    clock.PassiveClock
	nodes    map[string]*startup        // of groups with accelerators, by provider ID
	took     map[string][]time.Duration // from Ready to shown, of the last nodes that were seen without, by Auto Scaling group
	failed   map[string]failures        // by Auto Scaling group
}

// failures are how often in a row nodes of a group showed no accelerator in time. Nodes that were Ready before the last time was over
// belong to it.
type failures struct {
	count int
	last  time.Time
}

// startup is what was seen of one node.
type startup struct {
	ready   time.Time // since when it is Ready
	missing bool      // it shows no accelerator
	shown   bool      // it has shown one
	gone    time.Time // when what it had shown was gone, or zero
	told    bool      // that it is waited for
	late    bool      // it was reported
}

// NewStartingNodes makes a StartingNodes in front of the core's processor.
func NewStartingNodes(p *Provider, core customresources.CustomResourcesProcessor, c clock.PassiveClock) *StartingNodes {
	return &StartingNodes{CustomResourcesProcessor: core, provider: p, clock: c, nodes: map[string]*startup{}, took: map[string][]time.Duration{},
		failed: map[string]failures{}}
}

// FilterOutNodesWithUnreadyResources takes the starting nodes from the ready ones and marks them as not ready among all. As the
// first in a loop to see all nodes with their volumes, it also adds the CSINodes that the core cannot do without.
func (s *StartingNodes) FilterOutNodesWithUnreadyResources(ctx *cacontext.AutoscalingContext, all, ready []*corev1.Node,
	devices *drasnapshot.Snapshot, volumes *csisnapshot.Snapshot) ([]*corev1.Node, []*corev1.Node) {
	addCSINodes(volumes, all)
	starting := map[string]*corev1.Node{}
	s.forget(all)
	stillReady := make([]*corev1.Node, 0, len(ready))
	uses := sync.OnceValue(func() usesOfNodes { return nodeUses(ctx) })
	for _, node := range ready {
		promised := s.follow(node, devices)
		if promised == "" || uses().used[node.Name] {
			stillReady = append(stillReady, node)
			continue
		}
		if w := s.wait(ctx, node, all, uses); s.clock.Now().Before(w.until) {
			starting[node.Name] = kubernetes.GetUnreadyNodeCopy(node, kubernetes.ResourceUnready)
			s.reportWait(node, promised, w)
		} else {
			stillReady = append(stillReady, node)
			s.reportLate(node, promised)
		}
	}
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

// forget drops what was seen of nodes that are gone.
func (s *StartingNodes) forget(nodes []*corev1.Node) {
	if len(s.nodes) == 0 {
		return
	}
	there := make(map[string]bool, len(nodes))
	for _, node := range nodes {
		there[node.Spec.ProviderID] = true
	}
	maps.DeleteFunc(s.nodes, func(id string, _ *startup) bool { return !there[id] })
}

// follow takes in what a Ready node shows, and returns the accelerator that it does not show although its group promises it, or "".
func (s *StartingNodes) follow(node *corev1.Node, devices *drasnapshot.Snapshot) corev1.ResourceName {
	group := s.provider.groupOf(node)
	promised := s.promised(group)
	if promised == "" {
		return ""
	}
	now := s.clock.Now()
	seen := s.nodes[node.Spec.ProviderID]
	if seen == nil {
		seen = &startup{ready: now}
		s.nodes[node.Spec.ProviderID] = seen
	}
	if since := readySince(node); !since.IsZero() && since.Before(seen.ready) {
		seen.ready = since
	}
	if shows(node, devices) {
		delete(s.failed, group.name)
		if seen.missing && !seen.shown {
			s.learn(group.name, now.Sub(seen.ready))
		}
		*seen = startup{ready: seen.ready, shown: true}
		return ""
	}
	if had := seen.shown || wasShown(node); had && seen.gone.IsZero() {
		seen.gone, seen.shown = now, true
	}
	seen.missing = true
	return promised
}

// promised returns an accelerator that the group's template has, or "".
func (s *StartingNodes) promised(group *NodeGroup) corev1.ResourceName {
	if group == nil {
		return ""
	}
	t := s.provider.view.Load().templates[group.id]
	if t == nil {
		return ""
	}
	if promised := slices.Sorted(maps.Keys(t.Accelerators())); len(promised) > 0 {
		return promised[0]
	}
	return ""
}

// shows reports whether the node shows an accelerator: its device plugin runs, and knows better how they are to be shared. A node whose
// devices are shared out by a driver shows them in resource slices instead.
func shows(node *corev1.Node, devices *drasnapshot.Snapshot) bool {
	if devices != nil {
		if published, shared := devices.NodeResourceSlices(node.Name); shared && len(published) > 0 {
			return true
		}
	}
	return hasAccelerator(node.Status.Allocatable)
}

func hasAccelerator(resources corev1.ResourceList) bool {
	for name, shown := range resources {
		if nodetemplate.IsAccelerator(name) && !shown.IsZero() {
			return true
		}
	}
	return false
}

// wasShown reports whether the node had an accelerator, and says that it is not allocatable now: the kubelet keeps the capacity for some
// minutes after the device plugin ended, or its devices became unhealthy.
func wasShown(node *corev1.Node) bool { return hasAccelerator(node.Status.Capacity) }

// readySince is when the node became Ready, or zero.
func readySince(node *corev1.Node) time.Time {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// learn enters how long a node of the group needed.
func (s *StartingNodes) learn(group string, took time.Duration) {
	samples := append(s.took[group], took)
	s.took[group] = samples[max(0, len(samples)-mostSamples):]
}

// usual is how long nodes of the group need from Ready until they show their accelerator: the median of those that were watched. In a
// process that has seen none yet, a node needed no longer than until the first pod was bound to it that has one, and the shortest of these times
// counts, since pods may come late. It is 0 where nothing tells.
func (s *StartingNodes) usual(group string, nodes []*corev1.Node, uses usesOfNodes, most time.Duration) time.Duration {
	if samples := slices.Sorted(slices.Values(s.took[group])); len(samples) > 0 {
		return samples[len(samples)/2]
	}
	shortest := time.Duration(0)
	for _, node := range nodes {
		bound, ready := uses.bound[node.Name], readySince(node)
		if bound.IsZero() || ready.IsZero() || bound.Before(ready) || bound.Sub(ready) > most {
			continue
		}
		if g := s.provider.groupOf(node); g == nil || g.name != group {
			continue
		}
		if took := bound.Sub(ready); shortest == 0 || took < shortest {
			shortest = took
		}
	}
	return shortest
}

// A wait is how long a node counts as starting.
type wait struct {
	until   time.Time
	unusual time.Time     // when to report it
	usual   time.Duration // 0 where nothing tells
}

// wait is until when the node, which follow has seen, counts as starting.
func (s *StartingNodes) wait(ctx *cacontext.AutoscalingContext, node *corev1.Node, all []*corev1.Node, uses func() usesOfNodes) wait {
	seen, most := s.nodes[node.Spec.ProviderID], s.startupTime(ctx, node)
	group := s.provider.groupOf(node)
	usual := s.usual(group.name, all, uses(), most)
	w := wait{until: node.CreationTimestamp.Add(most), unusual: seen.ready.Add(max(usual, unusualAfter)), usual: usual}
	if t := s.provider.view.Load().templates[group.id]; t != nil && t.Options.MaxNodeStartupTime != nil {
		return w
	}
	until := seen.ready.Add(max(leastPatience, patience*usual) << min(max(0, s.failed[group.name].count-1), mostDoublings))
	if !seen.gone.IsZero() {
		until, w.unusual = seen.gone.Add(brokenAfter), seen.gone
	}
	if until.Before(w.until) {
		w.until = until
	}
	return w
}

// usesOfNodes is what pods tell of nodes, by name.
type usesOfNodes struct {
	used  map[string]bool      // by pods other than those that every node has
	bound map[string]time.Time // when the first of the pods was bound to it that have an accelerator
}

// nodeUses looks at all pods.
func nodeUses(ctx *cacontext.AutoscalingContext) usesOfNodes {
	uses := usesOfNodes{used: map[string]bool{}, bound: map[string]time.Time{}}
	if ctx.ListerRegistry == nil {
		return uses
	}
	pods, err := ctx.AllPodLister().List()
	if err != nil {
		return uses // a lister of a cache; the core's own listing fails, too
	}
	for _, pod := range pods {
		node := pod.Spec.NodeName
		if at := boundAt(pod); !at.IsZero() && asksForAccelerator(pod) && (uses.bound[node].IsZero() || at.Before(uses.bound[node])) {
			uses.bound[node] = at
		}
		finished := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !finished && !podutils.IsDaemonSetPod(pod) && !podutils.IsMirrorPod(pod) && !podutils.IsStaticPod(pod) {
			uses.used[node] = true
		}
	}
	return uses
}

// boundAt is when the pod was bound to its node, or zero.
func boundAt(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func asksForAccelerator(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return hasAccelerator(c.Resources.Requests) || hasAccelerator(c.Resources.Limits)
	})
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

// reportWait says once that a wait takes longer than usual, what is waited for, and until when.
func (s *StartingNodes) reportWait(node *corev1.Node, promised corev1.ResourceName, w wait) {
	seen := s.nodes[node.Spec.ProviderID]
	if seen.told || s.clock.Now().Before(w.unusual) {
		return
	}
	seen.told = true
	what := fmt.Sprintf("has been Ready for %s without %s", s.clock.Since(seen.ready).Round(time.Second), promised)
	if !seen.gone.IsZero() {
		what = fmt.Sprintf("has lost %s", promised)
	}
	usual := ""
	if w.usual > 0 {
		usual = fmt.Sprintf(", which nodes of the group usually publish %s after they are Ready", w.usual.Round(time.Second))
	}
	s.report(corev1.EventTypeNormal, "AcceleratorAwaited", fmt.Sprintf("Node %q %s, although its Auto Scaling group promises it%s: it counts as starting "+
		"until %s, and pods that wait for it get no other node until then", node.Name, what, usual, w.until.UTC().Format(time.RFC3339)))
}

// reportLate says once that a node is waited for no longer.
func (s *StartingNodes) reportLate(node *corev1.Node, promised corev1.ResourceName) {
	seen := s.nodes[node.Spec.ProviderID]
	if seen.late {
		return
	}
	seen.late = true
	if group := s.provider.groupOf(node); group != nil && !seen.ready.Before(s.failed[group.name].last) {
		s.failed[group.name] = failures{s.failed[group.name].count + 1, s.clock.Now()}
	}
	what := fmt.Sprintf("has not published %s in %s", promised, s.clock.Since(node.CreationTimestamp.Time).Round(time.Second))
	if !seen.gone.IsZero() {
		what = fmt.Sprintf("has published no %s for %s", promised, s.clock.Since(seen.gone).Round(time.Second))
	}
	s.report(corev1.EventTypeWarning, "AcceleratorMissing", fmt.Sprintf("Node %q %s, although its Auto Scaling group promises it: see whether the device "+
		"plugin's DaemonSet runs there. It counts as a node without it from now on; pods that wait for it get another node", node.Name, what))
}

func (s *StartingNodes) report(eventType, reason, message string) {
	if eventType == corev1.EventTypeWarning {
		klog.Warning(message)
	} else {
		klog.Info(message)
	}
	if s.provider.problems.event != nil {
		s.provider.problems.event(eventType, reason, message)
	}
}
