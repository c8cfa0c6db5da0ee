package scaledown

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
)

// Removals decides which of the nodes go that the core would remove, and finishes what the core leaves of a removal that failed. It is the
// core's ScaleDownSetProcessor and its ScaleDownStatusProcessor, and wraps one of each.
type Removals struct {
	*rollback
	nodes   nodes.ScaleDownSetProcessor
	report  status.ScaleDownStatusProcessor
	filters []filter // in call order

	// What Requests has done in this loop.
	answers []*scaledownstatus.UnremovableNode // why requested nodes stay, the last one of a node counts
	begun   []*scaledownstatus.ScaleDownNode   // the nodes whose removal it began
	order   func(a, b *corev1.Node) int        // while it plans
}

// filter divides the candidates into nodes that may be removed, and nodes that stay.
type filter func(*cacontext.AutoscalingContext, *nodes.ScaleDownContext, []simulator.NodeToBeRemoved) (
	[]simulator.NodeToBeRemoved, []simulator.UnremovableNode)

type Options struct {
	Core     nodes.ScaleDownSetProcessor
	Report   status.ScaleDownStatusProcessor // sees the status first
	Provider *aws.Provider
	DryRun   bool   // no node may be drained
	Moves    *Moves // nil for none
	Clock    clock.PassiveClock
}

func NewRemovals(o Options) *Removals {
	r := &Removals{nodes: o.Core, report: o.Report, rollback: newRollback(o.Clock), filters: []filter{
		keepSpread,
		sharedMinimum{o.Provider}.filter,
		o.Core.FilterUnremovableNodes,
	}}
	if o.Moves != nil {
		r.rollback.ended = o.Moves.removed
	}
	if o.DryRun {
		r.filters = append(r.filters, drainNothing)
	} else { // the taints are the leader's
		r.rollback.isMember = o.Provider.IsMember
	}
	return r
}

// FilterUnremovableNodes returns the nodes that may be removed, and the nodes that stay. In a loop in which Requests begins a removal no
// other node goes, because the core has planned the other removals without it: two nodes would count on the same free room.
func (r *Removals) FilterUnremovableNodes(ctx *cacontext.AutoscalingContext, scaleDown *nodes.ScaleDownContext,
	candidates []simulator.NodeToBeRemoved) ([]simulator.NodeToBeRemoved, []simulator.UnremovableNode) {
	if len(r.begun) > 0 {
		return nil, nil
	}
	compare := byRisk
	if r.order != nil {
		compare = func(a, b simulator.NodeToBeRemoved) int { return r.order(a.Node, b.Node) }
	}
	candidates = slices.SortedStableFunc(slices.Values(candidates), compare)
	var stay []simulator.UnremovableNode
	for _, f := range r.filters {
		removable, more := f(ctx, scaleDown, candidates)
		candidates, stay = removable, append(stay, more...)
	}
	r.rollback.chose(candidates)
	return candidates, stay
}

// byRisk compares nodes by their risk, and of equal risk by what their pods cost to move. The core simulates in the order of CheapestFirst, but
// keeps what it finds in maps.
func byRisk(a, b simulator.NodeToBeRemoved) int {
	rank := func(n simulator.NodeToBeRemoved) int {
		switch {
		case n.IsRisky:
			return 2
		case len(n.PodsToReschedule) > 0:
			return 1
		}
		return 0
	}
	return cmp.Or(rank(a)-rank(b), cmp.Compare(move.Cost(a.PodsToReschedule), move.Cost(b.PodsToReschedule)))
}

// Process takes back what removals that failed have left.
func (r *Removals) Process(ctx *cacontext.AutoscalingContext, s *scaledownstatus.ScaleDownStatus) {
	s.UnremovableNodes = append(s.UnremovableNodes, r.answers...) // readers take the last one
	s.ScaledDownNodes = append(s.ScaledDownNodes, r.begun...)
	r.report.Process(ctx, s)
	r.rollback.process(ctx, s)
	r.answers, r.begun = nil, nil
}

func (r *Removals) CleanUp() {
	r.nodes.CleanUp()
	r.report.CleanUp()
}

// drainNothing lets only nodes pass whose pods have to complete first, because the core itself keeps them. A dry run answers the writes of
// a drain, but they would go on after the loop.
func drainNothing(_ *cacontext.AutoscalingContext, _ *nodes.ScaleDownContext,
	candidates []simulator.NodeToBeRemoved) ([]simulator.NodeToBeRemoved, []simulator.UnremovableNode) {
	return slices.DeleteFunc(candidates, func(n simulator.NodeToBeRemoved) bool { return len(n.OnCompletionPods) == 0 }), nil
}

// Listers leave out pods whose grace ended long ago from nodes under removal. The core's rules skip such a pod, and its drain evicts it all the same,
// waits for it, and fails. It is often the sickness of its node that holds the pod.
type Listers struct{ kubernetes.ListerRegistry }

func (l Listers) AllPodLister() kubernetes.PodLister { return withoutOverdue(l) }

type withoutOverdue Listers

func (l withoutOverdue) List() ([]*corev1.Pod, error) {
	pods, err := l.ListerRegistry.AllPodLister().List()
	now := time.Now()
	return slices.DeleteFunc(pods, func(pod *corev1.Pod) bool {
		if !drain.IsPodLongTerminating(pod, now) {
			return false
		}
		node, err := l.AllNodeLister().Get(pod.Spec.NodeName)
		return err == nil && taints.HasToBeDeletedTaint(node)
	}), err
}
