package scaledown

import (
	"slices"
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
)

// together is how far apart the unneeded times of nodes may end for one loop to remove them. Nodes that became empty one right after
// another were found by loops that followed each other, and still leave by one call.
const together = 500 * time.Millisecond

// UnneededTimes knows when the core may next remove a node: its unneeded or unready time is over, and so is the pause after the last
// scale-up or removal. It also knows when the time of a pod ends that keeps a node, whose unneeded time begins then. The pause after a
// failed removal is left to the scan interval, because the core shows its beginning to nobody.
//
// It observes the core's candidates for scale-down. The core's loop alone uses it, and between loops whoever waits for the next.
type UnneededTimes struct {
	Options config.AutoscalingOptions
	Kept    func() map[string]KeptBy // the nodes that the last loop kept for the time of a pod
	Nodes   map[string]Unneeded      // by name, replaced and never changed
}

// Unneeded is since when a node is not needed, and how long it must stay so.
type Unneeded struct {
	Since  time.Time
	Length time.Duration
}

// UpdateScaleDownCandidates keeps since when the nodes are not needed. Like the core, it forgets a node that a loop finds needed, and with
// --node-deletion-candidate-ttl goes on where the process before it marked a node.
func (u *UnneededTimes) UpdateScaleDownCandidates(nodes []*scaledown.UnneededNode, at time.Time) {
	known := u.Nodes
	u.Nodes = make(map[string]Unneeded, len(nodes))
	for _, n := range nodes {
		since := at
		if before, ok := known[n.Node.Name]; ok {
			since = before.Since
		} else if marked, _ := taints.GetDeletionCandidateTime(n.Node); known == nil && marked != nil &&
			at.Sub(*marked) <= u.Options.NodeDeletionCandidateTTL {
			since = *marked
		}
		u.Nodes[n.Node.Name] = Unneeded{since, n.RemovalThreshold}
	}
}

// Next returns the next moment at which the core may remove a node or looks at one again, zero for none. The last loop that scaled up began
// at scaleUp, and the last one that removed a node at removal.
//
// The last loop of all began at ran. The moments until then have had their loop. If it kept the node, because of a minimum size or for
// another reason, a further loop would keep it, too.
func (u *UnneededTimes) Next(ran, scaleUp, removal time.Time) time.Time {
	var pause time.Time
	if !u.Options.ScaleDownDelayTypeLocal { // or a group that pauses has no candidates
		pause = later(scaleUp.Add(u.Options.ScaleDownDelayAfterAdd), removal.Add(u.Options.ScaleDownDelayAfterDelete))
	}
	var moments []time.Time
	for _, n := range u.Nodes {
		moments = append(moments, later(n.Since.Add(n.Length+time.Nanosecond), pause)) // the core wants more than the time
	}
	for _, by := range u.Kept() {
		moments = append(moments, by.Until)
	}
	moments = slices.DeleteFunc(moments, func(at time.Time) bool { return !at.After(ran) })
	if len(moments) == 0 {
		return time.Time{}
	}
	first := slices.MinFunc(moments, time.Time.Compare)
	return slices.MaxFunc(slices.DeleteFunc(moments, func(at time.Time) bool { return at.Sub(first) > together }), time.Time.Compare)
}

func later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }
