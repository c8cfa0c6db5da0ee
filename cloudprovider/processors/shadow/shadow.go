package shadow

import (
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// Shadow is the last PodListProcessor but for observers, and the plan of the scale-up. It also observes the core's candidates for scale-down. The
// core's loop alone uses it, but for NodeHandler, Watches and Report.
type Shadow struct {
	provider *aws.Provider
	nodes    corelisters.NodeLister
	refused  func() int                                                      // writes
	price    func(autoScalingGroup string) (perHour float64, estimated bool) // of its next node
	clock    clock.PassiveClock
	decided  []plan.Node // and not asked for by the leader yet

	mu       sync.Mutex
	groups   map[string]*group.Group // as of the last reading
	asks     map[types.UID]*ask      // by waiting pod
	round    *round                  // the comparison under way, or nil
	unneeded map[string]time.Time    // nodes that the shadow does not need, and when it would remove them
	removing map[string]time.Time    // nodes that the shadow would have removed, and since when
	report   decision.Shadow         // with the oldest first
}

var _ pods.PodListProcessor = (*Shadow)(nil)

// New makes a Shadow of a provider, which asks AWS for no node from now on. The function counts writes that were refused.
func New(p *aws.Provider, nodes corelisters.NodeLister, refused func() int, c clock.PassiveClock) *Shadow {
	p.Pretended = map[string]int{}
	s := &Shadow{provider: p, nodes: nodes, refused: refused, clock: c, asks: map[types.UID]*ask{}, removing: map[string]time.Time{}}
	s.price = func(name string) (float64, bool) {
		g, costs := p.View().AutoScalingGroup(name), p.Costs()
		if g == nil || costs == nil {
			return 0, true
		}
		cost, known := costs.Pricer().Next(g, 1)
		return cost.Amount.PerHour, cost.Amount.Estimated || !known
	}
	return s
}

// Process notes what the leader did, and keeps the pods back for which a node was decided.
func (s *Shadow) Process(_ *cacontext.AutoscalingContext, all []*corev1.Pod) (anew []*corev1.Pod, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, pending := s.clock.Now(), make(map[types.UID]*corev1.Pod, len(all))
	for _, pod := range all {
		pending[pod.UID] = pod
	}
	s.read(s.provider.View().Snapshot(), now)
	s.note(func(uid types.UID) bool { return pending[uid] != nil }, now)
	for _, pod := range all {
		if s.asks[pod.UID] == nil {
			anew = append(anew, pod)
		}
	}
	for at := range s.decided {
		s.decided[at].Pods = s.decided[at].Waiting(pending)
	}
	s.decided = slices.DeleteFunc(s.decided, func(n plan.Node) bool { return len(n.Pods) == 0 })
	clear(s.provider.Pretended)
	return anew, nil
}

// CleanUp implements the core's PodListProcessor.
func (s *Shadow) CleanUp() {}

// Earlier begins a scale-up. It returns the nodes of decisions that the leader has not made, which take pods before others are decided.
func (s *Shadow) Earlier() []plan.Node {
	clear(s.provider.Pretended)
	for _, n := range s.decided {
		s.provider.Pretended[n.Group]++
	}
	return s.decided
}

// Asked ends a scale-up. It receives the nodes of earlier decisions, and the new ones. Their pods wait from now on.
func (s *Shadow) Asked(nodes ...plan.Node) {
	clear(s.provider.Pretended)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	a, planned := &ask{at: now, groups: map[string]int{}}, map[types.UID]bool{}
	for at, n := range nodes {
		if n.Asked.IsZero() {
			nodes[at].Asked = now
			a.groups[s.provider.GroupName(n.Group)]++
		}
		for _, pod := range n.Pods {
			planned[pod.UID] = true
			if s.asks[pod.UID] != nil {
				continue
			}
			s.asks[pod.UID], a.pods = a, a.pods+1
			if pod.CreationTimestamp.After(a.since) {
				a.since = pod.CreationTimestamp.Time
			}
		}
	}
	for uid, earlier := range s.asks { // a pod whose node is decided no more is decided anew
		if !planned[uid] {
			delete(s.asks, uid)
			earlier.open--
		}
	}
	if s.decided, a.open = nodes, a.pods; a.pods > 0 {
		r := s.opened(now, now)
		r.Pods += a.pods
		for name, nodes := range a.groups {
			r.Shadow.Add(s.priced(name, nodes))
		}
	}
}

// Watches reports whether a group should be read often, because a comparison is under way. With many groups only those count that the shadow
// has chosen. A nil Shadow watches none.
func (s *Shadow) Watches(autoScalingGroup string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.round != nil && (len(s.groups) <= manyGroups || s.round.Shadow.Groups[autoScalingGroup] > 0)
}

// UpdateScaleDownCandidates notes the nodes that are not needed. If the
// shadow would have removed a node that is needed again, the leader alone kept it.
func (s *Shadow) UpdateScaleDownCandidates(nodes []*scaledown.UnneededNode, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.unneeded
	s.unneeded = make(map[string]time.Time, len(nodes))
	for _, n := range nodes {
		planned, known := before[n.Node.Name]
		if !known {
			planned = at.Add(n.RemovalThreshold)
		}
		s.unneeded[n.Node.Name] = planned
	}
	for name, since := range s.removing {
		if _, still := s.unneeded[name]; still {
			continue
		}
		delete(s.removing, name)
		if node, err := s.nodes.Get(name); err == nil && !taints.HasToBeDeletedTaint(node) {
			s.removed(s.removal(node, decision.RemovedByShadow, at.Sub(since)))
		}
	}
}

// Would notes the nodes that would be removed now.
func (s *Shadow) Would(nodes []simulator.NodeToBeRemoved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range nodes {
		if len(n.OnCompletionPods) == 0 && s.removing[n.Node.Name].IsZero() {
			s.removing[n.Node.Name] = s.clock.Now()
		}
	}
}

// NodeHandler sees which nodes the leader removes: the core's taint begins that.
func (s *Shadow) NodeHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{UpdateFunc: func(before, now any) {
		if was, is := before.(*corev1.Node), now.(*corev1.Node); taints.HasToBeDeletedTaint(is) && !taints.HasToBeDeletedTaint(was) {
			s.leaderRemoves(is)
		}
	}}
}

func (s *Shadow) leaderRemoves(node *corev1.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, removing := s.removing[node.Name]
	planned, unneeded := s.unneeded[node.Name]
	delete(s.removing, node.Name)
	switch now := s.clock.Now(); {
	case s.provider.NodeGroupOf(node) == nil: // of nobody's concern
	case removing:
		s.removed(s.removal(node, decision.RemovedByBoth, now.Sub(since)))
	case unneeded:
		s.removed(s.removal(node, decision.RemovedByBoth, min(0, now.Sub(planned))))
	default:
		s.removed(s.removal(node, decision.RemovedByLeader, 0))
	}
}

// removal has the facts about a node that one of the two removes now.
func (s *Shadow) removal(node *corev1.Node, by string, sooner time.Duration) decision.ShadowRemoval {
	r := decision.ShadowRemoval{At: s.clock.Now(), Node: node.Name, By: by, Seconds: sooner.Seconds()}
	if instance, g := s.provider.View().Instance(node); g != nil {
		spending, _ := s.provider.Spending()
		r.Group, r.PerHour = g.Name, spending.Instance(g, instance).PerHour
	}
	return r
}
