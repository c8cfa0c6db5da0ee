package decisions

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// cluster puts one loop into words. The Record has one do so at a time.
type cluster struct {
	*Collector
	facts   *facts
	failed  map[string]lastFailure // the newest ones, which may be newer than the loop
	pauses  map[string]pause
	members func() []member
	used    func() map[string]bool // nodes with a pod that is of no DaemonSet and no static one
	drained int                    // nodes that the core drains
	lacking map[string]bool        // groups with a Ready node that lacks a device
}

// member is a node of the cluster, or an instance without one.
type member struct {
	node     *corev1.Node    // nil for an instance without one
	instance *group.Instance // nil for a node outside our groups
	group    string          // ID of the node group
}

// counts reports whether the desired capacity has it.
func (m member) counts() bool { return m.instance == nil || m.instance.Lifecycle.Counts() }

func newCluster(c *Collector, f *facts) *cluster {
	k := &cluster{Collector: c, facts: f}
	k.members = sync.OnceValue(k.findMembers)
	k.used = sync.OnceValue(k.findUsed)
	return k
}

func (k *cluster) words() decision.Words {
	k.mu.Lock()
	k.failed, k.pauses = maps.Clone(k.Collector.failed), maps.Clone(k.Collector.pauses)
	k.mu.Unlock()
	maps.DeleteFunc(k.failed, func(_ string, last lastFailure) bool { return k.facts.at.Sub(last.at) > failureCounts })
	groups := k.groups()
	byName := make(map[string]*decision.Group, len(groups))
	for at := range groups {
		byName[groups[at].Name] = &groups[at]
	}
	s := newSpeaker(k, byName)
	pods := s.pods()
	return decision.Words{Groups: groups, Pods: pods, Searches: s.searches, Nodes: k.nodes(byName)}
}

func (k *cluster) findUsed() map[string]bool {
	nodes := map[string]bool{}
	for _, pod := range k.facts.allPods() {
		if pod.Spec.NodeName != "" && !nodemeta.BelongsToNode(pod) {
			nodes[pod.Spec.NodeName] = true
		}
	}
	return nodes
}

// allPods are the pods of the cluster, none before the core has shown them.
func (f *facts) allPods() []*corev1.Pod {
	if f.context == nil || f.context.ListerRegistry == nil {
		return nil
	}
	pods, _ := f.context.AllPodLister().List() // the lister reads a cache
	return pods
}

// findMembers returns all nodes, and the instances of our groups that have none.
func (k *cluster) findMembers() []member {
	nodes, _ := k.Nodes.List(labels.Everything()) // the lister reads a cache
	list := make([]member, 0, len(nodes))
	registered := make(map[string]bool, len(nodes))
	for _, node := range nodes {
		i, _ := k.facts.view.Instance(node)
		if i != nil {
			registered[i.ID] = true
		}
		list = append(list, member{node, i, k.Provider.NodeGroupName(node)})
	}
	for _, ng := range k.facts.view.NodeGroups() {
		g := k.facts.view.Group(ng.Id())
		for at := range g.Instances {
			if i := &g.Instances[at]; !registered[i.ID] {
				list = append(list, member{nil, i, ng.Id()})
			}
		}
	}
	return list
}

func (k *cluster) groups() []decision.Group {
	ready, broken := map[string]int{}, map[string]int{}
	k.lacking = map[string]bool{}
	for _, m := range k.members() {
		switch {
		case m.node == nil || m.group == "" || !m.counts():
		case k.ready(m.node):
			ready[m.group]++
			k.lacking[m.group] = k.lacking[m.group] || k.lacks(m) != ""
		case k.facts.at.Sub(m.node.CreationTimestamp.Time) > k.startupTime(m.group):
			broken[m.group]++
		}
	}
	problems := map[string][]decision.Reason{} // by Auto Scaling group or zone group
	for _, p := range k.Provider.Problems() {
		of := cmp.Or(p.ZoneGroup, p.Group)
		problems[of] = append(problems[of], reasonOf(p))
	}
	spending := k.Provider.Spending()
	var list []decision.Group
	for _, ng := range k.facts.view.NodeGroups() {
		id := ng.Id()
		g := k.facts.view.Group(id)
		o := describe(g, id)
		o.Ready, o.Starting = ready[id], max(0, o.Desired-ready[id]-broken[id])
		o.Problems, o.Spend, o.AboutSpend = problems[g.Name], spending.ByGroup[id].PerHour, spending.ByGroup[id].Estimated
		if amount, known := k.Provider.Costs().NodeCost(id, nil, 1); known { // of the next node
			o.NodePrice, o.AboutPrice = strings.TrimSuffix(amount.String(), "/h"), amount.Estimated
		}
		if p := k.Provider.Undivided(g); p != nil {
			o.Undivided = p.Message + ": " + p.Remedy
		}
		if whole := k.facts.view.AutoScalingGroup(g.Name); whole != nil {
			o.AtMin, o.AtMax = limits(g.AtMin(whole)), limits(g.AtMax(whole))
		}
		if g.Zone != "" {
			o.Problems = slices.Concat(problems[id], o.Problems)
		}
		k.judge(&o, g)
		o.Problems = slices.Concat(o.Problems, problems[""]) // those of all groups
		list = append(list, o)
	}
	for _, g := range k.facts.view.Snapshot().Foreign() {
		o := describe(g, g.Name)
		o.Problems, o.State = problems[g.Name], decision.GroupDegraded
		if len(o.Problems) > 0 {
			o.Reason = o.Problems[0]
		}
		list = append(list, o)
	}
	return list
}

// startupTime is how long a node of the group may take to be Ready: --max-node-startup-time, or the group's tag.
func (k *cluster) startupTime(group string) (within time.Duration) {
	if ng := k.facts.view.NodeGroup(group); ng != nil {
		within = ng.Options(k.Core.NodeGroupDefaults).MaxNodeStartupTime
	}
	return cmp.Or(within, clusterstate.MaxNodeStartupTime)
}

func describe(g *group.Group, id string) decision.Group {
	o := decision.Group{Name: id, AutoScaling: g.Name, Zones: g.Zones, CapacityType: g.CapacityType(), Min: g.MinInstances(), Max: g.MaxInstances() + g.Overdue,
		Desired: g.TargetInstances()}
	for _, t := range g.Timed {
		o.Clock = append(o.Clock, t.String())
	}
	if n := decision.Nodegroup(g.ManagedNodegroup()); n.Name != "" {
		o.EKS = &n
	}
	if g.LaunchSpec == nil {
		o.CapacityType = cmp.Or(o.CapacityType, "unknown")
		return o
	}
	o.CapacityType = cmp.Or(o.CapacityType, "mixed")
	for _, t := range g.LaunchSpec.Types[:min(len(g.LaunchSpec.Types), maxTypes)] {
		o.Types = append(o.Types, t.Name)
	}
	return o
}

func pauseOf(o *decision.Group, p group.Pause) *decision.Pause {
	cause, remedy := p.Why(o.AutoScaling)
	return why.Paused(o, decision.Pause{ScaleUp: p.Up, ScaleDown: p.Down, Until: p.Until}, cause, remedy)
}

func limits(reached []group.Limit) (list []decision.Limit) {
	for _, l := range reached {
		list = append(list, decision.Limit(l))
	}
	return list
}

// maxTypes bounds the instance types of a group that are named.
const maxTypes = 30

func (k *cluster) judge(o *decision.Group, g *group.Group) {
	now := k.facts.at
	for _, p := range k.Provider.CoolDowns(g) {
		o.CoolDowns = append(o.CoolDowns, decision.CoolDown{Group: p.Group, Zone: p.Zone, Type: p.InstanceType, Since: p.Since(), Until: p.Until,
			Cause: why.CoolDown(string(p.Class), p.Message, why.Attempt{Group: o, InstanceType: p.InstanceType})})
	}
	template := k.facts.view.Template(o.Name)
	unknown := template == nil || !template.Known()
	degraded := func() {
		o.State = decision.GroupDegraded
		if own := k.facts.view.Hindrances(o.Name); len(own) > 0 {
			o.Reason = reasonOf(own[0])
		} else if len(o.Problems) > 0 {
			o.Reason = o.Problems[0]
		} else {
			o.Reason = decision.Reason{Code: decision.CodeDegraded, Message: fmt.Sprintf("too little is known about the nodes of group %q", o.Name),
				Remedy: "asgctl template " + shellword.Quote(o.AutoScaling)}
		}
	}
	period, cooling := k.Provider.CoolDown(g)
	backedOff, paused := k.pauses[o.Name]
	noDevice := slices.IndexFunc(o.Problems, func(p decision.Reason) bool { return p.Code == decision.CodeAccelerator })
	last := k.failed[o.Name]
	lasts := last.Code == decision.CodeDenied || last.Code == decision.CodeConfiguration || last.Code == decision.CodeAccountLimit
	by := k.Provider.Capped(g)
	up, down := g.LeftAlone(now, false), g.LeftAlone(now, true)
	if p := cmp.Or(up, down); p != (group.Pause{}) {
		o.Paused = pauseOf(o, p)
		o.Paused.ScaleDown = down.Down
	}
	switch {
	case o.Paused != nil && o.Paused.ScaleUp:
		o.State, o.Reason = decision.GroupPaused, o.Paused.Reason
	case g.Blocked() || unknown && !k.facts.copied(o.Name):
		degraded()
	case k.facts.stale:
		o.State, o.Reason = decision.GroupDegraded, why.Skipped(why.Refusal{Kind: why.RefusedUnread}, o)
	case noDevice >= 0:
		o.State, o.Reason = decision.GroupDegraded, o.Problems[noDevice]
	case o.Desired >= g.MostInstances() && (g.Overdue == 0 || !cooling): // more than the maximum where another zone has the rest
		o.State, o.Reason = decision.GroupFull, why.Skipped(why.Refusal{Kind: why.RefusedFull}, o)
	case by != nil:
		o.State, o.Reason = decision.GroupFull, why.Skipped(why.Refusal{Kind: why.RefusedSpendCap, Cap: *by}, o)
	case cooling:
		o.State = decision.GroupCoolDown
		until := slices.MaxFunc([]time.Time{period.Until, backedOff.until}, time.Time.Compare)
		o.Reason = why.Skipped(why.Refusal{Kind: why.RefusedCoolDown, Class: string(period.Class), Until: until}, o)
		if o.Reason.Code == decision.CodeCoolDown && lasts { // other groups keep the pool in its cool-down
			o.Reason = last.Reason
			o.Reason.Message = fmt.Sprintf("group %q cannot grow now, its last launch failed at %s: %s", o.Name, why.Clock(last.at), last.Message)
		}
	case paused && now.Before(backedOff.until):
		o.State = decision.GroupCoolDown
		if backedOff.cause.ErrorCode == string(metrics.Timeout) { // nodes did not register in time
			within, setting := k.provisionTime(k.facts.view, o.Name)
			o.Reason = why.Unjoined(o, backedOff.unjoined, backedOff.unready, within, setting, backedOff.until)
		} else {
			o.Reason = why.Backoff(o, backedOff.until, backedOff.cause.ErrorCode, backedOff.cause.ErrorMessage)
		}
	case unknown: // it grows by the copy of a node
		degraded()
	default:
		o.State = decision.GroupReady
	}
}
