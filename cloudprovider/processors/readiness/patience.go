package readiness

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
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
