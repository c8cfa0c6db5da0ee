package move

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// Machine decides which nodes move. One goroutine uses it.
type Machine struct {
	Reasons []Reason // in the order in which they are served
	Budgets Budgets  // of the cluster
	Windows Windows
	MaxWait time.Duration // after which no pod keeps a node by its wish, 0 for never
	// Proof is how long a new node and its pods must have been Ready until further nodes of the group move to the same target.
	Proof time.Duration
	// AtOnce bounds the nodes that move at once, because only so many drains run at once. 0 is no bound.
	AtOnce int

	undue map[string]time.Time // nodes whose reason is gone, since when
	lack  map[types.UID]lack   // controllers that had fewer pods than they are to have
}

// lackKept is how long a controller is remembered that nobody looks at, such as between windows.
const lackKept = 25 * time.Hour

type lack struct {
	pods        int
	since, seen time.Time
}

// sure is how long the reason of a move must have been gone until the move ends. One reading of a group may lack its launch template.
const sure = 2 * time.Minute

// Cluster is what a Machine decides by.
type Cluster struct {
	Nodes    []Node                        // of our groups
	Starting []Node                        // further ones, which do not move: they are no proof yet
	Pending  bool                          // pods wait for nodes that come or are to come
	Pods     func() ([]*corev1.Pod, error) // all of the cluster, also without a node, and on nodes of nobody's or others' groups, such as Karpenter's
	// Wanted returns the number of pods that a pod's controller is to have, 0 if that is not known.
	Wanted func(*corev1.Pod) int
	// LeftAlone reports whether a node is left alone for now, because of its group, its zone, itself, or because somebody else drains it.
	LeftAlone func(n Node) bool
}

// Decision is what changes, and who waits.
type Decision struct {
	Changes []Change
	Held    map[string]Held // nodes that are due and may not begin, by name
}

// Change is a new state of a node. A nil State ends the move, because its cause is gone.
type Change struct {
	Node  Node
	State *State
}

// target is what nodes of a group move to, and why.
type target struct{ group, reason, to string }

// round is one decision.
type round struct {
	*Machine
	Cluster
	now        time.Time
	moving     map[string]int            // nodes that move, by reason, and all of them under ""
	inGroup    map[string]map[string]int // likewise, by group
	sizes      map[string]int            // nodes by group
	to         map[target]int            // nodes that move
	failures   map[target]int
	conforming map[string][]Node // nodes that are as their group launches them now, by group
	proofs     map[string]bool   // whether one of them is proven, by group, as far as somebody has asked
	closed     map[string]string // why no node moves now, by reason
	workloads  map[string]string // of the pods of nodes that move, with the node
	unready    map[string]bool   // workloads with pods that are not Ready, nil before somebody asks
	there      map[types.UID]int // pods of controllers, likewise
	decision   Decision
}

// candidate is a node that is due and does not move, or moves for something else.
type candidate struct {
	Node
	Why
	state  State // its earlier tries, or that move
	reason string
}

func (c candidate) moves() bool { return c.state.Step == Placing }

// Decide decides once. Its cost grows with the nodes, and with their pods only where nodes are due.
func (m *Machine) Decide(c Cluster, now time.Time) Decision {
	r := &round{Machine: m, Cluster: c, now: now, moving: map[string]int{}, inGroup: map[string]map[string]int{}, sizes: map[string]int{}, to: map[target]int{},
		failures: map[target]int{}, conforming: map[string][]Node{}, proofs: map[string]bool{}, closed: map[string]string{},
		workloads: map[string]string{}, decision: Decision{Held: map[string]Held{}}}
	undue := m.undue
	m.undue = map[string]time.Time{}
	maps.DeleteFunc(m.lack, func(_ types.UID, l lack) bool { return now.Sub(l.seen) >= lackKept })
	if m.lack == nil {
		m.lack = map[types.UID]lack{}
	}
	for _, reason := range m.Reasons {
		if all, ok := reason.(interface {
			See(nodes []Node, now time.Time)
		}); ok {
			all.See(c.Nodes, now)
		}
	}
	var waiting []candidate
	for _, n := range c.Nodes {
		r.sizes[n.Group.Name]++
		if due, waits := r.look(n, undue[n.Name]); waits {
			waiting = append(waiting, due)
		}
	}
	for _, n := range c.Starting {
		r.conforms(n)
	}
	slices.SortFunc(waiting, func(a, b candidate) int {
		return cmp.Or(truth(b.moves())-truth(a.moves()), slices.Index(reasons, a.reason)-slices.Index(reasons, b.reason),
			truth(b.IgnoresWishes)-truth(a.IgnoresWishes), a.state.Began.Compare(b.state.Began), // the last try is longest ago, or was none
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	for _, due := range waiting {
		hold, message := r.held(due)
		s := due.state
		s.Why, s.Reason = due.Why, due.reason
		if hold != "" {
			r.hold(due.Node, due.Why, due.reason, hold, message)
			if !due.moves() {
				continue
			}
			s = s.Held(now)
		} else if !due.moves() {
			s.Step, s.Began, s.Retry = Placing, now, time.Time{}
			if due.Reboot {
				s.Step, s.Boot = Rebooting, due.Status.NodeInfo.BootID
			}
			if s.Since.IsZero() {
				s.Since = now
			}
		}
		r.decision.Changes = append(r.decision.Changes, Change{due.Node, &s})
		if hold == "" {
			r.moves(due.Node, s)
		}
	}
	return r.decision
}

// Idle reports whether the machine has nothing to look for. A schedule needs a group with a surplus.
func (m *Machine) Idle(groups []*group.Group) bool {
	return !slices.ContainsFunc(m.Reasons, func(r Reason) bool { return r.Name() != Schedule || slices.ContainsFunc(groups, lowers) })
}

// due returns the first reason for which the node is to be replaced, or the one for which AWS ends it, and its name, "" for none. A repair stays
// one: its windows and budgets hold, but no pod keeps the node by its wish, and it waits for no next try.
func (m *Machine) due(n Node, now time.Time) (first Why, name string) {
	for _, reason := range m.Reasons {
		why, due := reason.Due(n, now)
		if due && (name == "" || why.Ends && !first.Ends && name != Repair) {
			first, name = why, reason.Name()
		} else if due && why.Ends {
			first.Ends, first.IgnoresWishes = true, true
		}
	}
	return first, name
}

// look sorts a node: it conforms, it moves, it is to move for something else, it has waited for its next try, or it waits for its first. Its
// reason has been gone since undue.
func (r *round) look(n Node, undue time.Time) (due candidate, waits bool) {
	why, name := r.due(n, r.now)
	s, begun := StateOf(n.Node)
	if name == "" || name == Repair {
		r.conforms(n)
	}
	if s.Step == Rebooting {
		r.reboots(n, s, name == s.Reason, undue)
		return due, false
	}
	if name == "" {
		switch {
		case !begun:
		case n.Leaving && !n.Instance.Lifecycle.Counts(): // it is gone
		case n.Leaving, s.Reason == Repair && r.decision.Held[n.Name].Hold == HeldSick: // which is still due, and is stopped
			if s.Step == Placing {
				r.moves(n, s)
			}
		default:
			r.ending(n, s, undue)
		}
		return due, false
	}
	if s.Since.IsZero() && begun { // somebody has spoilt it
		s.Since = r.now
	}
	other := s.Reason != name
	anew := begun && (other || s.Target != why.Target)
	if anew { // other tries count no more
		s.Failures, s.Retry = 0, time.Time{}
	}
	if why.Ends && !s.Ends { // AWS does not wait for its next try
		s.Retry = time.Time{}
	}
	why.IgnoresWishes = why.IgnoresWishes || begun && name != Consolidation && r.MaxWait > 0 && r.now.Sub(s.Since) >= r.MaxWait
	r.failures[target{n.Group.Name, name, why.Target}] += s.Failures
	if !begun || s.Step != Placing {
		return candidate{n, why, s, name}, !r.now.Before(s.Retry)
	}
	// The node that was launched for an earlier target takes the pods, and is of no use otherwise. Deployments would be restarted again.
	if anew && (other || s.Launches == 0) && name != Repair && !why.Ends && !n.Leaving && s.Restarted.IsZero() {
		return candidate{n, why, s, name}, true
	}
	before := s
	s.Why, s.Reason = why, name
	if before != s {
		r.decision.Changes = append(r.decision.Changes, Change{n, &s})
	}
	r.moves(n, s)
	if n.Leaving { // nothing holds a drain any more
		return due, false
	}
	hold, message := r.shut(n.Group, name, why.Ends)
	if hold == "" && name != Repair && !why.Ends && s.Restarted.IsZero() { // a restart is a rollout of its own
		hold, message = r.unsettled(n)
	}
	if hold != "" {
		r.hold(n, why, name, hold, message)
	}
	return due, false
}

// reboots ends the wait for a reboot. Until EC2 is asked for it, it is taken back if a window or a budget lets no node move, if its node is
// no longer due, or if too many others are.
func (r *round) reboots(n Node, s State, due bool, undue time.Time) {
	r.moves(n, s)
	if back := !s.AwaitsReboot(n.Node); back || r.now.Sub(s.Began).Abs() >= RebootTime {
		s.Step, s.Began = Rebooted, time.Time{}
		if back {
			s.Began = r.now
		}
		r.decision.Changes = append(r.decision.Changes, Change{n, &s})
		return
	}
	hold, message := r.shut(n.Group, s.Reason, false)
	switch {
	case n.Leaving, due && hold == "":
		delete(r.decision.Held, n.Name) // it may prove nothing, and is not held
		return
	case hold != "":
		r.hold(n, s.Why, s.Reason, hold, message)
	default:
		r.conforms(n)
	}
	if r.decision.Held[n.Name].Hold != "" {
		s = s.Held(r.now)
		r.decision.Changes = append(r.decision.Changes, Change{n, &s})
		return
	}
	r.ending(n, s, undue)
}

// conforms enters a node that is as its group launches them now. If it does not work, or somebody has cordoned it, it proves nothing.
func (r *round) conforms(n Node) {
	for _, reason := range r.Reasons {
		if stops, ok := reason.(interface{ Stopped(n Node) string }); ok && stops.Stopped(n) != "" {
			r.hold(n, Why{Cause: "it does not work"}, reason.Name(), HeldSick, stops.Stopped(n))
		}
		if reason.Name() == Repair {
			continue
		}
		if _, due := reason.Due(n, r.now); due || !reason.Judged(n) {
			return
		}
	}
	if n.Instance.Lifecycle == "InService" && (n.Cordoned || !r.LeftAlone(n)) {
		r.conforming[n.Group.Name] = append(r.conforming[n.Group.Name], n)
	}
}

// ending ends a move whose reason has been gone for long enough, and could be seen meanwhile. Until then the node is not drained.
func (r *round) ending(n Node, s State, undue time.Time) {
	unread := func(reason Reason) bool {
		reads, ok := reason.(interface {
			Unread(n Node, target string) bool
		})
		return ok && reason.Name() == s.Reason && s.Target != "" && reads.Unread(n, s.Target)
	}
	cause := "its reason seems to be gone"
	if slices.ContainsFunc(r.Reasons, unread) {
		undue, cause = r.now, "what its group launches, or the image of its instance, cannot be read"
	} else if undue.IsZero() {
		undue = r.now
	}
	rebooted := s.Step == Rebooted && r.now.Sub(s.Began) < rebootedFor
	if rebooted {
		cause = "it works since its reboot, and is replaced if that does not last for " + rebootedFor.String()
	} else if r.now.Sub(undue) >= sure {
		r.decision.Changes = append(r.decision.Changes, Change{Node: n})
		return
	}
	r.undue[n.Name] = undue
	if s.Step == Placing {
		r.moves(n, s)
	}
	r.hold(n, s.Why, s.Reason, HeldUnsure, cause)
}

func (r *round) moves(n Node, s State) {
	if r.inGroup[n.Group.Name] == nil {
		r.inGroup[n.Group.Name] = map[string]int{}
	}
	for _, reason := range []string{"", s.Reason} {
		r.moving[reason]++
		r.inGroup[n.Group.Name][reason]++
	}
	r.to[target{n.Group.Name, s.Reason, s.Target}]++
	for _, pod := range r.leaving(n) {
		if of := workload(pod); of != "" {
			r.workloads[of] = n.Name
		}
	}
}

// leaving returns the pods that a drain of the node moves.
func (r *round) leaving(n Node) []*corev1.Pod {
	return slices.DeleteFunc(n.Pods(), func(p *corev1.Pod) bool { return !drain.Moves(p, r.now) })
}

// workload names what a pod belongs to: its Deployment, or else its controller. It is "" for a pod without one.
func workload(pod *corev1.Pod) string {
	if _, name := nodemeta.Owner(pod); name != "" {
		return pod.Namespace + "/" + name
	}
	return ""
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
