package dryrun

import (
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Join adds the decisions of a later loop to those of the loops before it. A loop looks for a node for some pods, and leaves others to the
// next loop. So each pod has what the first loop said that did not leave it. Groups and nodes are those of the first loop, before anything
// was launched. before is nil for the first loop. Neither report is changed.
func Join(before, loop *decision.Report) *decision.Report {
	if before == nil {
		return loop
	}
	joined := *before
	joined.Loop, joined.Launches, joined.Timeline, joined.Calls = loop.Loop, loop.Launches, loop.Timeline, loop.Calls
	joined.Pods, joined.Searches = slices.Clone(before.Pods), slices.Concat(before.Searches, loop.Searches)
	later := map[string]decision.Pod{}
	for _, pod := range loop.Pods {
		later[pod.UID] = pod
	}
	for at, pod := range joined.Pods {
		now, there := later[pod.UID]
		if pod.State != decision.PodDelayed || !there {
			continue
		}
		if now.Search >= 0 {
			now.Search += len(before.Searches)
		}
		joined.Pods[at] = now
	}
	return &joined
}
