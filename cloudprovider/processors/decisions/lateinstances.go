package decisions

import (
	"cmp"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// An instance is late once it has been there without a node for three times as long as the last one of its group, but at least for leastJoin.
// Where the process has seen no node of the group come, it is late after unknownJoin, and always halfway to where the core gives it up.
const (
	patience    = 3
	leastJoin   = time.Minute
	unknownJoin = 2 * time.Minute
)

// unjoined is an instance that has been without a node since a moment.
type unjoined struct {
	group string // ID of the node group
	whole string // name of its Auto Scaling group
	since time.Time
	stays bool // past the time at which the core gives up others
	early bool // it was there before that moment
	again bool // it had a node before that moment
}

// noteJoins keeps since when instances have no node, and how long the last node of each Auto Scaling group took to join. It records
// instances that the core gave up, and shows the provider how long nodes took to be Ready. Instances that were there before the core
// saw them, at its start or because it reads a group every two minutes while it does not raise it, took at least as long.
func (c *Collector) noteJoins(without []clusterstate.UnregisteredNode) {
	defer c.setLate()
	gone, view := maps.Clone(c.unjoined), c.Provider.View() // functions of the Record read the map
	c.unjoined = make(map[string]unjoined, len(without))
	for _, u := range without {
		i, _ := view.Instance(u.Node)
		if id := nodemeta.InstanceOf(u.Node); i != nil || gone[id].group != "" { // no placeholder, for which AWS has launched nothing yet
			name, whole := c.Provider.GroupNames(u.Node)
			stays := view.Late(id).Stays || c.keepsSize(view, name)
			if i == nil || i.Lifecycle.Leaving() { // this loop may have ended it, and the group has another size
				stays = gone[id].stays
			}
			before, known := gone[id]
			early := before.early || !known && (c.seen == nil || c.seen.Snapshot().GroupOf(id) != nil)
			c.unjoined[id] = unjoined{name, whole, u.UnregisteredSince, stays, early, before.again || c.Provider.NodeDeleted(id)}
			delete(gone, id)
		}
	}
	c.seen = cmp.Or(c.now.view, c.seen)
	if len(gone)+len(c.starting) == 0 {
		return
	}
	nodes, _ := c.Nodes.List(labels.Everything()) // the lister reads a cache
	joins, starting := map[string]time.Duration{}, map[string]unjoined{}
	maps.Copy(joins, c.joins)
	for _, node := range nodes {
		id := nodemeta.InstanceOf(node)
		u, starts := c.starting[id]
		joined, now := gone[id]
		switch took := node.CreationTimestamp.Sub(joined.since); {
		case joined.again: // somebody deleted its node
		case now && !joined.early:
			u, starts = joined, true
			joins[u.whole] = took
			if g := view.AutoScalingGroup(u.whole); g != nil && g.WarmPool { // the next one may not come out of it
				joins[u.whole] = max(took, unknownJoin/patience)
			}
		case now && patience*took > unknownJoin: // it took at least as long
			joins[joined.whole] = max(joins[joined.whole], took)
		}
		delete(gone, id)
		if starts && nodemeta.Ready(node) {
			c.Provider.Started(u.group, nodemeta.ReadySince(node).Sub(u.since))
		} else if starts {
			starting[id] = u
		}
	}
	c.joins, c.starting = joins, starting
	for id, u := range gone {
		if within, setting := c.provisionTime(view, u.group); setting != "" && !u.stays && !c.now.at.Before(u.since.Add(within)) {
			c.Record.Decided(decision.Entry{Kind: decision.ScaleDown, Group: u.group, Node: id, Reason: why.GivenUp(u.since)})
		}
	}
}

// keepsSize reports whether the core gives up no instance of the group.
func (c *Collector) keepsSize(v *aws.View, group string) bool {
	ng := v.NodeGroup(group)
	if ng == nil {
		return false
	}
	size, _ := ng.TargetSize()
	return c.Provider.Paused(v.Group(group), true).Down || size <= ng.MinSize() && !c.Core.ForceDeleteLongUnregisteredNodes
}

// isLate reports whether the instance has been without a node for too long.
func (u unjoined) isLate(now time.Time, joins map[string]time.Duration, within time.Duration) bool {
	usual := unknownJoin
	if took, joined := joins[u.whole]; joined {
		usual = max(leastJoin, patience*took)
	}
	return now.Sub(u.since) > min(usual, within/2)
}

// setLate shows the provider the instances that are late. It finds out why.
func (c *Collector) setLate() {
	late := map[string]time.Time{}
	for id, u := range c.unjoined {
		if within, setting := c.provisionTime(c.Provider.View(), u.group); setting != "" && u.isLate(c.now.at, c.joins, within) {
			late[id] = u.since
		}
	}
	c.Provider.SetLate(late)
}

// provisionTime is the group's --max-node-provision-time, and where it is set, "" for a group that is not known.
func (c *Collector) provisionTime(v *aws.View, group string) (within time.Duration, setting string) {
	ng := v.NodeGroup(group)
	if ng == nil {
		return 0, ""
	}
	options := ng.Options(c.Core.NodeGroupDefaults)
	if t := v.Template(group); t != nil && t.Options.MaxNodeProvisionTime != nil {
		return options.MaxNodeProvisionTime, "the group's tag maxnodeprovisiontime"
	}
	return options.MaxNodeProvisionTime, "--max-node-provision-time"
}

// late says that an instance has no node for longer than usual, with the end of its console output.
func (k *cluster) late(m member) (reason decision.Reason, console []string, late bool) {
	u, known := k.facts.unjoined[m.instance.ID]
	within, setting := k.provisionTime(k.facts.view, m.group)
	if !known || setting == "" || !u.isLate(k.facts.at, k.facts.joins, within) {
		return decision.Reason{}, nil, false
	}
	l, until := k.facts.view.Late(m.instance.ID), u.since.Add(within)
	if l.Stays {
		setting = ""
	} else if k.keepsSize(k.facts.view, m.group) {
		until = time.Time{}
	}
	return why.Late(m.instance.ID, m.group, u.since, until, setting, l.Cause, l.Remedy), l.Console, true
}

// findLate says why the nodes that pods wait for do not come, by node group, and how many nodes and instances are on their way. A group with
// some of these has no reason.
func (k *cluster) findLate(groups map[string]*decision.Group) (missing map[string]decision.Reason, coming map[string]int) {
	missing, coming = map[string]decision.Reason{}, map[string]int{}
	late, launched := map[string]decision.Reason{}, map[string]int{}
	for name, g := range groups {
		if r, cannot := k.cannotLaunch(g); cannot {
			missing[name] = r
		}
	}
	for _, m := range k.members() {
		if m.instance == nil || m.instance.Lifecycle.Leaving() {
			continue
		}
		if m.node != nil {
			if !k.ready(m.node) && k.facts.at.Sub(m.node.CreationTimestamp.Time) < k.startupTime(m.group) {
				coming[m.group]++
			}
		} else if r, _, isLate := k.late(m); isLate {
			late[m.group] = r
		} else if missing[m.group].Code == decision.CodeConfiguration {
			continue // it dies as the last one did
		} else {
			coming[m.group]++
		}
		launched[m.group]++
	}
	for name, g := range groups {
		if coming[name] > 0 || g.Desired <= launched[name] {
			delete(missing, name)
		}
		if r, isLate := late[name]; isLate && coming[name] == 0 && missing[name].Message == "" {
			missing[name] = r
		}
	}
	return missing, coming
}

// cannotLaunch says why AWS launches nothing in the group, whether or not it is at its maximum.
func (k *cluster) cannotLaunch(g *decision.Group) (decision.Reason, bool) {
	own := k.facts.view.Group(g.Name)
	switch {
	case own == nil:
		return decision.Reason{}, false
	case own.Blocked():
		return why.Skipped(why.Refusal{Kind: why.RefusedDegraded}, g), true
	case g.State == decision.GroupCoolDown:
		return g.Reason, true
	}
	period, cooling := k.Provider.CoolDown(own)
	other := *g
	other.State = "" // its maximum does not matter
	return why.Skipped(why.Refusal{Kind: why.RefusedCoolDown, Class: string(period.Class), Until: period.Until}, &other), cooling
}

// lateFor returns why no node comes for a pod, and of which group. known is the group in which one was asked for, or "". A pod without one
// waits for a late instance only where no node on its way takes it. One such node clears all pods of which it takes one, because nobody
// counts how many it takes together. A nominated pod has its node.
func (s *speaker) lateFor(pod *corev1.Pod, known string) (string, decision.Reason) {
	missing, _ := s.late()
	if known != "" || len(missing) == 0 || pod.Status.NominatedNodeName != "" {
		return known, missing[known]
	}
	need, first := s.need(pod), ""
	for _, n := range s.awaited() {
		if n.Takes(pod, need, s.groups[n.Group]) {
			if _, isLate := missing[n.Group]; !isLate {
				return "", decision.Reason{}
			}
			first = cmp.Or(first, n.Group)
		}
	}
	return first, missing[first]
}
