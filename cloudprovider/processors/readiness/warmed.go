package readiness

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// join notes when the instances of nodes come from a warm pool into their groups, for the start-up time of these groups. Such a node registered when it
// was warmed, maybe days ago. The core counts a node that is not Ready, or not complete yet, as upcoming by the age of the node alone, and would launch
// another one for the same pods in every loop.
func (s *StartingNodes) join(ctx *cacontext.AutoscalingContext, all []*corev1.Node) {
	if len(s.provider.NodeGroups()) == 0 {
		return // the groups have not been read
	}
	now := s.clock.Now()
	for _, node := range all {
		id := node.Spec.ProviderID
		joined, outside := s.joined[id]
		switch {
		case !s.provider.IsMember(node):
			delete(s.joined, id)
			if !nodemeta.Ready(node) {
				s.joined[id] = time.Time{}
			}
		case outside && joined.IsZero():
			s.joined[id] = now
			delete(s.nodes, id) // of its time before
		case outside:
			if g := s.provider.NodeGroupOf(node); g != nil && now.Sub(joined) >= g.Options(ctx.NodeGroupDefaults).MaxNodeStartupTime {
				delete(s.joined, id)
			}
		}
	}
}

// asMade returns a new list of the nodes, with those of a warm pool as new as in their groups.
func (s *StartingNodes) asMade(nodes []*corev1.Node) []*corev1.Node {
	nodes = slices.Clone(nodes)
	for at, node := range nodes {
		if joined := s.joined[node.Spec.ProviderID]; joined.After(node.CreationTimestamp.Time) {
			made := *node
			made.CreationTimestamp = metav1.NewTime(joined)
			nodes[at] = &made
		}
	}
	return nodes
}
