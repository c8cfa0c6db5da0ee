package shadow

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

const (
	// settle is how long a comparison goes on after the last event, because the leader may raise again for pods that its first nodes left over.
	settle = 30 * time.Second
	// patience bounds the wait for the leader, and a comparison. One that has not acted by then has another opinion.
	patience = 15 * time.Minute

	mostDays, mostComparisons = 14, 100
)

// Shadow is the last PodListProcessor but for podlist.Ahead and observers, and the plan of the scale-up. It takes removals from the
// decisions of the last loop. The core's loop alone uses it, but for NodeHandler and Report.
type Shadow struct {
	Options
	again    bool              // the next scale-up decides for all pods, which a loop may leave out
	groups   *group.Snapshot   // the last reading
	decided  []plan.Node       // for pods that wait
	searches []decision.Search // of the last loop with any
	result   decision.Reason   // of the last loop

	mu     sync.Mutex
	pods   map[types.UID]*waiting   // that need a node
	round  *round                   // the comparison under way, or nil
	nodes  map[string]decision.Node // with the time at which they would be removed
	report decision.Shadow
}

type Options struct {
	Provider *aws.Provider           // which asks AWS for no node from now on
	Pods     corelisters.PodLister   // of the cluster
	Last     func() *decision.Report // of the last loop
	Refused  func() int              // writes
	Clock    clock.PassiveClock
}

type waiting struct {
	pod            types.NamespacedName
	created, asked time.Time // asked is when the shadow first decided, zero before
	group          string    // in which it did
	planned        bool      // on a node of the last decision
	delayed        bool      // the last loop did not look for a node for it

	raise  [2]time.Time // the two readings between which the leader's raise for it happened, zero for none
	raised string       // the group of the raise
}

// round is a comparison under way.
type round struct {
	decision.Comparison
	last   time.Time                 // event
	prices map[string]pricing.Amount // of a node, by group, at the first one: the leader's raise changes the next one's
}

func New(o Options) *Shadow {
	o.Provider.Pretended = map[string]int{}
	return &Shadow{Options: o, groups: group.NewSnapshot(nil, nil, time.Time{})}
}

// Process notes what the leader did, and keeps the pods back for which nodes were decided. If there is a new pod, it keeps none back.
func (s *Shadow) Process(_ *cacontext.AutoscalingContext, all []*corev1.Pod) (list []*corev1.Pod, err error) {
	last := s.Last() // which asks for our Report
	s.mu.Lock()
	defer s.mu.Unlock()
	now, before := s.Clock.Now(), s.pods
	s.look(last.Nodes, now)
	if s.result = last.Loop.Result; len(last.Searches) > 0 {
		s.searches = last.Searches
	}
	for _, p := range last.Pods {
		if w := before[types.UID(p.UID)]; w != nil {
			w.delayed = p.State == decision.PodDelayed
		}
	}
	s.pods = make(map[types.UID]*waiting, len(all))
	for _, pod := range all {
		if s.pods[pod.UID] = before[pod.UID]; before[pod.UID] == nil {
			s.pods[pod.UID], s.again = &waiting{pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, created: pod.CreationTimestamp.Time}, true
		}
	}
	s.decided = slices.DeleteFunc(s.decided, func(n plan.Node) bool {
		return !slices.ContainsFunc(n.Pods, func(pod *corev1.Pod) bool { return s.pods[pod.UID] != nil })
	})
	s.read(before, now)
	for uid, w := range before {
		if s.pods[uid] == nil && w.late() {
			w.asked = now // at the earliest
			s.opened(now, now).Pods++
		}
		if s.pods[uid] == nil && s.waits(uid, w) {
			s.pods[uid] = w // it has room on a node that starts, and may have none in the next loop
		}
		if r := s.round; s.pods[uid] == nil && r != nil && !w.asked.IsZero() {
			r.last = now
			r.served(w)
		}
	}
	s.end(now)
	for _, pod := range all {
		if w := s.pods[pod.UID]; s.again || !w.planned {
			w.planned, list = false, append(list, pod)
		}
	}
	if !s.again { // which would decide for these nodes anew
		for _, n := range s.decided {
			s.Provider.Pretend(n.Group, 1)
		}
	}
	return list, nil
}

// waits reports whether the pod has no node yet.
func (s *Shadow) waits(uid types.UID, w *waiting) bool {
	pod, err := s.Pods.Pods(w.pod.Namespace).Get(w.pod.Name)
	return err == nil && pod.UID == uid && pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil
}

func (s *Shadow) CleanUp() {}

// Asked ends a scale-up. Its pods wait from now on. A decision about all pods replaces the ones before, whose nodes have been counted.
func (s *Shadow) Asked(nodes ...plan.Node) {
	s.Provider.PretendNone()
	s.mu.Lock()
	defer s.mu.Unlock()
	now, grown := s.Clock.Now(), map[string]int{}
	if s.again {
		for _, n := range s.decided {
			grown[s.Provider.GroupName(n.Group)]--
		}
		s.again, s.decided = false, nil
	}
	for _, n := range nodes {
		name := s.Provider.GroupName(n.Group)
		for at, pod := range n.Pods {
			if at == 0 {
				grown[name]++
			}
			if w := s.pods[pod.UID]; w != nil {
				if w.planned = true; w.asked.IsZero() {
					w.asked, w.group = now, name
					s.opened(now, now).Pods++
				}
			}
		}
	}
	s.decided = append(s.decided, nodes...)
	for name, more := range grown {
		if s.round != nil {
			s.priced(name, decision.Sides[int]{Shadow: more})
		}
	}
}

// opened returns the comparison that an event belongs to. The caller holds mu, as for all below but the observers.
func (s *Shadow) opened(from, now time.Time) *round {
	if s.round == nil {
		s.round = &round{Comparison: decision.Comparison{From: from, Causes: map[string]decision.Reason{}}, prices: map[string]pricing.Amount{}}
	}
	s.round.last = now
	return s.round
}

// priced adds nodes to the comparison under way, at one price for both sides.
func (s *Shadow) priced(name string, nodes decision.Sides[int]) {
	price, met := s.round.prices[name]
	if !met {
		price.Estimated = true
		if g := s.Provider.View().AutoScalingGroup(name); g != nil {
			cost, known := s.Provider.Costs().Pricer().Next(g, 1)
			price = cost.Amount
			price.Estimated = price.Estimated || !known
			s.round.prices[name] = price
		}
	}
	s.round.Add(decision.Compare(name, nodes, price.PerHour, price.Estimated))
}

// read notes what the leader has asked for since the last Snapshot: all growth is its.
func (s *Shadow) read(waited map[types.UID]*waiting, now time.Time) {
	before := s.groups
	s.groups = s.Provider.View().Snapshot()
	for _, g := range s.groups.Groups() {
		was := before.Group(g.Name)
		if was == nil {
			continue
		}
		grown := min(g.Held()-was.Held(), g.DesiredCapacity-was.DesiredCapacity)
		if grown <= 0 {
			s.lowered(was, g)
			continue
		}
		nodes := decision.Sides[int]{Leader: g.InstancesFor(grown)}
		asked, late := false, false
		for _, pods := range []map[types.UID]*waiting{waited, s.pods} {
			for _, w := range pods {
				if w.sees(g.Name, was.ReadAt, g.ReadAt) {
					asked, late = asked || !w.asked.IsZero(), late || w.late()
				}
			}
		}
		if late && !asked { // nobody knows what the shadow would have asked for
			nodes.Shadow = nodes.Leader
		}
		r := s.opened(was.ReadAt, now)
		r.Causes[g.Name] = s.answer(g.Name)
		s.priced(g.Name, nodes)
	}
}

// lowered takes back what the leader raised in vain: AWS has launched nothing for it, and no instance goes.
func (s *Shadow) lowered(was, g *group.Group) {
	if s.round == nil {
		return
	}
	vain := was.InstancesFor(was.DesiredCapacity - g.DesiredCapacity - g.EndedSince(was))
	if back := min(vain, was.Missing(), s.round.Groups[g.Name].Leader); back > 0 {
		s.priced(g.Name, decision.Sides[int]{Leader: -back})
	}
}

// sees takes a raise of the leader for the one for the pod: the first that can be, and the first in the shadow's group rather than in another.
func (w *waiting) sees(group string, from, to time.Time) bool {
	if to.Before(w.created) || w.raised != "" && (w.raised == w.group || group != w.group) {
		return false
	}
	w.raise, w.raised = [2]time.Time{from, to}, group
	return true
}

// late reports whether the leader raised a group for the pod before the shadow looked for a node.
func (w *waiting) late() bool { return w.delayed && w.asked.IsZero() && w.raised != "" }

// answer is why the shadow did not choose the group when it decided last.
func (s *Shadow) answer(autoScalingGroup string) decision.Reason {
	for _, search := range s.searches {
		for _, a := range search.Answers {
			if a.Verdict != decision.Chosen && s.Provider.GroupName(a.Group) == autoScalingGroup {
				return a.Reason
			}
		}
	}
	return s.result
}

// served ends the waiting of a pod, which may have begun before the round. Without a raise for it the pod is gone, or found room. Between the two
// readings nobody knows who was sooner.
func (r *round) served(w *waiting) {
	if w.raised != "" && w.raise[0].Sub(w.asked) < patience {
		r.Both++
		r.Sooner += max(0, w.raise[0].Sub(w.asked)).Seconds() + min(0, w.raise[1].Sub(w.asked)).Seconds()
	}
}

// end ends the comparison once it has settled, and the leader has acted or will not. One that goes on for long ends under way, and the next event
// begins another.
func (s *Shadow) end(now time.Time) {
	r := s.round
	open := func(w *waiting) bool { return !w.asked.IsZero() && now.Sub(w.asked) < patience }
	if r == nil || now.Sub(r.From) < patience && (now.Sub(r.last) < settle || slices.ContainsFunc(slices.Collect(maps.Values(s.pods)), open)) {
		return
	}
	maps.DeleteFunc(r.Causes, func(name string, _ decision.Reason) bool {
		return r.Groups[name].Shadow > 0 || r.Groups[name].Leader == 0
	})
	maps.DeleteFunc(r.Groups, func(_ string, nodes decision.Sides[int]) bool { return nodes == decision.Sides[int]{} })
	if s.round, s.searches = nil, nil; len(r.Groups) > 0 { // otherwise the pods found room on nodes of earlier decisions
		d := s.add(r.Comparison)
		d.Launches.Add(r.Comparison)
		if d.Times++; r.OtherGroups() {
			d.Other++
		}
	}
}

// add adds a comparison, and returns the sums of its day.
func (s *Shadow) add(c decision.Comparison) *decision.ShadowDay {
	name, r := c.From.UTC().Format(time.DateOnly), &s.report
	r.Comparisons = append(r.Comparisons[max(0, len(r.Comparisons)-mostComparisons+1):], c)
	is := func(d decision.ShadowDay) bool { return d.Day == name }
	if !slices.ContainsFunc(r.Days, is) {
		r.Days = append(r.Days[max(0, len(r.Days)-mostDays+1):], decision.ShadowDay{Day: name})
		slices.SortFunc(r.Days, func(a, b decision.ShadowDay) int { return strings.Compare(a.Day, b.Day) }) // it may have begun the day before
	}
	return &r.Days[slices.IndexFunc(r.Days, is)]
}

// look notes which nodes the last loop would have removed, and when. If such a node is needed again, the leader alone kept it. Where a minimum
// keeps it, another may go in its place, since then: the core takes any of a group.
func (s *Shadow) look(nodes []decision.Node, now time.Time) {
	before, since, others := s.nodes, map[string][]time.Time{}, map[string]bool{} // by Auto Scaling group
	s.nodes = make(map[string]decision.Node, len(nodes))
	for _, n := range nodes {
		whole := s.Provider.GroupName(n.Group)
		if was := before[n.Name]; goes(was) && n.Reason.Code == decision.CodeMinSize {
			since[whole] = append(since[whole], was.RemovalAt)
		}
		others[whole] = others[whole] || goes(n) && !goes(before[n.Name]) || n.State.Goes()
	}
	for _, n := range nodes {
		was, whole := before[n.Name], s.Provider.GroupName(n.Group)
		switch {
		case n.State.Goes():
			n = was // NodeHandler may see it later
		case goes(was) && !slices.Contains(needs, n.Reason.Code):
			n = was // it would be gone
		case goes(n):
			displaced := append(since[whole], now)
			n.RemovalAt, since[whole] = displaced[0], displaced[1:]
		case goes(was) && n.Reason.Code != decision.CodeMinQuota && !(n.Reason.Code == decision.CodeMinSize && others[whole]):
			s.removed(was, decision.Sides[int]{Shadow: 1}, now.Sub(was.RemovalAt))
		}
		s.nodes[n.Name] = n
	}
}

// needs are the causes that keep a node for its pods or for a minimum, and not only because nothing is removed for a while.
var needs = []decision.Code{decision.CodeNeeded, decision.CodeNoPlace, decision.CodePod, decision.CodeMinSize, decision.CodeMinQuota, decision.CodeAnnotation}

// goes reports whether nothing keeps a node any longer.
func goes(n decision.Node) bool {
	return n.State == decision.NodeUnneeded && n.Reason.Code == decision.CodeUnneeded
}

// NodeHandler sees which nodes the leader removes: the core's taint begins that.
func (s *Shadow) NodeHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: func(before, now any) {
		node := now.(*corev1.Node)
		if !taints.HasToBeDeletedTaint(node) || taints.HasToBeDeletedTaint(before.(*corev1.Node)) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		n, by := s.nodes[node.Name], decision.Sides[int]{Leader: 1}
		delete(s.nodes, node.Name)
		if n.Reason.Code == decision.CodeMinSize {
			for name, other := range s.nodes {
				if goes(other) && s.Provider.GroupName(other.Group) == s.Provider.GroupName(n.Group) {
					s.nodes[name] = decision.Node{Name: name, Group: other.Group, PerHour: other.PerHour, About: other.About, State: n.State, Reason: n.Reason}
					n.State, n.Reason, n.RemovalAt = other.State, other.Reason, other.RemovalAt
					break
				}
			}
		}
		sooner := s.Clock.Since(n.RemovalAt)
		if n.State == decision.NodeUnneeded {
			by.Shadow = 1
		}
		if !goes(n) {
			sooner = min(0, sooner)
		}
		s.removed(n, by, sooner)
	}}
}

// removed adds a removal by one or both of the two. Nodes of no group are nobody's concern.
func (s *Shadow) removed(n decision.Node, by decision.Sides[int], sooner time.Duration) {
	if n.Group == "" {
		return
	}
	c := decision.Compare(s.Provider.GroupName(n.Group), by, n.PerHour, n.About)
	c.From, c.Node, c.Both, c.Sooner = s.Clock.Now(), n.Name, by.Shadow*by.Leader, sooner.Seconds()*float64(by.Shadow)
	if by.Shadow == 0 {
		c.Causes = map[string]decision.Reason{s.Provider.GroupName(n.Group): n.Reason}
	}
	s.add(c).Removals.Add(c)
}

func (s *Shadow) Report() *decision.Shadow {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.report
	r.Refused, r.Days, r.Comparisons = s.Refused(), slices.Clone(r.Days), slices.Clone(r.Comparisons)
	for _, w := range s.pods {
		if !w.asked.IsZero() {
			r.Waiting++
		}
	}
	return &r
}
