package readiness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/klog/v2"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// A node counts as starting for three times as long as nodes of its group usually need from Ready until they show their accelerator,
// but at least for leastPatience and at most for its start-up time (--max-node-startup-time). Where the group's tag states the
// start-up time, that time alone counts. From the third failure in a row in a group each wait is twice as long as the one before, so
// that a device plugin that never works does not fill the group.
const (
	leastPatience = 3 * time.Minute
	patience      = 3
	// mostDoublings bounds how often the wait is doubled. The start-up time bounds it in any case.
	mostDoublings = 5
	// brokenAfter is how long the wait lasts for an accelerator that the node has shown. A restarted device plugin is back sooner.
	brokenAfter = 2 * time.Minute
	// backOff is how long no node is launched for the accelerator of a group whose nodes failed twice in a row.
	backOff = 15 * time.Minute
	// mostSamples is how many of a group's nodes, the latest, make up its usual time.
	mostSamples = 9
)

// wait returns until when the node, which follow has seen, counts as starting. The usual time is the median of the group's nodes that this
// process watched. Before the first one, the first pod with an accelerator on a node bounds that node's time. The shortest of these times
// counts, since pods may come late.
func (s *StartingNodes) wait(ctx *cacontext.AutoscalingContext, node *corev1.Node, uses func() usesOfNodes) time.Time {
	seen, group := s.nodes[node.Spec.ProviderID], s.provider.NodeGroupOf(node)
	longest := node.CreationTimestamp.Add(group.Options(ctx.NodeGroupDefaults).MaxNodeStartupTime)
	if t := s.provider.View().Template(group.Id()); t != nil && t.Options.MaxNodeStartupTime != nil {
		return longest
	}
	name := group.AutoScalingGroup()
	usual := uses().shortest[name]
	if samples := slices.Sorted(slices.Values(s.took[name])); len(samples) > 0 {
		usual = samples[len(samples)/2]
	}
	until := seen.ready.Add(max(leastPatience, patience*usual) << min(max(0, s.failed[name].count-1), mostDoublings))
	if !seen.lost.IsZero() {
		until = seen.lost.Add(brokenAfter)
	}
	if until.Before(longest) {
		return until
	}
	return longest
}

// usesOfNodes says what pods show of nodes.
type usesOfNodes struct {
	used     map[string]bool          // by other pods than the pods of every node, by node name
	shortest map[string]time.Duration // from Ready until a pod with an accelerator was bound to a node, by Auto Scaling group
}

func (s *StartingNodes) nodeUses(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) usesOfNodes {
	uses, firsts := usesOfNodes{used: map[string]bool{}, shortest: map[string]time.Duration{}}, map[string]time.Time{}
	if ctx.ListerRegistry == nil {
		return uses
	}
	pods, _ := ctx.AllPodLister().List() // the lister reads a cache
	for _, pod := range pods {
		node := pod.Spec.NodeName
		_, c := podutil.GetPodCondition(&pod.Status, corev1.PodScheduled)
		bound := c != nil && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero()
		if first := firsts[node]; bound && asksForAccelerator(pod) && (first.IsZero() || c.LastTransitionTime.Time.Before(first)) {
			firsts[node] = c.LastTransitionTime.Time
		}
		if !podutil.IsPodTerminal(pod) && !podutils.IsDaemonSetPod(pod) && !podutils.IsMirrorPod(pod) && !podutils.IsStaticPod(pod) {
			uses.used[node] = true
		}
	}
	for _, node := range nodes {
		first, ready, group := firsts[node.Name], nodemeta.ReadySince(node), s.provider.NodeGroupOf(node)
		took := first.Sub(ready)
		if first.IsZero() || ready.IsZero() || took < 0 || took > ctx.NodeGroupDefaults.MaxNodeStartupTime || group == nil {
			continue
		}
		if shortest := uses.shortest[group.AutoScalingGroup()]; shortest == 0 || took < shortest {
			uses.shortest[group.AutoScalingGroup()] = took
		}
	}
	return uses
}

func asksForAccelerator(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return nodetemplate.HasAccelerator(c.Resources.Requests) || nodetemplate.HasAccelerator(c.Resources.Limits)
	})
}

// reportLate reports once that the wait for a node is over, and counts the failure of its group.
func (s *StartingNodes) reportLate(node *corev1.Node, lacks []string) {
	seen := s.nodes[node.Spec.ProviderID]
	if seen.lateShown {
		return
	}
	seen.lateShown = true
	if group := s.provider.NodeGroupOf(node); group != nil {
		name := group.AutoScalingGroup()
		if g := s.provider.View().AutoScalingGroup(name); g != nil && !seen.ready.Before(s.failed[name].last) {
			s.failed[name] = failures{s.failed[name].count + 1, s.clock.Now(), node.Spec.ProviderID, g.LaunchSpec}
			if seen.lost.IsZero() {
				var until time.Time // after the first failure the group gets another chance at once
				if s.failed[name].count > 1 {
					until = s.clock.Now().Add(backOff)
				}
				s.provider.SetMissing(name, lacks, node.Name, until)
			}
		}
	}
	promised := strings.Join(lacks, ", ")
	what := fmt.Sprintf("has not published %s in %s", promised,
		decision.Span(s.clock.Since(node.CreationTimestamp.Time).Round(time.Second)))
	if !seen.lost.IsZero() {
		what = fmt.Sprintf("has published no %s for %s", promised, decision.Span(s.clock.Since(seen.lost).Round(time.Second)))
	}
	message := fmt.Sprintf("Node %q %s, although its Auto Scaling group promises it: see whether the device "+
		"plugin's DaemonSet runs there, or, if a DRA driver shares it out, whether the autoscaler may read resource.k8s.io. "+
		"It counts as a node without it from now on; pods that wait for it get another node", node.Name, what)
	klog.Warning(message)
	s.event(corev1.EventTypeWarning, "AcceleratorMissing", message)
}
