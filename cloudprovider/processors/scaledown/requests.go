package scaledown

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/pdb"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/planner"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	caprocessors "k8s.io/autoscaler/cluster-autoscaler/processors"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/autoscaler/cluster-autoscaler/utils/daemonset"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/autoscaler/cluster-autoscaler/utils/gpu"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// inTurn is how many requested nodes with pods are looked at beside those that may be drained now. It bounds the time of a loop.
const inTurn = 10

// young is the age below which a node that is not of use may become so.
const young = 10 * time.Minute

// Requests removes the nodes that somebody asks to go (nodemeta.ToGo), and the nodes to replace (Moves). A second planner of the core's plans
// them, before the core's own and by the same checks, for which every node has been unneeded for long enough. It is a new one in each loop
// that has a request, so it looks at a blocked node in each of them, and not every five minutes. Many nodes take turns. The core's actuator
// carries that plan out.
//
// The request is the annotation alone, so the next leader goes on with it, and without the annotation the node stays unless its drain has begun.
type Requests struct {
	nodes.ScaleDownNodeProcessor // of the core's own planner

	Processors    *caprocessors.AutoscalingProcessors // of the core, complete when the first loop runs
	Removals      *Removals
	Provider      *aws.Provider
	DeleteOptions options.NodeDeleteOptions
	Rules         rules.Rules
	Off           bool                    // --scale-down-enabled=false: no node goes
	DelayAfterAdd time.Duration           // --scale-down-delay-after-add, which the context lacks after a refused scale-up
	Also          string                  // node or instance that a dry run asks to go, "" for none
	Report        func() *decision.Report // the last loop included when Publish is called
	Recorder      record.EventRecorder
	Moves         *Moves // nil if no node is replaced but by request
	// AfterScaleUp puts the pods of nodes that are being drained back on these nodes. Otherwise the core would take such a node for empty, and
	// remove it. It returns the nodes that these pods need although the snapshot does not show it.
	AfterScaleUp func(*cacontext.AutoscalingContext) (needed map[string]bool)
	NeedsZone    func(*corev1.Pod) bool // whether the pod has to run in one particular zone
	Bookings     pods.PodListProcessor  // books the room of ProvisioningRequests in the snapshot. Nil for none

	asked    []*corev1.Node    // as of the last loop
	needed   map[string]bool   // nodes whose room is for pods of nodes that leave
	said     map[string]string // the causes that were events, one a line, by node
	replaced []string          // nodes whose replacement was asked for
	refused  move.Refusals     // node groups that launched no replacement of a node that somebody asks to go
	raised   time.Time         // when a replacement was last asked for
	removed  time.Time         // when the removal of a requested node last began

	stayed map[string]*scaledownstatus.UnremovableNode // why nodes that take turns stayed in their last one, by name
	last   string                                      // the last node that had its turn
}

// GetScaleDownCandidates begins the removal of requested nodes. It returns the candidates of the core's own planner.
func (r *Requests) GetScaleDownCandidates(ctx *cacontext.AutoscalingContext, all []*corev1.Node) ([]*corev1.Node, caerrors.AutoscalerError) {
	r.asked = nil
	r.needed = r.AfterScaleUp(ctx)
	if r.Moves != nil {
		first := func(p *corev1.Pod) bool { // a repair waits for no booking, nor does a move for which a node was launched
			s := r.Moves.states[r.Moves.owners[p.UID]]
			return s.IgnoresWishes || s.Launches > 0
		}
		var book func()
		if r.Bookings != nil { // the others found places before the bookings did
			book = func() { _, _ = r.Bookings.Process(ctx, nil) }
		}
		for _, on := range r.Moves.emptied.Restore(ctx.ClusterSnapshot, book, first) { // a node that came for a move waits for its pods
			r.needed[on.Name] = true
		}
	}
	for _, n := range all {
		if nodemeta.ToGo(n) || r.also(n) {
			r.asked = append(r.asked, n)
		}
	}
	if r.Moves != nil && !r.Provider.TooOldToRemove() {
		r.asked = append(r.asked, slices.DeleteFunc(r.Moves.moving(ctx, all), func(n *corev1.Node) bool { return nodemeta.ToGo(n) })...)
	}
	r.replaced = slices.DeleteFunc(r.replaced, func(name string) bool {
		return !slices.ContainsFunc(r.asked, func(n *corev1.Node) bool { return n.Name == name })
	})
	if len(r.asked) > 0 && !r.Off && !r.Provider.TooOldToRemove() {
		if err := r.remove(ctx, all); err != nil {
			klog.ErrorS(err, "Could not remove nodes that were asked to go, trying again in the next loop")
		}
	}
	// The core begins its delays for its own changes alone.
	end := later(r.raised.Add(r.DelayAfterAdd), r.removed.Add(ctx.ScaleDownDelayAfterDelete))
	if !ctx.ScaleDownDelayTypeLocal && end.After(r.Removals.rollback.clock.Now()) {
		ctx.ProcessorCallbacks.DisableScaleDownForLoop()
	}
	if r.Off { // the core still finds pods other places
		return nil, nil
	}
	candidates, err := r.ScaleDownNodeProcessor.GetScaleDownCandidates(ctx, all)
	return slices.DeleteFunc(slices.Clone(candidates), func(n *corev1.Node) bool { return r.needed[n.Name] }), err
}

// Needed returns the nodes that are kept for pods of nodes that leave. The map is not changed any more.
func (r *Requests) Needed() map[string]bool { return r.needed }

// remove begins the removal of the requested nodes that may go now, and leaves in r.Removals why others do not. It lets a node wait whose removal
// has failed, because pods that have come back would be evicted again and again.
func (r *Requests) remove(ctx *cacontext.AutoscalingContext, all []*corev1.Node) caerrors.AutoscalerError {
	var eligible []*corev1.Node
	r.Removals.answers = nil
	answer := func(n *corev1.Node, reason simulator.UnremovableReason) {
		r.Removals.answers = append(r.Removals.answers, &scaledownstatus.UnremovableNode{Node: n, Reason: reason})
	}
	tried := r.Removals.rollback
	now := tried.clock.Now()
	results, _ := ctx.ScaleDownActuator.DeletionResults() // which r.Removals sees at the end of the loop
	starting := r.starting(ctx)
	_, served := ctx.ProcessorCallbacks.GetExtraValue(podlist.RequestServed)
	for _, n := range r.asked {
		switch {
		case r.Provider.NodeGroupOf(n) == nil, r.Provider.Superseded(n), r.Provider.Keeps(n), r.Provider.IsLeaving(n):
		case now.Before(tried.again[n.Name]), tried.refused.Lasts(n.Name, now), results[n.Name].ResultType != scaledownstatus.NodeDeleteOk:
			answer(n, simulator.RecentlyUnremovable)
		case ctx.MaxDrainParallelism < 1 && r.replaces(n) && hasPods(ctx, n): // it never goes, and another node would come in vain
			answer(n, simulator.NodeGroupMaxDeletionCountReached)
		case r.awaitsGroup(n) && (starting(n) || r.moves(n) && r.Moves.coming(ctx, r.Moves.states[n.Name].Replacement)):
			answer(n, simulator.NotUnneededOtherReason)
			if r.moves(n) {
				r.Moves.hold(n.Name, move.HeldStarting, starts)
			}
		case r.awaitsGroup(n) && r.moves(n) && r.Moves.unplaced[n.Name]: // the snapshot has the node without the pods that need it
			answer(n, simulator.NoPlaceToMovePods)
			r.Moves.kept(ctx, r.Removals.answers[len(r.Removals.answers)-1])
		case served && !r.also(n) && !(r.moves(n) && r.Moves.states[n.Name].IgnoresWishes): // the next loop books the room
			answer(n, simulator.NodeGroupMaxDeletionCountReached)
		default:
			eligible = append(eligible, n)
		}
	}
	eligible, later := r.turns(ctx, eligible)
	before := r.stayed
	r.stayed = map[string]*scaledownstatus.UnremovableNode{}
	for _, n := range later {
		if k := before[n.Name]; k != nil {
			r.stayed[n.Name] = k
			r.Removals.answers = append(r.Removals.answers, k)
		} else {
			answer(n, simulator.NodeGroupMaxDeletionCountReached)
		}
	}
	destinations, err := r.GetPodDestinationCandidates(ctx, all)
	if err != nil || len(eligible) == 0 {
		return err
	}
	if r.Moves != nil {
		p := r.Moves.consolidate.Plan
		if p != nil && !slices.ContainsFunc(eligible, func(n *corev1.Node) bool { return !r.movesFor(n, move.Consolidation) }) {
			destinations = slices.DeleteFunc(slices.Clone(destinations), func(n *corev1.Node) bool { return slices.Contains(p.Nodes, n.Name) })
		}
		fit, places := r.Moves.elsewhere(ctx, eligible)
		for _, n := range eligible {
			if !slices.Contains(fit, n) {
				answer(n, simulator.NoPlaceToMovePods)
			}
		}
		if eligible = fit; len(fit) == 0 {
			return nil
		}
		if s, ok := ctx.ClusterSnapshot.(*snapshot.Snapshot); ok {
			s.Prefer(places)
			defer s.Prefer(nil)
		}
	}
	processors, own := *r.Processors, *ctx
	processors.NodeGroupConfigProcessor = atOnce{processors.NodeGroupConfigProcessor}
	budgets := Budgets{pdb.NewBasicRemainingPdbTracker()} // the core's plan has the loop's own, and a node that stays uses nothing up
	if err := budgets.SetPdbs(ctx.RemainingPdbTracker.GetPdbs()); err != nil {
		return caerrors.ToAutoscalerError(caerrors.InternalError, err)
	}
	own.RemainingPdbTracker = budgets
	p := planner.New(&own, &processors, r.DeleteOptions, r.Rules)
	if err := p.UpdateClusterState(destinations, eligible, ctx.ScaleDownActuator.CheckStatus(), now); err != nil {
		return err
	}
	order := r.order(eligible)
	r.Removals.order = order
	empty, drained := p.NodesToDelete(now)
	r.Removals.order = nil
	if r.Moves != nil { // restarts of Deployments come first, unless AWS is about to end the node with all its pods
		drained = slices.DeleteFunc(drained, func(n *corev1.Node) bool {
			s, moves := r.Moves.states[n.Name]
			return moves && !s.Ends && r.Moves.restarts(ctx, n)
		})
	}
	slices.SortFunc(empty, order) // the planner has them in no order
	slices.SortFunc(drained, order)
	// The core would take all nodes of the first one's group before it takes one of the next group.
	going, draining := ctx.ScaleDownActuator.CheckStatus().DeletionsInProgress()
	room := min(ctx.MaxDrainParallelism, ctx.MaxScaleDownParallelism-len(going)-len(empty)) - len(draining)
	if now.Sub(tried.failing) < 10*unwell { // the API server may refuse to taint one node, and then the core begins with none
		empty = empty[:min(len(empty), 1)]
		room = min(room, 1-len(empty))
	}
	drained = drained[:max(0, min(len(drained), room))]
	tried.chosen = slices.Concat(empty, drained) // nobody has tried the others
	_, r.Removals.begun, err = ctx.ScaleDownActuator.StartDeletion(empty, drained)
	tried.broken = err != nil
	for _, n := range r.Removals.begun {
		ctx.RemainingPdbTracker.RemovePods(n.EvictedPods)
	}
	for _, n := range eligible { // unless the planner keeps it, it goes now, or after other nodes
		answer(n, simulator.NodeGroupMaxDeletionCountReached)
	}
	kept := scaledownstatus.ScaleDownStatus{}
	kept.SetUnremovableNodesInfo(p.UnremovableNodes(), p.NodeUtilizationMap(), ctx.CloudProvider)
	r.Removals.answers = append(r.Removals.answers, kept.UnremovableNodes...)
	for _, k := range kept.UnremovableNodes {
		r.stayed[k.Node.Name] = k
	}
	if r.Moves != nil {
		r.Moves.began(ctx, r.Removals.begun)
		for _, k := range kept.UnremovableNodes {
			if s, moves := r.Moves.states[k.Node.Name]; moves && s.Restarted.IsZero() && asksRestart(k) {
				k = r.butForBudgets(&own, k, destinations, now)
			}
			r.Moves.kept(ctx, k)
		}
		for _, n := range eligible { // what the planner would let go is not blocked
			if !slices.ContainsFunc(kept.UnremovableNodes, func(k *scaledownstatus.UnremovableNode) bool { return k.Node.Name == n.Name }) {
				delete(r.Moves.blocked, n.Name)
			}
		}
	}
	if len(r.Removals.begun) > 0 { // whichever node was asked for is theirs, and the others may ask again
		r.replaced = nil
		if slices.ContainsFunc(r.Removals.begun, func(n *scaledownstatus.ScaleDownNode) bool { return nodemeta.ToGo(n.Node) }) {
			r.removed = now // a move is followed by others, and a rotation would pause scale-down for hours
		}
	} else { // one node after the other
		r.replace(ctx, all, kept.UnremovableNodes)
	}
	return err
}

// also reports whether a dry run asks for the node, by its name or its instance.
func (r *Requests) also(n *corev1.Node) bool {
	return r.Also != "" && (n.Name == r.Also || nodemeta.InstanceOf(n) == r.Also)
}

// turns divides nodes into those that are looked at in this loop, and those that wait for their turn. Nodes with pods take turns by their
// names. Nodes that move, of which there are few, and nodes whose replacement was asked for are looked at in each loop.
func (r *Requests) turns(ctx *cacontext.AutoscalingContext, asked []*corev1.Node) (now, later []*corev1.Node) {
	for _, n := range asked {
		if !hasPods(ctx, n) || r.moves(n) || r.also(n) || slices.Contains(r.replaced, n.Name) {
			now = append(now, n)
		} else {
			later = append(later, n)
		}
	}
	_, drained := ctx.ScaleDownActuator.CheckStatus().DeletionsInProgress()
	most := max(0, ctx.MaxDrainParallelism-len(drained)) + inTurn
	if len(later) <= most {
		return asked, nil
	}
	slices.SortFunc(later, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	first := max(0, slices.IndexFunc(later, func(n *corev1.Node) bool { return n.Name > r.last }))
	later = slices.Concat(later[first:], later[:first])
	r.last = later[most-1].Name
	return append(now, later[:most]...), later[most:]
}

// hasPods reports whether the node has pods that need another one before it goes.
func hasPods(ctx *cacontext.AutoscalingContext, n *corev1.Node) bool {
	info, err := ctx.ClusterSnapshot.GetNodeInfo(n.Name)
	return err == nil && len(snapshot.ToPlace(info)) > 0
}

// butForBudgets returns what else keeps a node that a budget keeps, or k itself. The core has not looked for more, and a restart would not
// help then. The context is of a plan that has ended, and its budgets let every pod go afterwards.
func (r *Requests) butForBudgets(ctx *cacontext.AutoscalingContext, k *scaledownstatus.UnremovableNode, destinations []*corev1.Node,
	now time.Time) *scaledownstatus.UnremovableNode {
	for _, b := range ctx.RemainingPdbTracker.GetPdbs() {
		b.Status.DisruptionsAllowed = math.MaxInt32
	}
	takes := map[string]bool{}
	for _, n := range destinations {
		takes[n.Name] = true
	}
	simulation := simulator.NewRemovalSimulator(ctx.ListerRegistry, ctx.ClusterSnapshot, r.DeleteOptions, r.Rules, false)
	if _, by := simulation.SimulateNodeRemoval(k.Node.Name, takes, now, ctx.RemainingPdbTracker); by != nil {
		return &scaledownstatus.UnremovableNode{Node: k.Node, Reason: by.Reason, BlockingPod: by.BlockingPod}
	}
	return k
}

// replaces reports whether another node comes before the node goes, if the pods or the group need one.
func (r *Requests) replaces(n *corev1.Node) bool {
	return nodemeta.RemovalRequested.Of(n) == nodemeta.ReplaceFirst || r.moves(n)
}

// moves reports whether the node is to be replaced for another reason than a request.
func (r *Requests) moves(n *corev1.Node) bool {
	_, moves := move.StateOf(n)
	return moves && !nodemeta.ToGo(n) && r.Moves != nil // a dry run moves nothing
}

// order compares nodes that may go. A node that AWS is about to end comes first, and a request after repairs. Otherwise the order of asked holds.
func (r *Requests) order(asked []*corev1.Node) func(a, b *corev1.Node) int {
	place := func(n *corev1.Node) int {
		return slices.IndexFunc(asked, func(a *corev1.Node) bool { return a.Name == n.Name })
	}
	rank := func(n *corev1.Node) int {
		var s move.State
		if r.Moves != nil && !nodemeta.ToGo(n) {
			s = r.Moves.states[n.Name]
		}
		if s.Ends {
			return -1
		}
		return slices.Index([]string{move.Repair, "", move.Schedule, move.Rotation, move.Consolidation}, s.Reason)
	}
	return func(a, b *corev1.Node) int { return cmp.Or(rank(a)-rank(b), place(a)-place(b)) }
}

// awaitsGroup reports whether the node waits for the nodes that start in its group or in the group of its new node. A repair does not wait, because
// a group that grows all the time would keep the sick node. A node that AWS is about to end does not wait. A schedule does not wait, because a
// group that becomes smaller launches no replacement.
func (r *Requests) awaitsGroup(n *corev1.Node) bool {
	s, _ := move.StateOf(n)
	return r.replaces(n) && !r.movesFor(n, move.Schedule) && !r.movesFor(n, move.Repair) && !(s.Ends && r.moves(n))
}

func (r *Requests) movesFor(n *corev1.Node, reason string) bool {
	s, _ := move.StateOf(n)
	return s.Reason == reason && r.moves(n)
}

// replace asks for another node in the group of a node that is to be replaced first, if its pods fit on no other node, or its group is at its
// minimum size or the cluster at its minimum of cores, memory or GPUs. It asks once for each. It asks again if the group is at its minimum size
// again, or after a pause if AWS could not launch it. Where other pods take each new node, it would ask without end. The zone is the node's where
// the group is scaled zone by zone.
func (r *Requests) replace(ctx *cacontext.AutoscalingContext, all []*corev1.Node, kept []*scaledownstatus.UnremovableNode) {
	if r.Provider.Pretended != nil || r.Provider.TooOldToAdd() || full(ctx, all) {
		return
	}
	now := r.Removals.rollback.clock.Now()
	for _, k := range kept {
		noPlace := k.Reason == simulator.NoPlaceToMovePods && !r.moves(k.Node) // whose pods the next scale-up counts
		if !noPlace && !keptByMinimum(k) || !r.replaces(k.Node) || r.movesFor(k.Node, move.Consolidation) {
			continue
		}
		ng := successor(r.Provider, k.Node, noPlace)
		if ng == nil {
			continue
		}
		g := r.Provider.View().Group(ng.Id())
		_, cooling := r.Provider.CoolDown(g)
		room := roomOf(r.Provider, g)
		// Whether the core takes the group for healthy does not matter, or nobody would repair it.
		backedOff := ctx.ClusterStateRegistry.BackoffStatusForNodeGroup(ng, now).IsBackedOff
		refused, moves := cooling || backedOff || g.Failure != nil, r.moves(k.Node)
		if refused && slices.Contains(r.replaced, k.Node.Name) {
			if r.raised = (time.Time{}); !moves { // nothing was added
				r.refused.Add(ng.Id(), move.FirstRefusal, now)
			}
		}
		if refused || k.Reason == simulator.NodeGroupMinSizeReached { // the node that came has gone again
			r.replaced = slices.DeleteFunc(r.replaced, func(name string) bool { return name == k.Node.Name })
		}
		paused := !moves && r.refused.Lasts(ng.Id(), now) || moves && r.Moves.rests(k.Node)
		if cooling || backedOff || paused || slices.Contains(r.replaced, k.Node.Name) || room == 0 {
			continue
		}
		whole := r.Provider.View().Divisible(ng.Id())
		needsZone := func(p *corev1.Pod) bool { return r.NeedsZone(p) || whole && podzone.DependsOnPods(p) }
		elsewhere := whole || ng.Id() != r.Provider.NodeGroupOf(k.Node).Id()
		if info, err := ctx.ClusterSnapshot.GetNodeInfo(k.Node.Name); noPlace && elsewhere && err == nil && slices.ContainsFunc(snapshot.ToPlace(info), needsZone) {
			if whole { // the next loop asks for a node in the zone
				r.Provider.NeedZones(ng.Id())
			}
			continue
		}
		weight := 1
		if i, _ := r.Provider.View().Instance(k.Node); i != nil {
			weight = i.Weight
		}
		nodes := min(room, g.InstancesFor(weight))
		if err := ng.IncreaseSize(nodes); err != nil {
			klog.ErrorS(err, "Could not ask for the replacement of a node that was asked to go", "node", k.Node.Name, "nodeGroup", ng.Id())
			continue
		}
		// The core does so for its own scale-ups, and would see no failure of this one otherwise.
		r.Processors.ScaleStateNotifier.RegisterScaleUp(ng, nodes, now)
		r.raised = now
		ctx.ClusterStateRegistry.Recalculate()
		resource, kind := gpu.GetGpuInfoForMetrics(r.Provider.GetNodeGpuConfig(k.Node), r.Provider.GetAvailableGPUTypes(), k.Node, ng)
		metrics.RegisterScaleUp(nodes, resource, kind)
		r.replaced = append(r.replaced, k.Node.Name)
		if moves {
			r.Moves.launched(k.Node.Name, ng.Id())
		}
		klog.V(2).InfoS("Asked for the replacement of a node that was asked to go", "node", k.Node.Name, "nodeGroup", ng.Id())
		return // other nodes wait for it
	}
}

// full reports whether the cluster has all nodes that --max-nodes-total allows, with those on their way.
func full(ctx *cacontext.AutoscalingContext, all []*corev1.Node) bool {
	count := len(all)
	upcoming, _ := ctx.ClusterStateRegistry.GetUpcomingNodes()
	for _, n := range upcoming {
		count += n
	}
	return ctx.MaxNodesTotal > 0 && count >= ctx.MaxNodesTotal
}

// starting returns a function that reports whether another node of an asked node's Auto Scaling group is on its way. It looks once for all of
// these groups.
func (r *Requests) starting(ctx *cacontext.AutoscalingContext) func(*corev1.Node) bool {
	view := r.Provider.View()
	known := sync.OnceValue(func() map[string][]string {
		asked := map[string]bool{}
		for _, n := range r.asked {
			if _, g := view.Instance(n); g != nil {
				asked[g.Name] = true
			}
		}
		return onTheWay(ctx, r.Provider, r.Removals.rollback.clock.Now(), func(group, _ string) bool { return asked[group] })
	})
	return func(n *corev1.Node) bool {
		_, g := view.Instance(n)
		return g != nil && slices.ContainsFunc(known()[g.Name], func(name string) bool { return name != n.Name })
	}
}

// onTheWay returns, by Auto Scaling group, nodes that are young and not of use yet, are being removed, or are upcoming for the core, with ""
// for those that have not registered. It looks where in says so, and for no more than two nodes of a group. Instances that the core has given
// up do not count. A node is of use if it is Ready, and so are the pods of its DaemonSets, because others may need what they do.
func onTheWay(ctx *cacontext.AutoscalingContext, p *aws.Provider, now time.Time, in func(group, zone string) bool) map[string][]string {
	view, names := p.View(), map[string][]string{}
	all, _ := ctx.AllNodeLister().List() // the loop's own list and its snapshot lack nodes that have registered and start
	for _, n := range all {
		i, g := p.InstanceOf(n)
		if i == nil || !i.Lifecycle.Counts() || !in(g.Name, i.Zone) || len(names[g.Name]) > 1 {
			continue
		}
		isYoung := now.Sub(n.CreationTimestamp.Time) < young
		if taints.HasToBeDeletedTaint(n) || isYoung && (!nodemeta.Ready(n) || lacksDaemonPods(ctx, n.Name)) {
			names[g.Name] = append(names[g.Name], n.Name)
		}
	}
	upcoming, registered := ctx.ClusterStateRegistry.GetUpcomingNodes() // these have registered and start, whatever their age
	for id, count := range upcoming {
		if g := view.Group(id); g != nil && in(g.Name, g.Zone) {
			if names[g.Name] = append(names[g.Name], registered[id]...); count > len(registered[id]) {
				names[g.Name] = append(names[g.Name], "")
			}
		}
	}
	return names
}

// lacksDaemonPods reports whether a pod of a DaemonSet is not Ready on the node, or not there yet.
func lacksDaemonPods(ctx *cacontext.AutoscalingContext, node string) bool {
	info, err := ctx.ClusterSnapshot.GetNodeInfo(node)
	if err != nil {
		return true
	}
	there := slices.DeleteFunc(snapshot.Pods(info), func(p *corev1.Pod) bool { return !podutils.IsDaemonSetPod(p) })
	if slices.ContainsFunc(there, func(p *corev1.Pod) bool { return !podutil.IsPodReady(p) }) {
		return true
	}
	sets, _ := ctx.DaemonSetLister().List(labels.Everything()) // it reads a cache
	wanted, err := daemonset.GetDaemonSetPodsForNode(info, sets)
	return err == nil && len(there) < len(wanted)
}

// Publish publishes an event on each node that is to go and stays: once for each cause, in the words of the report. A node that is to be
// replaced gets none while it waits for other nodes, or for room.
func (r *Requests) Publish() {
	said := r.said
	r.said = map[string]string{}
	say := func(n *corev1.Node, cause, kind, event, message string) {
		if r.said[n.Name] = cmp.Or(r.said[n.Name], said[n.Name]); !strings.Contains(r.said[n.Name], cause+"\n") {
			r.said[n.Name] += cause + "\n"
			r.Recorder.Event(n, kind, event, message)
		}
	}
	if r.Moves != nil {
		for node, cause := range said {
			if _, moves := r.Moves.states[node]; moves || r.Moves.held[node].Hold != "" { // it may wait for its next try, or for the next look
				r.said[node] = cause
			}
		}
		for _, n := range r.Moves.lasting() {
			h := r.Moves.held[n.Name]
			message := fmt.Sprintf("it is to be replaced (%s: %s), but %s", h.Reason, h.Cause, h.Message)
			say(n, string(h.Hold), corev1.EventTypeWarning, "DisruptionBlocked", message)
		}
		r.Moves.show()
		r.Moves.shown = nil
	}
	if len(r.asked) == 0 {
		return // without a look at the report
	}
	report, byName := r.Report(), func(n decision.Node, name string) int { return strings.Compare(n.Name, name) }
	for _, asked := range r.asked {
		r.said[asked.Name] = cmp.Or(r.said[asked.Name], said[asked.Name])
		at, shown := slices.BinarySearchFunc(report.Nodes, asked.Name, byName)
		if !shown {
			continue
		}
		n, moves := &report.Nodes[at], r.moves(asked)
		cause, blocked := string(n.Reason.Code)+" "+n.Pod, n.State == decision.NodeBlocked
		atMinimum := n.Reason.Code == decision.CodeMinSize || n.Reason.Code == decision.CodeMinQuota
		waits := moves && n.Pod == "" && (!blocked || atMinimum && r.Moves.grows(asked))
		switch {
		case waits, !blocked && n.State != decision.NodeNeeded:
		case moves:
			say(asked, cause, corev1.EventTypeWarning, "DisruptionBlocked", n.Reason.Message)
		default:
			say(asked, cause, corev1.EventTypeWarning, "ScaleDownRequestBlocked", n.Reason.Message)
		}
	}
}

// atOnce has every node count as unneeded for long enough, whatever its utilization.
type atOnce struct {
	nodegroupconfig.NodeGroupConfigProcessor
}

func (atOnce) GetScaleDownUnneededTime(cloudprovider.NodeGroup) (time.Duration, error) { return 0, nil }
func (atOnce) GetScaleDownUnreadyTime(cloudprovider.NodeGroup) (time.Duration, error)  { return 0, nil }
func (atOnce) GetScaleDownUtilizationThreshold(cloudprovider.NodeGroup) (float64, error) {
	return math.MaxFloat64, nil
}
func (atOnce) GetScaleDownGpuUtilizationThreshold(cloudprovider.NodeGroup) (float64, error) {
	return math.MaxFloat64, nil
}
