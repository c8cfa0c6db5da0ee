package readiness

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	csisnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/snapshot"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// StartingNodes has the core count a node as upcoming although its kubelet says Ready, while the node lacks an accelerator that its
// group's template promises, or network interfaces that come late, too (EFA, pod-eni). The core then launches no other node in its
// place for the pods that wait, and does not remove it as unneeded. patience.go says how long that lasts. Nor does the core launch
// another node in the place of one that comes from a warm pool.
//
// A node that other pods use than the pods of every node counts as Ready, with the resources that it lacks. A new Ready node counts with
// its late labels, too (expected). A node that shows no accelerator in time counts as it is: it goes when nothing else needs it, and the
// waiting pods get another node. One event reports each node that is late, whoever uses it.
//
// The core calls StartingNodes before Refresh, so it sees the view of the last loop. A node of a group that was found since then
// counts as it is for one loop. The core removes such a node, if empty, only where --scale-down-unneeded-time is shorter than a loop.
//
// It implements the core's CustomResourcesProcessor and wraps the core's own. The core's loop alone uses it.
type StartingNodes struct {
	customresources.CustomResourcesProcessor
	provider *aws.Provider
	event    func(eventType, reason, message string)
	clock    clock.PassiveClock
	nodes    map[string]*startup        // in groups with accelerators, by provider ID
	took     map[string][]time.Duration // from Ready to shown, the latest nodes last, by Auto Scaling group
	failed   map[string]failures        // by Auto Scaling group
	// joined is when the instance of a node that was not Ready before came into its group, by provider ID: zero while it is in none.
	joined map[string]time.Time
}

// failures counts how often in a row nodes of a group showed no accelerator in time. Nodes that were Ready before the last failure
// belong to it.
type failures struct {
	count  int
	last   time.Time
	node   string                 // the last one, by provider ID
	launch *launchspec.LaunchSpec // of these nodes
}

// startup is the history of one node.
type startup struct {
	ready     time.Time // since when it is Ready
	old       bool      // it was past its start-up time when first seen, and may have no interface left for pod-eni
	missing   bool      // it has been seen without an accelerator
	shown     bool      // it has shown an accelerator
	showed    time.Time // when it showed its first one, if it was seen without
	lost      time.Time // when the accelerator disappeared, or zero
	lateShown bool      // its end was reported
}

// NewStartingNodes wraps the core's processor. event publishes an event about a node.
func NewStartingNodes(p *aws.Provider, event func(eventType, reason, message string), core customresources.CustomResourcesProcessor,
	c clock.PassiveClock) *StartingNodes {
	return &StartingNodes{CustomResourcesProcessor: core, provider: p, event: event, clock: c, nodes: map[string]*startup{},
		took: map[string][]time.Duration{}, failed: map[string]failures{}, joined: map[string]time.Time{}}
}

// FilterOutNodesWithUnreadyResources takes the starting nodes from the ready ones and marks them as not ready among all.
func (s *StartingNodes) FilterOutNodesWithUnreadyResources(ctx *cacontext.AutoscalingContext, all, ready []*corev1.Node,
	devices *drasnapshot.Snapshot, volumes *csisnapshot.Snapshot) ([]*corev1.Node, []*corev1.Node) {
	s.join(ctx, all)
	all, ready = s.asMade(all), s.asMade(ready)
	copies := map[string]*corev1.Node{}
	s.forget(all)
	stillReady := make([]*corev1.Node, 0, len(ready))
	uses := sync.OnceValue(func() usesOfNodes { return s.nodeUses(ctx, all) })
	hasEBS := sync.OnceValue(func() bool {
		return slices.ContainsFunc(all, func(n *corev1.Node) bool { return n.Labels[podzone.LabelEBSZone] != "" })
	})
	for _, node := range ready {
		lacks, starts := s.awaited(ctx, node, s.follow(ctx, node, devices), uses)
		if starts {
			copies[node.Name] = kubernetes.GetUnreadyNodeCopy(node, kubernetes.ResourceUnready)
			continue
		}
		if expected := s.expected(ctx, node, lacks, devices, hasEBS); expected != node {
			copies[node.Name], node = expected, expected
		}
		stillReady = append(stillReady, node)
	}
	for at, node := range all {
		all[at] = cmp.Or(copies[node.Name], node)
	}
	published := *ctx
	published.TemplateNodeInfoRegistry = unpromised{ctx.TemplateNodeInfoRegistry, s.provider}
	published.CloudProvider = judged{ctx.CloudProvider, s.provider, devices}
	return s.CustomResourcesProcessor.FilterOutNodesWithUnreadyResources(&published, all, stillReady, devices, volumes)
}

// awaited returns the resources for which a Ready node is waited for, of those that it lacks, and whether it counts as starting: not if it
// is in use. It reports the end of the wait.
func (s *StartingNodes) awaited(ctx *cacontext.AutoscalingContext, node *corev1.Node, lacks []string, uses func() usesOfNodes) (
	awaited []string, starts bool) {
	if len(lacks) == 0 {
		return nil, false
	}
	seen, used := s.nodes[node.Spec.ProviderID], uses().used[node.Name]
	if used && (seen.lateShown || !seen.lost.IsZero()) {
		return nil, false
	}
	if !s.clock.Now().Before(s.wait(ctx, node, uses)) {
		s.reportLate(node, lacks)
		return nil, false
	}
	return lacks, !used
}

// expected returns a Ready node with what it will show soon, so that the pods that are planned for it keep their place and get no other
// node: the resources that it is waited for, and, while it is or for leastPatience after it turned Ready or showed a late accelerator, the
// labels that agents set. EBS's driver, where the cluster has it, sets its own label of the zone. Feature discovery sets labels that a tag
// declares, or that the group's NodeInfo has from a node with the same GPUs.
func (s *StartingNodes) expected(ctx *cacontext.AutoscalingContext, node *corev1.Node, awaited []string, devices *drasnapshot.Snapshot,
	hasEBS func() bool) *corev1.Node {
	view, seen := s.provider.View(), s.nodes[node.Spec.ProviderID]
	within := func(since time.Time) bool { return s.clock.Since(since) < leastPatience }
	fresh := (len(awaited) > 0 || seen != nil && within(seen.showed) ||
		within(nodemeta.ReadySince(node)) && s.clock.Since(node.CreationTimestamp.Time) < 3*leastPatience) && !view.Former(node)
	if !fresh && len(awaited) == 0 {
		return node
	}
	group := s.provider.NodeGroupName(node)
	t := view.Template(group)
	if t == nil {
		return node
	}
	labels := map[string]string{}
	if zone := node.Labels[corev1.LabelTopologyZone]; fresh && zone != "" && hasEBS() {
		labels[podzone.LabelEBSZone] = zone
	}
	for key, value := range t.Labels {
		if fresh && t.Sources.Labels[key].Declared() {
			labels[key] = value
		}
	}
	if info, known := ctx.TemplateNodeInfoRegistry.GetNodeInfo(group); known {
		lend(devices, node, awaited, info.LocalResourceSlices)
		own, _ := view.Catalogue().Lookup(node.Labels[corev1.LabelInstanceTypeStable])
		its, _ := view.Catalogue().Lookup(info.Node().Labels[corev1.LabelInstanceTypeStable])
		for key, value := range info.Node().Labels {
			if fresh && own.GPU.Count > 0 && own.GPU == its.GPU && nodetemplate.IsAccelerator(corev1.ResourceName(key)) { // vendors give labels and devices one prefix
				labels[key] = value
			}
		}
	}
	maps.Copy(labels, node.Labels)
	if len(labels) == len(node.Labels) && len(awaited) == 0 {
		return node
	}
	allocatable := corev1.ResourceList{}
	maps.Copy(allocatable, node.Status.Allocatable)
	for _, name := range awaited {
		allocatable[corev1.ResourceName(name)] = t.Allocatable[corev1.ResourceName(name)]
	}
	expected := *node
	expected.Labels, expected.Status.Allocatable = labels, allocatable
	expected.ResourceVersion = "1" // the core may write a taint with it: the API server refuses, and the core reads the real node
	return &expected
}

// GetNodeResourceTargets counts none of the devices of a node about which the core's processor has an error. That is a node with the label of GPUs
// that shows no whole one and is in no group, such as another tool's node with Neuron devices. The core would launch no node for any group.
func (s *StartingNodes) GetNodeResourceTargets(ctx *cacontext.AutoscalingContext, node *corev1.Node, group cloudprovider.NodeGroup) (
	[]customresources.CustomResourceTarget, errors.AutoscalerError) {
	targets, err := s.CustomResourcesProcessor.GetNodeResourceTargets(ctx, node, group)
	if err != nil {
		klog.Background().V(4).Info("Counted no devices of a node", "node", node.Name, "err", err)
		return nil, nil
	}
	return targets, nil
}

// judged wraps the core's provider for its processor of GPUs. That one takes a node with the label of GPUs and without whole ones for
// starting, unless a driver shares them out. So nodes that StartingNodes has judged count as such: their template promises an accelerator,
// or they show some.
type judged struct {
	cloudprovider.CloudProvider
	provider *aws.Provider
	devices  *drasnapshot.Snapshot
}

func (j judged) GetNodeGpuConfig(node *corev1.Node) *cloudprovider.GpuConfig {
	t := j.provider.View().Template(j.provider.NodeGroupName(node))
	if nodetemplate.HasAccelerator(node.Status.Allocatable) || inSlices(node, j.devices, nodetemplate.SharesAccelerators) ||
		t != nil && nodetemplate.HasAccelerator(t.Capacity) {
		return &cloudprovider.GpuConfig{DraDriverName: "judged"}
	}
	return j.CloudProvider.GetNodeGpuConfig(node)
}

func (s *StartingNodes) forget(nodes []*corev1.Node) {
	maps.DeleteFunc(s.failed, func(group string, f failures) bool {
		g := s.provider.View().AutoScalingGroup(group)
		return g == nil || !launchspec.SameLaunch(g.LaunchSpec, f.launch)
	})
	if len(s.nodes)+len(s.joined) == 0 {
		return
	}
	there := make(map[string]bool, len(nodes))
	for _, node := range nodes {
		there[node.Spec.ProviderID] = true
	}
	maps.DeleteFunc(s.nodes, func(id string, _ *startup) bool { return !there[id] })
	maps.DeleteFunc(s.joined, func(id string, _ time.Time) bool { return !there[id] })
}

// follow brings the history of a Ready node up to date. It returns the resources that the node lacks although its group promises them.
func (s *StartingNodes) follow(ctx *cacontext.AutoscalingContext, node *corev1.Node, devices *drasnapshot.Snapshot) []string {
	group := s.provider.NodeGroupOf(node)
	promised, lacks := s.promised(group, node, devices)
	if !promised {
		return nil
	}
	now := s.clock.Now()
	seen := s.nodes[node.Spec.ProviderID]
	if seen == nil {
		most := group.Options(ctx.NodeGroupDefaults).MaxNodeStartupTime
		seen = &startup{ready: now, old: now.Sub(node.CreationTimestamp.Time) > most}
		s.nodes[node.Spec.ProviderID] = seen
	}
	if since := nodemeta.ReadySince(node); !since.IsZero() && since.Before(seen.ready) {
		seen.ready = since
	}
	if len(lacks) == 0 {
		name := group.AutoScalingGroup()
		if s.failed[name].mendedBy(node, seen) {
			delete(s.failed, name)
			s.provider.SetMissing(name, nil, "", now)
		}
		if seen.missing && !seen.shown {
			samples := append(s.took[name], now.Sub(seen.ready))
			s.took[name] = samples[max(0, len(samples)-mostSamples):]
			seen.showed = now
		}
		*seen = startup{ready: seen.ready, old: seen.old, shown: true, showed: seen.showed}
		return nil
	}
	// kubelet keeps the capacity for some minutes after the device plugin ended, or after its devices became unhealthy.
	kept := func(name string) bool {
		q := node.Status.Capacity[corev1.ResourceName(name)]
		return !q.IsZero()
	}
	if had := seen.shown || slices.ContainsFunc(lacks, kept); had && seen.lost.IsZero() {
		seen.lost, seen.shown = now, true
	}
	seen.missing = true
	if seen.old {
		lacks = slices.DeleteFunc(lacks, func(name string) bool { return name == instancetypes.ResourcePodENI })
	}
	return lacks
}

// mendedBy reports whether a node that shows its accelerator ends the failures of its group. A node that has shown it before does not,
// unless it lost it and is itself the last failure. Nor does a node that was Ready before the last failure and showed it in time.
func (f failures) mendedBy(node *corev1.Node, seen *startup) bool {
	switch {
	case f.count == 0:
		return false
	case seen.shown:
		return node.Spec.ProviderID == f.node
	}
	return seen.lateShown || !seen.ready.Before(f.last)
}

// promised reports whether the group's template promises resources that device plugins and controllers publish, and returns those that
// the node lacks, sorted.
func (s *StartingNodes) promised(group *aws.NodeGroup, node *corev1.Node, devices *drasnapshot.Snapshot) (promised bool, lacks []string) {
	if group == nil {
		return false, nil
	}
	t := s.provider.View().Template(group.Id())
	if t == nil {
		return false, nil
	}
	for name, q := range t.Capacity {
		if !strings.Contains(string(name), "/") || q.IsZero() {
			continue // kubelet's own
		}
		if !t.Sources.Capacity[string(name)].Declared() && s.formerLacks(node, name) {
			continue
		}
		promised = true
		shares := func(driver string) bool { return nodetemplate.Shares(driver, name) }
		if shown := node.Status.Allocatable[name]; !shown.IsZero() || inSlices(node, devices, shares) {
			continue
		}
		// Until a node with parts of an accelerator has settled, its group's template still promises the whole one.
		parts := nodetemplate.IsAccelerator(name) && nodetemplate.HasAccelerator(node.Status.Allocatable)
		if !parts || !nodetemplate.Settled(node, s.clock.Now()) {
			lacks = append(lacks, string(name))
		}
	}
	slices.Sort(lacks)
	return promised, lacks
}

// formerLacks reports whether the node cannot have a device that the group's next node will have: an accelerator that is none of its
// type's, or a fabric adapter that its version of the launch template may not have had.
func (s *StartingNodes) formerLacks(node *corev1.Node, device corev1.ResourceName) bool {
	v := s.provider.View()
	i, _ := v.Instance(node)
	if device == instancetypes.ResourceEFA || i == nil {
		return v.Former(node)
	}
	facts, known := v.Catalogue().Lookup(i.Type)
	return known && nodetemplate.IsAccelerator(device) && facts.Accelerators()[string(device)] == 0
}

func inSlices(node *corev1.Node, devices *drasnapshot.Snapshot, such func(driver string) bool) bool {
	if devices == nil {
		return false
	}
	published, _ := devices.NodeResourceSlices(node.Name)
	return nodetemplate.InSlices(published, such)
}
