package scaledown

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// Count takes the pods without another place off their nodes in the snapshot. These nodes take no pod meanwhile. It returns the pods. Pods
// of a consolidation that it puts on their planned places are left out. pending are the pods that wait for a node. hurry are pods of nodes which
// AWS takes in a moment.
func (m *Moves) Count(ctx *cacontext.AutoscalingContext, pending, hurry []*corev1.Pod) (pods []*corev1.Pod) {
	m.before, m.hurry = m.hopeless, hurry
	first := m.comeFirst(ctx, pending)
	m.emptied, m.owners, m.waiting, m.hopeless, m.only = snapshot.Emptied{}, map[types.UID]string{}, slices.Clone(pending), map[types.UID]bool{}, nil
	m.roomless, m.unplaced, m.registry = map[string]bool{}, map[string]bool{}, ctx.ClusterStateRegistry
	p, consolidating := m.consolidate.Plan, "" // a node
	for _, name := range slices.Sorted(maps.Keys(m.placeless)) {
		if info, err := ctx.ClusterSnapshot.GetNodeInfo(name); err == nil {
			m.roomless[name] = m.rests(info.Node())
			if m.roomless[name] || m.stuck(info.Node(), m.states[name]) != "" {
				continue
			}
		}
		if m.states[name].Reason == move.Consolidation {
			if first || p == nil || !slices.Contains(p.Nodes, name) { // pods that wait come first, and a move without its plan ends
				continue
			}
			consolidating = name
		}
		pods = append(pods, m.take(ctx, name, name, false)...)
	}
	if consolidating == "" {
		return pods
	}
	for _, name := range p.Nodes { // pods move once, and not to another node that goes
		owner := consolidating
		if m.states[name].Reason == move.Consolidation { // each of them waits for the new node, and needs it
			owner = name
		}
		if m.emptied.Nodes[name] == nil {
			pods = append(pods, m.take(ctx, name, owner, p.New == 0)...)
		}
	}
	return m.seated(ctx, pods, p)
}

// take closes a node in the snapshot, and takes its pods off unless they stay. They count for an owner: that node, or another one of the same plan.
func (m *Moves) take(ctx *cacontext.AutoscalingContext, name, owner string, stay bool) (pods []*corev1.Pod) {
	info, err := ctx.ClusterSnapshot.GetNodeInfo(name)
	if err != nil || beingDrained(info.Node()) { // the core or the interruption counts the pods of such a node
		return nil
	}
	var moved []*corev1.Pod
	if !stay {
		moved = snapshot.ToPlace(info)
	}
	if at := m.states[name].Restarted; !at.IsZero() && m.Clock.Since(at) < move.RestartTime { // new pods come for these, and count themselves
		moved = slices.DeleteFunc(moved, func(p *corev1.Pod) bool { return len(move.Deployments([]*corev1.Pod{p})) > 0 })
	}
	pods = m.emptied.Take(ctx.ClusterSnapshot, info, moved)
	for _, p := range pods {
		m.owners[p.UID] = owner
		nodemeta.Moved.Mark(p)
	}
	return pods
}

// seated puts pods of a consolidation where its plan has them, and returns the others, for which its new node comes. The core alone would give the
// places of pods that may not run on the new node to pods that may.
func (m *Moves) seated(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod, p *move.Plan) []*corev1.Pod {
	if p.New == 0 {
		return pods
	}
	stay := slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return !m.consolidates(pod) || p.IsNew(pod) })
	p.Sort(stay)
	placed, err := snapshot.Place(ctx.ClusterSnapshot, stay, snapshot.Nodes{First: p.On}) // pending pods have other room first
	if err != nil {
		klog.ErrorS(err, "Could not put the pods of a consolidation where its plan has them", "nodes", p.Nodes)
	}
	return slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return placed[pod] != "" })
}

// Admit returns the pods for which the core may scale up. The pods of a consolidation wait while others do, or if no node or none more is to be
// launched for them. Others that no group helps take turns with them, and each turn that is of no use to them. Pods that only the core has made
// wait meanwhile, because the plan has places for them. A consolidation ends if they alone need a node before one was launched.
func (m *Moves) Admit(pods []*corev1.Pod) []*corev1.Pod {
	var own, others []*corev1.Pod
	need := map[string]bool{} // nodes whose own pods need another one
	for _, p := range pods {
		need[m.owners[p.UID]] = true
		switch {
		case m.consolidates(p):
			own = append(own, p)
		case !podlist.IsFake(p):
			others = append(others, p)
		}
	}
	hopeless := !slices.ContainsFunc(others, func(p *corev1.Pod) bool { return !m.before[p.UID] })
	m.theirs = len(own) > 0 && len(others) > 0 && !(hopeless && m.theirs)
	launched := m.consolidate.Launched
	fakes := len(own)+len(others) < len(pods) // which may have been on the emptied nodes
	for name := range m.emptied.Nodes {
		s := m.states[name]
		dear := s.Reason == move.Consolidation
		if !fakes || need[name] || s.Launches > 0 && !m.refused(s.Replacement) || dear && (len(own) > 0 || launched) {
			continue
		}
		m.roomless[name], m.unplaced[name] = true, true
		if dear {
			pods = others
		}
	}
	switch {
	case len(own) == 0:
		return pods
	case m.theirs:
		return others
	}
	none, only := launched || m.consolidate.Stays, map[string]int{}
	own = slices.DeleteFunc(own, func(p *corev1.Pod) bool {
		node := m.owners[p.UID]
		g := m.Provider.View().Group(m.states[node].Into)
		if g == nil || none {
			m.roomless[node] = true
			return true
		}
		only[m.states[node].Into] = g.TargetInstances() + 1
		return false
	})
	if len(own) == 0 {
		return others
	}
	m.only = only
	for _, p := range others { // they have their turn in the next loop
		m.hopeless[p.UID] = true
	}
	return own
}

// consolidates reports whether Count took the pod off a node that is to go for its price.
func (m *Moves) consolidates(p *corev1.Pod) bool {
	return m.states[m.owners[p.UID]].Reason == move.Consolidation
}

// comeFirst reports whether a pod is in a hurry, or waits for a node that the core may launch and has not waited for longer than move.PodHoldsFor. In
// a busy cluster pods whose node was asked for wait at any time. They count only where an old pod may wait for them.
func (m *Moves) comeFirst(ctx *cacontext.AutoscalingContext, pending []*corev1.Pod) bool {
	now := m.Clock.Now()
	restarted := false
	for _, s := range m.states {
		restarted = restarted || !s.Restarted.IsZero()
	}
	unplanned := func(p *corev1.Pod) bool {
		return !m.Planned(p.UID) || restarted && len(move.Deployments([]*corev1.Pod{p})) > 0
	}
	return slices.ContainsFunc(m.hurry, unplanned) || slices.ContainsFunc(pending, func(p *corev1.Pod) bool {
		return unplanned(p) && !m.hopeless[p.UID] && now.Sub(p.CreationTimestamp.Time) < move.PodHoldsFor && !podlist.LeftOut(ctx.AutoscalingOptions, p)
	})
}

// Bound returns the size up to which the node group may grow for the pods of this loop, false for the usual one.
func (m *Moves) Bound(nodeGroup string) (size int, bounded bool) {
	return m.only[nodeGroup], m.only != nil
}

// Process notes for which nodes the scale-up launches others, and which it does not help. Their pods run, so they get no event and leave the status.
// It belongs behind the processor that has groups divided for them.
func (m *Moves) Process(_ *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	if s.Result == corestatus.ScaleUpNotTried {
		return
	}
	s.PodsRemainUnschedulable = slices.DeleteFunc(s.PodsRemainUnschedulable, func(i corestatus.NoScaleUpInfo) bool {
		node, ours := m.owners[i.Pod.UID]
		if ours {
			m.roomless[node] = true
			none := s.Result == corestatus.ScaleUpNoOptionsAvailable && !m.Provider.TooOldToAdd() // such as at a limit of CPUs
			if none && m.consolidates(i.Pod) && m.consolidate.Plan.IsNew(i.Pod) {
				m.consolidate.Refuse(m.states[node].Into, m.Clock.Now())
			}
		} else {
			m.hopeless[i.Pod.UID] = true
		}
		return ours
	})
	if s.Result != corestatus.ScaleUpSuccessful {
		return
	}
	asked := map[string]bool{}
	for _, raise := range m.Raises(s) {
		for _, pod := range raise.PodsTriggeredScaleUp {
			if node, ours := m.owners[pod.UID]; ours && len(raise.ScaleUpInfos) > 0 && !asked[node] {
				asked[node] = true
				m.launched(node, raise.ScaleUpInfos[0].Group.Id())
			}
			if podlist.IsFake(pod) && len(raise.ScaleUpInfos) > 0 {
				for node := range m.unplaced {
					delete(m.unplaced, node)
					delete(m.roomless, node)
					m.launched(node, raise.ScaleUpInfos[0].Group.Id())
				}
			}
		}
	}
}

func (*Moves) CleanUp() {}

// wanted returns the number of pods that the pod's controller is to have, 0 for a controller of another kind.
func wanted(ctx *cacontext.AutoscalingContext, p *corev1.Pod) int {
	var replicas *int32
	switch c := metav1.GetControllerOfNoCopy(p); c.Kind {
	case "ReplicaSet":
		if set, err := ctx.ReplicaSetLister().ReplicaSets(p.Namespace).Get(c.Name); err == nil {
			replicas = set.Spec.Replicas
		}
	case "StatefulSet":
		if set, err := ctx.StatefulSetLister().StatefulSets(p.Namespace).Get(c.Name); err == nil {
			replicas = set.Spec.Replicas
		}
	case "ReplicationController":
		if rc, err := ctx.ReplicationControllerLister().ReplicationControllers(p.Namespace).Get(c.Name); err == nil {
			replicas = rc.Spec.Replicas
		}
	}
	return int(ptr.Deref(replicas, 0))
}

// launched notes that a node was asked for in the place of another.
func (m *Moves) launched(node, group string) {
	state, moves := m.states[node]
	if !moves {
		return
	}
	if state.Reason == move.Consolidation {
		m.consolidate.Launched = true
	}
	if state.Launches == 0 || !m.refused(state.Replacement) { // otherwise AWS has refused the one before
		state.Launches++
	}
	state.Replacement = group
	delete(m.blocked, node)
	m.set(node, &state)
	klog.V(0).InfoS("Asked for the replacement of a node", "node", node, "reason", state.Reason, "nodeGroup", group)
}
