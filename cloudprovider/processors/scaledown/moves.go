package scaledown

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/klog/v2"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

const (
	// mostLaunches for one node are asked for in one try. More would not help: the pods fit on no new node, or others take each of them.
	mostLaunches = 2
	// A try is postponed once something has kept the node for blockedFor, or at the latest after longestTry, so that its budget serves others.
	blockedFor, longestTry = 2 * time.Minute, 20 * time.Minute
	// slowDrain is how long drains of a node may end without a failure because some of its pods went, or have been evicted for a repair.
	slowDrain = time.Hour
	// unwritten is after how long a state that the cache does not show counts as lost.
	unwritten = 60 * time.Second
)

// Moves has nodes replaced: a move.Machine chooses them, and Requests carries that out. In each loop it takes part at three points:
//
//   - Count takes the pods of nodes without a place for them off these nodes in the core's snapshot, so that the core plans them together with
//     all others that are pending. Requests puts them back before the core plans removals.
//   - Process, at the end of the scale-up, sees which of them got a node.
//   - moving begins new moves, and Requests tells what came of the others.
type Moves struct {
	Machine  *move.Machine
	Provider *aws.Provider
	Writer   *move.Writer
	Raises   func(*corestatus.ScaleUpStatus) []*corestatus.ScaleUpStatus // takes the status of a loop apart
	Metrics  *move.Metrics
	Clock    clock.PassiveClock
	PodsOn   func(node string) []*corev1.Pod
	Budgets  policylisters.PodDisruptionBudgetLister
	// WantImages has the images of instances found out. Nil is for nobody who asks.
	WantImages func(instances ...string)
	Planned    func(types.UID) bool // whether a node was asked for a pod
	// Consolidation finds nodes that cost more than they have to. It may be nil.
	Consolidation *Consolidation

	since     time.Time             // of the first look: a try that an earlier process began has its time from then on
	states    map[string]move.State // of the nodes that are to be replaced, as they were written last
	written   map[string]written    // that the cache may not show yet, by node
	held      map[string]move.Held
	shown     map[string]move.Held    // held, nil in a loop that has not looked
	placeless map[string]bool         // nodes whose pods have no other place
	roomless  map[string]bool         // placeless nodes for which no group could launch another
	unplaced  map[string]bool         // roomless nodes whose own pods have places, and pods that only the core has made have none
	blocked   map[string]time.Time    // since when something keeps a node that is to be drained
	holding   map[string]time.Time    // since when something holds it
	draining  map[string]string       // nodes whose drain has begun, with the reason
	nodes     map[string]*corev1.Node // of our groups
	staying   map[string]time.Time    // since when nodes are held until somebody does something
	slow      map[string]time.Time    // when a drain of theirs first ended with pods left
	refusals  move.Refusals           // Auto Scaling groups for whose moves AWS has launched no node
	denied    move.Refusals           // nodes whose state the API server has refused
	full      bool                    // --max-nodes-total lets no further node come

	consolidate *move.Consolidate // Consolidation's, or one that never has a plan

	registry *clusterstate.ClusterStateRegistry // of the core

	emptied  snapshot.Emptied     // until the core plans removals
	owners   map[types.UID]string // nodes that the pods that Count took off their nodes count for
	waiting  []*corev1.Pod        // the other pending pods
	hurry    []*corev1.Pod        // of nodes that AWS takes in a moment, which look for places
	hopeless map[types.UID]bool   // waiting pods that no group helps
	before   map[types.UID]bool   // the same, of the loop before
	theirs   bool                 // the last scale-up beside a consolidation was for hopeless pods
	only     map[string]int       // sizes of the node groups that may launch for the pods of this loop, nil for all
}

type written struct {
	text string // "" for no move
	at   time.Time
}

func NewMoves(m Moves) *Moves {
	m.states, m.written, m.draining = map[string]move.State{}, map[string]written{}, map[string]string{}
	m.placeless, m.roomless, m.blocked, m.holding = map[string]bool{}, map[string]bool{}, map[string]time.Time{}, map[string]time.Time{}
	m.staying, m.slow, m.hopeless = map[string]time.Time{}, map[string]time.Time{}, map[types.UID]bool{}
	m.consolidate = &move.Consolidate{}
	if m.Consolidation != nil {
		m.consolidate = m.Consolidation.Reason
	}
	if m.Provider != nil {
		m.Provider.KeepForLate(m.late)
	}
	return &m
}

// late says which pod has become Ready on a node that moves since the core tainted it, and may not go by its budget. The core looks at the pods
// once, so this one would end with the instance. Other removals end it, as in stock: it may come again each time, and nothing stops them after
// three tries. Any goroutine may call late.
func (m *Moves) late(tainted *corev1.Node) error {
	began, _ := taints.GetToBeDeletedTime(tainted)
	if s, _ := move.StateOf(tainted); s.Step != move.Placing || nodemeta.ToGo(tainted) || began == nil {
		return nil
	}
	for _, p := range m.PodsOn(tainted.Name) {
		if p.DeletionTimestamp != nil || nodemeta.BelongsToNode(p) || !podutil.IsPodReady(p) ||
			!podutil.GetPodReadyCondition(p.Status).LastTransitionTime.After(began.Add(-2*time.Minute)) { // by the kubelet's clock
			continue
		}
		budgets, _ := m.Budgets.GetPodPodDisruptionBudgets(p)
		for _, b := range budgets {
			if b.Status.DisruptionsAllowed == 0 {
				return fmt.Errorf("pod %s/%s came while it was drained, and budget %q protects the pod; to mend it, have the pod tolerate no taint %s",
					p.Namespace, p.Name, b.Name, taints.ToBeDeletedTaint)
			}
		}
	}
	return nil
}

// Held returns why nodes that are due do not move, nil after a loop that ended before it looked. Nobody changes the map once the loop has ended.
func (m *Moves) Held() map[string]move.Held { return m.shown }

// lasting returns the nodes that something has held for a while, and will until somebody does something.
func (m *Moves) lasting() (nodes []*corev1.Node) {
	if m.shown == nil {
		return nil // until the next look
	}
	stays := func(name string) bool {
		h, n := m.shown[name].Hold, m.nodes[name]
		return h.Lasts() && n != nil && !beingDrained(n) && !nodemeta.ToGo(n)
	}
	maps.DeleteFunc(m.staying, func(name string, _ time.Time) bool { return !stays(name) })
	for name, h := range m.shown {
		limit := blockedFor
		if h.Hold == move.HeldRollout { // most rollouts end
			limit = move.PodHoldsFor
		}
		if stays(name) && m.lasts(m.staying, name, limit) {
			nodes = append(nodes, m.nodes[name])
		}
	}
	return nodes
}

// starts is the message of HeldStarting.
const starts = "another node of its group, or of the group of its new node, starts or is drained first"

// set gives a node a state, nil for none. Others see it once the cache shows it.
func (m *Moves) set(node string, s *move.State) {
	w := written{at: m.Clock.Now()}
	if s != nil {
		w.text, m.states[node] = s.Text(), *s
	} else {
		delete(m.states, node)
	}
	m.written[node] = w
	m.Writer.Write(node, s)
}

// moving decides which nodes move. It returns the nodes to drain as soon as their pods have a place.
func (m *Moves) moving(ctx *cacontext.AutoscalingContext, all []*corev1.Node) []*corev1.Node {
	view := m.Provider.View()
	if m.Machine.Idle(view.Snapshot().Groups()) && len(m.states)+len(m.held)+len(m.draining) == 0 && !slices.ContainsFunc(all, left) {
		return nil
	}
	now := m.Clock.Now()
	m.since = cmp.Or(m.since, now)
	var nodes []move.Node
	var imageless []string
	byName := make(map[string]*corev1.Node, len(all))
	moved := m.states
	m.states = map[string]move.State{}
	rests := true
	for _, n := range all {
		pods := func() []*corev1.Pod { return podsOn(ctx, n.Name) }
		i, g := m.Provider.InstanceOf(n)
		text := n.Annotations[move.Annotation]
		w, under := m.written[n.Name]
		if _, ours := moved[n.Name]; (ours || under && w.text == text) && g == nil && left(n) { // its group or instance is no longer ours
			m.written[n.Name] = written{text, now} // until the cache lacks it, or somebody else has moved the node
			m.Writer.Write(n.Name, nil)
		}
		if g == nil || g.Deleting { // AWS ends the nodes of a group that it deletes, and the core no longer knows the group
			continue
		}
		byName[n.Name] = n
		if m.Consolidation != nil && taints.HasTaint(n, interruption.Taint) && !interruption.Planned(n) {
			_, since, _ := interruption.Draining(n)
			its := slices.DeleteFunc(m.PodsOn(n.Name), nodemeta.BelongsToNode)
			m.consolidate.Began(its, since) // with evictions before this loop
			m.consolidate.Began(its, now)
		}
		newest := m.newest(n, now)
		s, moves := move.StateOf(newest)
		if moves {
			m.states[n.Name] = s
			rests = rests && (s.Step != move.Placing || !m.blocked[n.Name].IsZero() || !i.Lifecycle.Counts())
		}
		if _, under := m.written[n.Name]; !under && s.Step != move.Placing && taints.HasTaint(n, move.Taint) { // somebody took the annotation off
			var state *move.State
			if moves {
				state = &s
			}
			m.set(n.Name, state)
		}
		if m.WantImages != nil && i.ImageID == "" && move.NeedsImages(g) {
			imageless = append(imageless, i.ID)
		}
		nodes = append(nodes, move.Node{Node: newest, Instance: i, Group: g, Leaving: leavesSoon(n) || interruption.RebootAsked(n),
			Cordoned: cordoned(n), Pods: pods})
	}
	if len(imageless) > 0 {
		m.WantImages(imageless...)
	}
	maps.DeleteFunc(m.written, func(_ string, w written) bool { return now.Sub(w.at) >= unwritten })
	maps.DeleteFunc(m.draining, func(name, reason string) bool {
		if byName[name] == nil {
			m.ended(name, reason)
		}
		return byName[name] == nil
	})
	m.full = full(ctx, all)
	if m.full { // the core does not try to scale up
		for _, node := range m.owners {
			m.roomless[node] = true
		}
		for _, p := range m.waiting {
			m.hopeless[p.UID] = true
		}
	}
	pending := m.comeFirst(ctx, m.waiting)
	if m.Consolidation != nil {
		leftAlone := func(n move.Node) bool { return m.leftAlone(n) || m.heldOtherwise(n.Name) }
		open, _ := m.Machine.Windows.Open(move.Consolidation, now)
		open = open && m.Machine.Budgets.Left(move.Consolidation, len(nodes), nil) > 0
		m.Consolidation.consider(ctx, nodes, leftAlone, rests && !pending, open, m.full, now)
	}
	d := m.Machine.Decide(move.Cluster{Nodes: nodes, Starting: m.starting(ctx, byName), Pending: pending, Pods: ctx.AllPodLister().List,
		Wanted: func(p *corev1.Pod) int { return wanted(ctx, p) }, LeftAlone: m.leftAlone}, now)
	before := m.held
	m.held, m.shown = d.Held, d.Held
	if p := m.consolidate.Plan; p != nil {
		m.consolidate.Stays = slices.ContainsFunc(p.Nodes, func(name string) bool {
			// A node that moves waits for a rollout, and goes on.
			return m.heldOtherwise(name) || m.held[name].Hold.Lasts() && m.states[name].Step != move.Placing
		})
	}
	for _, c := range d.Changes {
		if beingDrained(c.Node.Node) && (!interruption.Rebooting(c.Node.Node) || c.Node.Leaving) {
			continue
		}
		if c.State == nil {
			s := m.states[c.Node.Name]
			klog.V(0).InfoS("A node is not replaced, the reason is gone", "node", c.Node.Name, "reason", s.Reason)
			if s.Step == move.Placing || s.Failures == 0 && s.Reason != move.Consolidation { // otherwise its last try has been counted
				m.Metrics.Ended(s.Reason, move.Cancelled)
			}
		} else if m.states[c.Node.Name].Step != c.State.Step {
			did := map[move.Step]string{move.Rebooting: "A node is to be rebooted", move.Rebooted: "The try to reboot a node is over",
				move.Waiting: "A node is held and is not replaced for now"}[c.State.Step]
			klog.V(0).InfoS(cmp.Or(did, "A node is to be replaced"), "node", c.Node.Name, "reason", c.State.Reason, "cause", c.State.Cause)
		}
		m.set(c.Node.Name, c.State)
	}
	_, drained := ctx.ScaleDownActuator.CheckStatus().DeletionsInProgress()
	var moving []*corev1.Node
	for name, s := range m.states {
		n := byName[name]
		shown, _ := move.StateOf(n) // by the next leader, too
		takenBack := s.Step == move.Rebooting && !interruption.RebootAsked(n) &&
			(beingDrained(n) && !interruption.Rebooting(n) || m.Provider.Keeps(n) || move.Disabled(n))
		if (takenBack || s.Step == move.Placing && beingDrained(n)) && !leavesSoon(n) {
			m.rest(name)
			continue
		}
		if s.Step != move.Placing || beingDrained(n) {
			continue
		}
		if m.leftAlone(move.Node{Node: n}) {
			m.hold(name, move.HeldAlone, move.LeftAlone)
		}
		h, held := m.held[name]
		if !held {
			delete(m.holding, name)
		}
		stuck, tried := m.stuck(n, s), now.Sub(later(s.Began, m.since))
		late := tried >= longestTry
		switch {
		case shown.Step != move.Placing:
		case held: // by something else than its pods
			// Pods may take longer to start than other things may hold a node. Deployments would be restarted again.
			over := h.Hold != move.HeldRollout && m.lasts(m.holding, name, blockedFor) || late
			switch {
			case !over || now.Sub(s.Restarted) < move.RestartTime:
			case h.Hold == move.HeldRollout && s.Launches > 0: // the next try may launch another node
				m.inVain(name)
			default:
				m.rest(name)
			}
		case stuck != "": // a node of another group would come in vain, and go again, without end
			m.hold(name, move.HeldRoom, stuck)
			switch {
			case m.crowded(n) && !m.lasts(m.blocked, name, blockedFor): // a node may be about to leave the cluster
			case s.Launches == 0 || !m.refused(s.Replacement):
				m.rest(name)
			case m.neverCame(s.Replacement):
				m.postpone(name)
			default:
				m.pause(n)
				m.rest(name)
			}
		case !late, m.mayCome(s, tried), m.neverCame(s.Replacement): // kept counts a node that never came
			moving = append(moving, n)
		case len(drained) > 0 || before[name].Hold == move.HeldStarting: // it may have waited for them
			m.rest(name)
		default:
			m.postpone(name)
		}
	}
	forget := func(name string) bool {
		n := byName[name]
		return n == nil || m.states[name].Step != move.Placing || beingDrained(n)
	}
	for name, s := range m.states {
		if s.Launches > 0 { // the node that comes for it is needed
			m.placeless[name] = true
		} else if _, held := m.held[name]; held {
			delete(m.placeless, name)
		}
	}
	maps.DeleteFunc(m.placeless, func(name string, _ bool) bool { return forget(name) })
	for _, since := range []map[string]time.Time{m.blocked, m.holding} {
		maps.DeleteFunc(since, func(name string, _ time.Time) bool { return forget(name) })
	}
	maps.DeleteFunc(m.slow, func(name string, _ time.Time) bool { _, moves := m.states[name]; return !moves })
	m.nodes = byName
	slices.SortFunc(moving, func(a, b *corev1.Node) int { return m.states[a.Name].Since.Compare(m.states[b.Name].Since) })
	return moving
}

// starting returns the nodes of our groups that the core takes for upcoming. Neither its list of all nodes nor its snapshot has them. known are the others.
func (m *Moves) starting(ctx *cacontext.AutoscalingContext, known map[string]*corev1.Node) (nodes []move.Node) {
	registered, _ := ctx.AllNodeLister().List() // it reads a cache
	for _, n := range registered {
		i, g := m.Provider.InstanceOf(n)
		if known[n.Name] != nil || g == nil || g.Deleting {
			continue
		}
		if nodemeta.Ready(n) { // but for the core
			n = kubernetes.GetUnreadyNodeCopy(n, kubernetes.StartupNodes)
		}
		nodes = append(nodes, move.Node{Node: n, Instance: i, Group: g, Cordoned: cordoned(n), Pods: func() []*corev1.Pod { return m.PodsOn(n.Name) }})
	}
	return nodes
}

// left reports whether a move has left something on the node.
func left(n *corev1.Node) bool {
	_, moves := move.StateOf(n)
	return moves || taints.HasTaint(n, move.Taint)
}

// heldOtherwise reports whether the node is due for another reason than its price, and held. That reason comes first, and may last.
func (m *Moves) heldOtherwise(node string) bool {
	h, held := m.held[node]
	return held && h.Reason != move.Consolidation
}

// leftAlone reports whether the node is left alone for now, drained by somebody else, or could not be written lately.
func (m *Moves) leftAlone(n move.Node) bool {
	return beingDrained(n.Node) || n.Spec.Unschedulable || m.Provider.Keeps(n.Node) || m.denied.Lasts(n.Name, m.Clock.Now())
}

// beingDrained reports whether the core or the interruption drains the node.
func beingDrained(n *corev1.Node) bool {
	return taints.HasToBeDeletedTaint(n) || taints.HasTaint(n, interruption.Taint)
}

// cordoned reports whether somebody has cordoned the node, or a reboot, and no other drain.
func cordoned(n *corev1.Node) bool {
	return n.Spec.Unschedulable && (!beingDrained(n) || interruption.Rebooting(n))
}

// leavesSoon reports whether the node is drained and goes soon. A drain for a change that AWS plans may wait for weeks.
func leavesSoon(n *corev1.Node) bool {
	return taints.HasToBeDeletedTaint(n) || beingDrained(n) && !interruption.Planned(n)
}

// newest is the node with the state that was written last.
func (m *Moves) newest(n *corev1.Node, now time.Time) *corev1.Node {
	w, known := m.written[n.Name]
	if shown := n.Annotations[move.Annotation] == w.text; !known || now.Sub(w.at) >= unwritten || shown {
		if _, failed := m.Writer.Failed.Load(n.Name); known && failed && !shown { // as by a policy, and it would take the place of others again and again
			m.denied.Add(n.Name, move.FirstRefusal, now)
		}
		delete(m.written, n.Name)
		return n
	}
	newest := *n
	newest.Annotations = maps.Clone(n.Annotations)
	delete(newest.Annotations, move.Annotation)
	if w.text != "" {
		metav1.SetMetaDataAnnotation(&newest.ObjectMeta, move.Annotation, w.text)
	}
	return &newest
}

// lasts reports whether a node has been in the map for a time. It enters a node that is new there.
func (m *Moves) lasts(since map[string]time.Time, node string, limit time.Duration) bool {
	since[node] = cmp.Or(since[node], m.Clock.Now())
	return m.Clock.Since(since[node]) >= limit
}

func (m *Moves) hold(node string, h move.Hold, message string) {
	s := m.states[node]
	m.held[node] = move.Held{Why: s.Why, Reason: s.Reason, Hold: h, Message: message}
}

// rest ends a try that was held back for too long.
func (m *Moves) rest(node string) { m.waits(node, m.states[node].Held(m.Clock.Now())) }

// inVain ends a try that was of no use, and whose repetition may launch or drain in vain. A broken node, and AWS, do not wait for an hour.
func (m *Moves) inVain(node string) {
	s := m.states[node]
	if s.Reason == move.Repair || s.Ends {
		m.rest(node)
		return
	}
	m.waits(node, s.InVain(m.Clock.Now()))
}

// postpone ends a try that could not begin.
func (m *Moves) postpone(node string) {
	delete(m.placeless, node)
	m.waits(node, m.states[node].Postponed(m.Clock.Now()))
}

func (m *Moves) waits(node string, s move.State) {
	if s.Failures > m.states[node].Failures {
		m.Metrics.Ended(s.Reason, move.Failed)
		klog.V(0).InfoS("A node could not be replaced, it is tried again", "node", node, "reason", s.Reason, "failures", s.Failures, "at", s.Retry)
	}
	m.set(node, &s)
}

// asksRestart reports whether a budget keeps the node for a pod that asks for the restart of its Deployment.
func asksRestart(k *scaledownstatus.UnremovableNode) bool {
	return k.BlockingPod != nil && k.BlockingPod.Reason == drain.NotEnoughPdb && len(move.Deployments([]*corev1.Pod{k.BlockingPod.Pod})) > 0
}

// restarts reports whether a node waits for the restart of Deployments whose pods ask for it. The node takes no new pod before that begins.
func (m *Moves) restarts(ctx *cacontext.AutoscalingContext, n *corev1.Node) bool {
	s, now := m.states[n.Name], m.Clock.Now()
	shown, _ := move.StateOf(n)
	deployments := move.Deployments(podsOn(ctx, n.Name))
	if s.Step != move.Placing || len(deployments) == 0 || !s.Restarted.IsZero() && now.Sub(s.Restarted) >= move.RestartTime {
		return false
	}
	m.hold(n.Name, move.HeldRestart, fmt.Sprintf("its Deployments are restarted first: %v", deployments))
	switch {
	case !s.Closed:
		s.Closed = true
		m.set(n.Name, &s)
	case s.Restarted.IsZero() && shown.Closed:
		s.Restarted = now
		m.Writer.Restart(deployments, now)
		m.set(n.Name, &s)
		if m.Consolidation != nil {
			asking := slices.DeleteFunc(podsOn(ctx, n.Name), func(p *corev1.Pod) bool { return len(move.Deployments([]*corev1.Pod{p})) == 0 })
			m.consolidate.Began(asking, now)
		}
	}
	return true
}

// began notes that nodes are drained for moves or requests. The core itself counts their pods as pending from now on.
func (m *Moves) began(ctx *cacontext.AutoscalingContext, nodes []*scaledownstatus.ScaleDownNode) {
	for _, n := range nodes {
		if m.Consolidation != nil {
			m.consolidate.Began(bound(slices.Clone(n.EvictedPods)), m.Clock.Now().Add(ctx.NodeDeleteDelayAfterTaint))
		}
		if s, moves := m.states[n.Node.Name]; moves {
			m.draining[n.Node.Name] = s.Reason
			delete(m.placeless, n.Node.Name)
			if s.Reason == move.Consolidation {
				m.close(n.Node.Name)
			}
		}
	}
}

// close keeps the pods of a node that is drained off the other nodes of its plan that have begun to move, because these are drained next.
func (m *Moves) close(drained string) {
	if p := m.consolidate.Plan; p != nil {
		for _, name := range p.Nodes {
			if s := m.states[name]; name != drained && s.Step == move.Placing && !s.Closed {
				s.Closed = true
				m.set(name, &s)
			}
		}
	}
}

// removed notes the end of the drain of a node. A drain that ran out of time after some of its evictions goes on later with the others, for
// up to slowDrain. A consolidation is planned anew.
func (m *Moves) removed(node string, result scaledownstatus.NodeDeleteResult) {
	reason, began := m.draining[node]
	delete(m.draining, node)
	evictions := slices.Collect(maps.Values(result.PodEvictionResults))
	s, moves := m.states[node]
	helped := func(e scaledownstatus.PodEvictionResult) bool { // a sick node may end no pod, and the next drain waits for none that is overdue
		return e.WasEvictionSuccessful() || s.Reason == move.Repair && e.TimedOut && e.Err == nil
	}
	switch {
	case !began:
	case result.ResultType == scaledownstatus.NodeDeleteOk:
		m.ended(node, reason)
	case moves && s.Reason != move.Consolidation && slices.ContainsFunc(evictions, helped) && !m.lasts(m.slow, node, slowDrain):
		m.rest(node)
	case moves && m.nodes[node] != nil && m.Provider.Keeps(m.nodes[node]): // since its drain began, so its instance was not terminated
		m.rest(node)
	case moves && result.ResultType == scaledownstatus.NodeDeleteErrorFailedToDelete && m.nodes[node] != nil &&
		m.Provider.FailsToEnd(m.nodes[node], longestTry):
		m.inVain(node)
	case moves:
		delete(m.slow, node)
		m.waits(node, s.Failed(m.Clock.Now()))
	}
}

func (m *Moves) ended(node, reason string) {
	m.Metrics.Ended(reason, move.Moved)
	m.consolidate.Removed(node)
}

func (m *Moves) show() {
	m.Metrics.Show(m.states, m.shown)
	if m.consolidate.Currency != "" {
		found := m.Consolidation.Found()
		m.Metrics.Save(found.Saving(), found.Saved, m.consolidate.Currency)
	}
}

// podsOn returns the pods that run on a node.
func podsOn(ctx *cacontext.AutoscalingContext, node string) []*corev1.Pod {
	info, err := ctx.ClusterSnapshot.GetNodeInfo(node)
	if err != nil {
		return nil
	}
	return bound(snapshot.Pods(info))
}

// bound returns the list without the pods that only the snapshot has on their node: they wait for a node, or nobody has created them.
func bound(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return p.Spec.NodeName == "" })
}
