package status

import (
	"maps"
	"slices"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
)

// LeftOut has the events on waiting pods count the groups that were left out of a scale-up. The core itself counts only the groups
// that it considered, and gives no reason where there is none.
//
// It implements the core's ScaleUpStatusProcessor and belongs before the ones that publish events. The core's loop alone uses it.
type LeftOut struct {
	// Groups returns the groups that the last scale-up left out, and the reason by ID.
	Groups func() (groups []cloudprovider.NodeGroup, reasons map[string]corestatus.Reasons)
}

// Process adds the groups to the status.
func (l LeftOut) Process(_ *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	groups, reasons := l.Groups()
	if len(groups) == 0 || len(s.PodsRemainUnschedulable) == 0 {
		return
	}
	s.ConsideredNodeGroups = slices.Concat(s.ConsideredNodeGroups, groups)
	skipped := maps.Clone(reasons)
	for at := range s.PodsRemainUnschedulable {
		pod := &s.PodsRemainUnschedulable[at]
		if pod.SkippedNodeGroups == nil {
			pod.SkippedNodeGroups = skipped
		} else if _, added := pod.SkippedNodeGroups[groups[0].Id()]; !added { // the core's pods share one map
			maps.Copy(pod.SkippedNodeGroups, skipped)
		}
	}
}

// CleanUp implements the core's ScaleUpStatusProcessor.
func (LeftOut) CleanUp() {}
