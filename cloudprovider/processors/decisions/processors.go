package decisions

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
)

// Pending sees all pending pods. It is the first PodListProcessor of the core.
type Pending struct{ *Collector }

func (p Pending) Process(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	p.now.listed, p.now.context, p.now.pending = true, ctx, slices.Clone(pods) // others may change the list
	return pods, nil
}

func (Pending) CleanUp() {}

// ToHelp sees the pods that need a node. It is the last PodListProcessor of the core.
type ToHelp struct{ *Collector }

func (h ToHelp) Process(_ *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	h.now.toHelp = slices.Clone(pods)
	h.now.view = h.Provider.View() // End takes a later one
	return pods, nil
}

func (ToHelp) CleanUp() {}

// WaitForRoom sees the pods that podlist.Ending leaves out.
func (c *Collector) WaitForRoom(pods []*corev1.Pod) { c.now.waitForRoom = pods }

// ScaleUp sees the end of each scale-up. It is the last ScaleUpStatusProcessor of the core, because others complete the status.
type ScaleUp struct {
	*Collector
	// Raises takes the status of a loop apart: one status for each scale-up, with its own groups and pods.
	Raises func(*corestatus.ScaleUpStatus) []*corestatus.ScaleUpStatus
}

func (u ScaleUp) Process(ctx *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	u.now.context = ctx
	minimum := u.now.status != nil && u.now.status.Result != corestatus.ScaleUpNotTried // the second one of the loop raises groups to their minimum sizes
	var raises []raise
	if s.Result == corestatus.ScaleUpSuccessful {
		choices := u.now.choices
		if minimum {
			choices = nil
		}
		raises = raisesOf(u.Raises(s), choices)
		u.grew(raises)
	}
	if minimum {
		return // it has no pods
	}
	kept := *s
	kept.PodsRemainUnschedulable = nil
	u.now.status, u.now.unhelped, u.now.raises = &kept, compacted(s.PodsRemainUnschedulable), raises
}

func (ScaleUp) CleanUp() {}

// ScaleDown sees the end of each scale-down. It is the core's ScaleDownStatusProcessor.
type ScaleDown struct{ *Collector }

func (d ScaleDown) Process(ctx *cacontext.AutoscalingContext, s *scaledownstatus.ScaleDownStatus) {
	d.now.context, d.now.scaleDown = ctx, s
	if s.Result != scaledownstatus.ScaleDownNotTried { // or the core hands over what an earlier loop found out
		d.keepBlocked(s.UnremovableNodes)
	}
	for _, n := range s.ScaledDownNodes {
		entry := decision.Entry{Kind: decision.ScaleDown, Node: n.Node.Name, Reason: decision.Reason{Code: decision.CodeUnneeded,
			Message: removal(n, d.Unneeded.Nodes[n.Node.Name].Since, d.now.at)}}
		if n.NodeGroup != nil {
			entry.Group = n.NodeGroup.Id()
		}
		if _, again := d.refused[n.Node.Name]; !again { // or it is tried again, maybe each loop
			d.Record.Decided(entry)
		}
	}
	d.refused = maps.Clone(d.refused) // functions of the Record read the one before
	for _, name := range slices.Sorted(maps.Keys(s.NodeDeleteResults)) {
		d.removed(name, s.NodeDeleteResults[name])
	}
	maps.DeleteFunc(d.refused, func(node string, last failedRemoval) bool {
		_, err := d.Nodes.Get(node)
		return err != nil || d.now.at.Sub(last.at) > time.Hour // a later node may have its name, or the cause may be over
	})
}

// removed records the first failure to remove a node, and the removal after it.
func (d ScaleDown) removed(node string, result scaledownstatus.NodeDeleteResult) {
	failed := result.ResultType != scaledownstatus.NodeDeleteOk
	_, again := d.refused[node]
	entry := decision.Entry{Kind: decision.ScaleDown, Node: node, Reason: decision.Reason{Code: decision.CodeUnneeded, Message: "removed after failed attempts"}}
	delete(d.refused, node)
	if failed {
		text := fmt.Sprint(result.Err)
		entry.Kind, entry.Reason = decision.Problem, decision.Reason{Code: decision.CodeOther, Message: text}
		if class := awsmessage.Of("", text).Class; class == awsmessage.Permission {
			entry.Reason = why.CoolDown(string(class), text, why.Attempt{})
		}
		d.refused[node] = failedRemoval{entry.Reason, d.now.at}
		entry.Reason.Message = "its removal failed, and is tried again: " + entry.Reason.Message
	}
	if failed != again {
		d.Record.Decided(entry)
	}
}

func (ScaleDown) CleanUp() {}

type unremovable struct {
	*scaledownstatus.UnremovableNode
	budget    *policyv1.PodDisruptionBudget // that allows no eviction of the blocking pod, nil where another node uses it up
	budgets   []string                      // the names of all that select the blocking pod
	at, since time.Time                     // when the core looked, and when it first said so
}

// keepBlocked keeps what the core found out about nodes that it does not look into again for some minutes, and since when a node is blocked.
func (c *Collector) keepBlocked(nodes []*scaledownstatus.UnremovableNode) {
	blocked := map[string]unremovable{}
	for _, n := range nodes {
		before, known := c.blocked[n.Node.Name]
		switch n.Reason {
		case simulator.BlockedByPod, simulator.NoPlaceToMovePods, simulator.BlockedByOnCompletionPod, simulator.NodeGroupMinSizeReached,
			simulator.MinimalResourceLimitExceeded, simulator.ScaleDownDisabledAnnotation, simulator.ScaleDownUnreadyDisabled, simulator.AtomicScaleDownFailed:
			u := c.now.unremovableOf(n)
			if known && before.Reason == u.Reason {
				u.since = before.since
			}
			blocked[n.Node.Name] = u
		case simulator.RecentlyUnremovable:
			if known {
				blocked[n.Node.Name] = before
			}
		}
	}
	c.blocked = blocked
}

func (f *facts) unremovableOf(n *scaledownstatus.UnremovableNode) unremovable {
	u := unremovable{UnremovableNode: n, at: f.at, since: f.at}
	if b := n.BlockingPod; b != nil && b.Reason == drain.NotEnoughPdb {
		u.budget, u.budgets = f.budgets(b.Pod)
	}
	return u
}

// Health sees whether enough nodes of the cluster are ready, and which instances have no node. It wraps the core's AutoscalingStatusProcessor.
type Health struct {
	corestatus.AutoscalingStatusProcessor
	*Collector
}

func (h Health) Process(ctx *cacontext.AutoscalingContext, state *clusterstate.ClusterStateRegistry, at time.Time) error {
	h.now.unhealthy = !state.IsClusterHealthy()
	if h.halted.Store(h.now.unhealthy); h.now.unhealthy {
		h.Unneeded.Nodes = map[string]scaledown.Unneeded{} // as in the core. Nil would have the next loop read taints
	}
	h.noteJoins(state.GetUnregisteredNodes())
	h.mu.Lock()
	for id, p := range h.pauses {
		if h.Provider.View().NodeGroup(id) == nil { // the core leaves the series of a group that is gone as it was
			metrics.UpdateNodeGroupBackOffStatus(id, map[string]bool{p.cause.ErrorCode: false})
		}
	}
	h.mu.Unlock()
	return h.AutoscalingStatusProcessor.Process(ctx, state, at)
}
