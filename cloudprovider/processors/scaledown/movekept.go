package scaledown

import (
	"errors"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

// keptByMinimum reports whether the planner keeps a node for its group's minimum size, or for the cluster's minimum of cores, memory or GPUs.
func keptByMinimum(k *scaledownstatus.UnremovableNode) bool {
	return k.Reason == simulator.NodeGroupMinSizeReached || k.Reason == simulator.MinimalResourceLimitExceeded
}

// kept notes why the planner keeps a node that is to be replaced.
func (m *Moves) kept(ctx *cacontext.AutoscalingContext, k *scaledownstatus.UnremovableNode) {
	name := k.Node.Name
	s, moves := m.states[name]
	consolidates, most := s.Reason == move.Consolidation, mostLaunches
	if consolidates {
		most = 1
	}
	// A pod that is to stay where it is for its spread has a place on a new node.
	noPlace := k.Reason == simulator.NoPlaceToMovePods && (k.BlockingPod == nil || !consolidates)
	atMinimum := keptByMinimum(k)
	grows := m.grows(k.Node) && !m.crowded(k.Node)
	if !consolidates && (noPlace && !(m.roomless[name] && s.Launches == 0) || atMinimum && grows) {
		delete(m.blocked, name)
	}
	refused := s.Launches > 0 && m.refused(s.Replacement) && !m.coming(ctx, s.Replacement)
	booked := noPlace && !s.IgnoresWishes && bookedOn(ctx, name)
	switch {
	case !moves:
	case k.Reason == simulator.NodeGroupMaxDeletionCountReached: // sharedMinimum keeps it until AWS can terminate again
		delete(m.blocked, name)
	case consolidates && !refused && (atMinimum || noPlace && m.roomless[name] && s.Launches > 0): // its node, if any, has come in vain
		if k.Reason == simulator.MinimalResourceLimitExceeded { // which plans do not know
			m.consolidate.Refuse(s.Into, m.Clock.Now())
		}
		m.postpone(name)
	case noPlace && consolidates && (m.roomless[name] || refused || booked): // no room at this price is no failure
		if refused {
			m.consolidate.Refuse(s.Replacement, m.Clock.Now())
		}
		if s.Restarted.IsZero() {
			m.Metrics.Ended(s.Reason, move.Cancelled)
		}
		m.rest(name)
	case booked: // nobody launches a node for these pods, so the move waits for the end of the booking
		delete(m.placeless, name)
		m.hold(name, move.HeldRoom, "a ProvisioningRequest has booked room on it")
	case (noPlace || atMinimum) && refused && m.neverCame(s.Replacement): // the next one may not come either
		m.postpone(name)
	case (noPlace || atMinimum) && refused: // it waits for a group that can
		if noPlace || !m.cools(s.Replacement) || !m.grows(k.Node) { // otherwise another zone may have capacity
			m.pause(k.Node)
		}
		s.Launches, s.Replacement = s.Launches-1, ""
		m.set(name, &s)
		if noPlace {
			m.placeless[name] = true
		}
	case noPlace && m.roomless[name] && s.Launches == 0 && !consolidates && m.lasts(m.blocked, name, blockedFor):
		m.postpone(name)
	case noPlace && m.roomless[name] && s.Launches > 0 && !m.coming(ctx, s.Replacement):
		m.hold(name, move.HeldRoom, "its new node has come, and not all of its pods fit")
		m.waits(name, s.InVain(m.Clock.Now()))
	case noPlace && m.coming(ctx, s.Replacement):
		m.placeless[name] = true
		m.hold(name, move.HeldStarting, starts)
	case noPlace && s.Launches < most:
		m.placeless[name] = true
		switch {
		case m.rests(k.Node):
			m.hold(name, move.HeldRoom, "AWS has refused a node for a move of its group, and is asked again later")
		case m.unplaced[name]:
			m.hold(name, move.HeldRoom, "room of a capacity buffer or of proactive scale-up is missing, and no node is launched for it yet")
		case m.roomless[name]:
			m.hold(name, move.HeldRoom, "no group can launch a node for its pods")
		}
	case noPlace:
		m.postpone(name)
	case asksRestart(k) && m.restarts(ctx, k.Node):
	case atMinimum && grows: // it goes later
	case m.lasts(m.blocked, name, blockedFor):
		m.postpone(name)
	}
}

// bookedOn reports whether a ProvisioningRequest has booked room on the node.
func bookedOn(ctx *cacontext.AutoscalingContext, node string) bool {
	info, err := ctx.ClusterSnapshot.GetNodeInfo(node)
	return err == nil && slices.ContainsFunc(snapshot.Pods(info), func(p *corev1.Pod) bool { return p.Spec.NodeName == "" && podlist.RequestOf(p) != "" })
}

// stuck says why a node cannot go because its group needs another one first, and cannot launch it for now. It is "" for a node that can.
func (m *Moves) stuck(n *corev1.Node, s move.State) string {
	_, g := m.Provider.View().Instance(n)
	if g == nil || s.Reason == move.Schedule || s.Reason == move.Consolidation || g.TargetInstances() > g.MinInstances() ||
		m.grows(n) && !m.crowded(n) {
		return ""
	}
	message := "its group is at its minimum size, and cannot launch another node now"
	if p := m.Provider.Paused(g, false); p.Up {
		cause, _ := p.Why(g.Name)
		message += ": it is paused" + cause
	} else if g.MaxSize <= g.MinSize {
		message += ": to mend it, give it a maximum size above its minimum"
	} else if m.crowded(n) {
		message += ": the cluster has all nodes that --max-nodes-total allows"
	}
	return message
}

// crowded reports whether nothing but --max-nodes-total keeps a node from another one in its place. A move that has launched a node waits for room.
func (m *Moves) crowded(n *corev1.Node) bool {
	return m.full && m.states[n.Name].Launches == 0 && m.grows(n)
}

// grows reports whether the group may have another node in a node's place.
func (m *Moves) grows(n *corev1.Node) bool {
	ng := successor(m.Provider, n, false)
	return ng != nil && roomOf(m.Provider, m.Provider.View().Group(ng.Id())) > 0 && !m.cools(ng.Id()) && !m.rests(n)
}

// pause notes that AWS has launched no node for a move of the group. The core removes no node for a while after each one that it asks for,
// whatever comes of that. So it asks for none meanwhile, and those nodes go whose pods have places.
func (m *Moves) pause(n *corev1.Node) {
	if _, g := m.Provider.InstanceOf(n); g != nil {
		m.refusals.Add(g.Name, move.FirstRefusal, m.Clock.Now())
	}
}

// rests reports whether a pause lasts, and no node is on its way that was asked for before. AWS does not wait where it ends the node.
func (m *Moves) rests(n *corev1.Node) bool {
	s := m.states[n.Name]
	_, g := m.Provider.InstanceOf(n)
	return g != nil && s.Replacement == "" && !s.Ends && s.Reason != move.Consolidation && m.refusals.Lasts(g.Name, m.Clock.Now())
}

// successor returns the node group that launches the node in the place of n, nil for none. It is its own. If the group launches no more in the
// node's zone, or nothing that is offered there, it is the smallest one of another zone that can grow. It also is while AWS lacks capacity in
// the zone, unless the node is for pods or the zone has a minimum of its own.
func successor(p *aws.Provider, n *corev1.Node, forPods bool) *aws.NodeGroup {
	view, own := p.View(), p.NodeGroupOf(n)
	if own == nil {
		return nil
	}
	g, whole := view.Group(own.Id()), view.AutoScalingGroup(own.AutoScalingGroup())
	if g == nil || g.Zone == "" || whole == nil {
		return own
	}
	limited := whole.ZoneLimits[g.Zone].MinSize >= g.DesiredCapacity // a node elsewhere does not lift this minimum
	if slices.Contains(whole.Zones, g.Zone) && !g.Blocked() && (forPods || limited || !p.Closed(g, g.Zone)) {
		return own
	}
	best, size := own, 0
	for _, other := range heirs(p, whole.Name) {
		g := view.Group(other.Id())
		if _, cools := p.CoolDown(g); !cools && g.Failure == nil && roomOf(p, g) > 0 && (best == own || g.TargetInstances() < size) {
			best, size = other, g.TargetInstances()
		}
	}
	return best
}

// roomOf returns how many more instances the group may have now.
func roomOf(p *aws.Provider, g *group.Group) int {
	if g.Blocked() || p.Paused(g, false).Up {
		return 0
	}
	return max(0, p.WithinCaps(g, g.MostInstances())-g.TargetInstances())
}

// heirs returns the node group, or the ones that its Auto Scaling group has in its place after a merge or a division.
func heirs(p *aws.Provider, id string) (all []*aws.NodeGroup) {
	own, whole := p.View().NodeGroup(id), p.GroupName(id)
	for _, ng := range p.NodeGroups() {
		if ng := ng.(*aws.NodeGroup); ng == own || own == nil && ng.AutoScalingGroup() == whole {
			all = append(all, ng)
		}
	}
	return all
}

// coming reports whether a node of the node group is on its way, in any zone if the group was divided or merged since.
func (m *Moves) coming(ctx *cacontext.AutoscalingContext, group string) bool {
	g, whole := m.Provider.View().Group(group), m.Provider.GroupName(group)
	its := func(name, zone string) bool { return name == whole && (g == nil || g.Zone == "" || zone == g.Zone) }
	return len(heirs(m.Provider, group)) > 0 && len(onTheWay(ctx, m.Provider, m.Clock.Now(), its)[whole]) > 0
}

// mayCome reports whether the node that was launched for a move may still come, after a try of that length.
func (m *Moves) mayCome(s move.State, tried time.Duration) bool {
	if its := heirs(m.Provider, s.Replacement); len(its) > 0 && s.Launches > 0 {
		most, err := m.registry.MaxNodeProvisionTime(its[0])
		return err == nil && tried < longestTry+most
	}
	return false
}

// refused reports whether AWS has launched no node that was asked for in the group. After a refusal that closes no pool the core pauses it.
func (m *Moves) refused(group string) bool {
	ng := m.Provider.View().NodeGroup(group)
	return m.cools(group) || ng != nil && m.registry.BackoffStatusForNodeGroup(ng, m.Clock.Now()).IsBackedOff
}

// neverCame reports whether AWS has launched what was asked for in the group, and no node came of it in time.
func (m *Moves) neverCame(group string) bool {
	ng := m.Provider.View().NodeGroup(group)
	return ng != nil && !m.cools(group) &&
		m.registry.BackoffStatusForNodeGroup(ng, m.Clock.Now()).ErrorInfo.ErrorCode == string(metrics.Timeout)
}

// cools reports whether the node group cannot launch for now.
func (m *Moves) cools(group string) bool {
	g := m.Provider.View().Group(group)
	if g == nil {
		return false
	}
	_, cooling := m.Provider.CoolDown(g)
	return cooling || g.Failure != nil
}

// elsewhere leaves out nodes that are to go for their price, if the pods of their plan no longer fit elsewhere as well as they do now. It returns the
// places of the pods of the others.
func (m *Moves) elsewhere(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) (fit []*corev1.Node, places map[types.UID]string) {
	places = map[types.UID]string{}
	for _, n := range nodes {
		s, moves := m.states[n.Name]
		if !moves || nodemeta.ToGo(n) || s.Reason != move.Consolidation || m.Consolidation == nil {
			fit = append(fit, n)
			continue
		}
		now, p := m.Clock.Now(), move.Plan{Nodes: []string{n.Name}}
		if adopted := m.consolidate.Plan; adopted != nil {
			p.On, p.Pods, p.New = adopted.On, adopted.Pods, adopted.New
			for _, name := range adopted.Nodes {
				if info, err := ctx.ClusterSnapshot.GetNodeInfo(name); err == nil && name != n.Name && !beingDrained(info.Node()) {
					p.Nodes = append(p.Nodes, name)
				}
			}
		}
		if slices.ContainsFunc(p.Nodes, func(name string) bool { // new pods may have the places of old ones
			at := m.states[name].Restarted
			return !at.IsZero() && m.Clock.Since(at) < move.RestartTime && len(move.Deployments(podsOn(ctx, name))) > 0
		}) {
			m.hold(n.Name, move.HeldRestart, "Deployments of its plan are restarted first")
			continue
		}
		placed, stays, err := m.Consolidation.try(ctx, p, nil, lastTry, now)
		if err == nil {
			fit = append(fit, n)
			maps.Copy(places, placed)
			continue
		}
		klog.V(2).InfoS("A node is not drained, because its pods cannot move", "node", n.Name, "cause", err)
		m.hold(n.Name, move.HeldRoom, "its pods cannot move: "+err.Error())
		switch {
		case errors.Is(err, errNoTime):
		case m.lasts(m.blocked, n.Name, blockedFor):
			m.postpone(n.Name)
		case s.Into != "" && stays == "": // else a pod keeps the node, and a new one would not help
			m.kept(ctx, &scaledownstatus.UnremovableNode{Node: n, Reason: simulator.NoPlaceToMovePods})
		}
	}
	return fit, places
}
