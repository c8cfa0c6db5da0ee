package aws

import "k8s.io/autoscaler/cluster-autoscaler/metrics"

// zeroSizes zeroes the core's size metrics of a group that begins or ends to be scaled zone by zone. The core never forgets a node group
// that it has shown, so the group would count twice.
func zeroSizes(before, now *View) {
	for id, ng := range before.byID {
		if now.byID[id] == nil && now.snapshot.Group(ng.name) != nil {
			metrics.UpdateNodeGroupMin(id, 0)
			metrics.UpdateNodeGroupMax(id, 0)
			metrics.UpdateNodeGroupTargetSize(map[string]int{id: 0})
		}
	}
}
