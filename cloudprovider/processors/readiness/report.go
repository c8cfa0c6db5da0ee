package readiness

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

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
		"plugin's DaemonSet runs there. It counts as a node without it from now on; pods that wait for it get another node", node.Name, what)
	klog.Warning(message)
	if s.event != nil {
		s.event(corev1.EventTypeWarning, "AcceleratorMissing", message)
	}
}
