package scaledown

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/eligibility"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/pdb"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroups"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
)

const (
	// A loop looks at mostPlans of them.
	mostPlans = 50
	// checking bounds the time of one loop in which plans are tried with the scheduler's filters. No try begins after it. A try ends at twice that
	// time at first, and later ones at twice as much whenever that was too short, up to lastTry. The last one, before a drain, ends at lastTry.
	checking, lastTry = 8 * time.Millisecond, time.Second
	// A plan that these filters refuse is not made again for refusedFor. A node that a rule of scale-down keeps stays for the same time.
	refusedFor = 10 * time.Minute
	// After a search that took a second none begins for searchRest seconds, because its time grows with the square of the nodes.
	// The process may have been stopped meanwhile, so mostRest is the longest rest.
	searchRest, mostRest = 19, 10 * time.Minute
	// A new node counts as paid in vain for startUp.
	startUp = 3 * time.Minute
)

// Consolidation looks for nodes that the cluster does not need at their price. move.Plans makes them beside the loop, at most once in each scan
// interval and in a twentieth of the time, while no pod waits and no plan is carried out. The loop tries the best ones in its snapshot, with the
// scheduler's filters and the rules of scale-down.
type Consolidation struct {
	Reason   *move.Consolidate
	Horizon  time.Duration
	Provider *aws.Provider
	// KeepSpread has the spread that pods only prefer count as if it were required.
	KeepSpread bool
	// Launchable leaves out the groups that cannot launch for any pods.
	Launchable nodegroups.NodeGroupListProcessor
	// Guard has pods refuse groups that may launch a node which they cannot run on.
	Guard pods.PodListProcessor
	// DeleteOptions and Rules are the core's.
	DeleteOptions options.NodeDeleteOptions
	Rules         rules.Rules

	made    chan search          // nil while none is made
	next    time.Time            // the next search begins no sooner
	within  time.Duration        // of a try
	refused map[string]time.Time // plans by key, and nodes by name, until when
	shown   []move.Plan
}

// search has the plans of a search, and the time that it took.
type search struct {
	plans []move.Plan
	took  time.Duration
}

// Found returns the plan that is carried out, or else the plans that the last search found.
func (c *Consolidation) Found() *decision.Consolidation {
	found := &decision.Consolidation{Plans: []decision.ConsolidationPlan{}, Saved: c.Reason.Saved}
	shown, adopted := c.shown, c.Reason.Plan
	if adopted != nil {
		shown = []move.Plan{*adopted}
	}
	for _, p := range shown {
		found.Plans = append(found.Plans, decision.ConsolidationPlan{Nodes: p.Nodes, NewNode: p.Into, PerHour: p.Price, Saving: p.Saving, Begun: adopted != nil})
	}
	return found
}

// consider begins to make plans, or adopts one that was made. nodes has the nodes of our groups. rests reports whether no pod waits and nothing moves,
// open that a window and the budgets let a plan begin, and full that the cluster may have no further node.
func (c *Consolidation) consider(ctx *cacontext.AutoscalingContext, nodes []move.Node, leftAlone func(move.Node) bool, rests, open, full bool, now time.Time) {
	adopted, due, on := c.Reason.Plan, rests && !now.Before(c.next), c.Reason.On && open
	if adopted == nil && c.made == nil && len(c.shown) == 0 && !due {
		return
	}
	byName := make(map[string]move.Node, len(nodes))
	for _, n := range nodes {
		byName[n.Name] = n
	}
	mayGo := func(name string) bool {
		n, known := byName[name]
		if !known {
			return false
		}
		ng := c.Provider.NodeGroupOf(n.Node)
		return ng != nil && n.Instance.Lifecycle == "InService" && (!n.Instance.Protected || n.Group.ProtectsNewInstances) &&
			n.Group.CapacityType() != "" && !leftAlone(n) && !nodemeta.ToGo(n.Node) &&
			!n.Group.Reserved() && // a node that may be paid in any case is left alone
			!eligibility.HasNoScaleDownAnnotation(n.Node) && !now.Before(c.refused[name]) &&
			c.Reason.MayGo(n, ng.Options(ctx.NodeGroupDefaults).ScaleDownUnneededTime, now) &&
			move.GroupBudgets(n.Group).Left(move.Consolidation, 1, nil) > 0
	}
	if adopted != nil && !c.pays(ctx, adopted, byName) {
		klog.V(0).InfoS("Dropped a consolidation, which saves too little now", "nodes", adopted.Nodes, "into", adopted.Into)
		if c.Reason.Drop(now); adopted.Into != "" { // its next node may be as dear, and one that has come so is not to take the pods of another plan
			c.Reason.Refuse(adopted.Into, now)
		}
	}
	c.shown = slices.DeleteFunc(slices.Clone(c.shown), func(p move.Plan) bool {
		return slices.ContainsFunc(p.Nodes, func(name string) bool { _, known := byName[name]; return !known })
	})
	select {
	case found := <-c.made:
		c.made, c.next = nil, now.Add(max(ctx.ScanInterval, min(searchRest*found.took, mostRest)))
		plans := slices.DeleteFunc(found.plans, func(p move.Plan) bool {
			return !rests || slices.ContainsFunc(p.Nodes, func(name string) bool { return !mayGo(name) })
		})
		c.shown = c.check(ctx, plans, on, now)
		if on && adopted == nil && len(c.shown) > 0 {
			klog.V(0).InfoS("Adopted a consolidation", "nodes", c.shown[0].Nodes, "into", c.shown[0].Into, "savingPerHour", c.shown[0].Saving)
			c.Reason.Adopt(c.shown[0], now)
		}
	default:
		if c.made == nil && due && adopted == nil && !c.Provider.TooOldToAdd() {
			c.plan(ctx, byName, mayGo, full, now)
		}
	}
}

// pays reports whether the plan still saves enough. The next node of the group states the price before the launch. After it the new node does, which
// corrects the saving, and any saving is enough.
func (c *Consolidation) pays(ctx *cacontext.AutoscalingContext, p *move.Plan, byName map[string]move.Node) bool {
	spending := c.Provider.Spending()
	price := 0.0
	for _, name := range p.Nodes {
		n, there := byName[name]
		if !there || beingDrained(n.Node) {
			return true // the others were worth it together
		}
		price += spending.Instance(n.Group, n.Instance).PerHour
	}
	if p.Into == "" {
		return true
	}
	most, come := price*(1-move.LeastSaving), false
	for _, n := range byName {
		if n.CreationTimestamp.After(p.Made) && c.Provider.NodeGroupName(n.Node) == p.Into {
			cost := spending.Instance(n.Group, n.Instance).PerHour
			if cost == 0 || cost >= price { // it may cost anything where that is not known
				return false
			}
			p.Saving, come = price-cost, true
		}
	}
	if come {
		return true
	}
	template, known := ctx.TemplateNodeInfoRegistry.GetNodeInfo(p.Into)
	if !known {
		return false
	}
	cost, known := c.Provider.Costs().NodeCost(p.Into, template.Node(), 1)
	return known && cost.PerHour <= most
}

// plan begins to make plans beside the loop.
func (c *Consolidation) plan(ctx *cacontext.AutoscalingContext, byName map[string]move.Node, mayGo func(name string) bool, full bool, now time.Time) {
	spending := c.Provider.Spending()
	c.Reason.Currency = string(spending.Total.Currency)
	maps.DeleteFunc(c.refused, func(_ string, until time.Time) bool { return !now.Before(until) })
	packing := move.Packing{Horizon: c.Horizon, KeepSpread: c.KeepSpread, StartUp: startUp, Spare: map[string]int{}, Refused: map[string]bool{}, Most: mostPlans}
	for key := range c.refused {
		packing.Refused[key] = true
	}
	var offers []move.Host
	if !full {
		offers = c.offers(ctx, now)
	}
	infos, err := ctx.ClusterSnapshot.ListNodeInfos()
	if err != nil {
		return
	}
	hosts := make([]move.Host, 0, len(infos))
	for _, info := range infos {
		h := hostOf(info)
		n, known := byName[h.Name]
		_, moves := move.StateOf(h.Node)
		upcoming := h.Annotations[annotations.NodeUpcomingAnnotation] == "true" // as the core fills nodes that were asked for into the snapshot
		h.Takes = nodemeta.Ready(h.Node) && !upcoming && !h.Spec.Unschedulable && !beingDrained(h.Node) && !moves && !nodemeta.ToGo(h.Node) &&
			!(known && c.turns(n.Group, now)) &&
			(known && spare(n.Group) <= 0 && n.Instance.Lifecycle == "InService" || slices.ContainsFunc(h.Pods, func(p move.HostPod) bool { return !nodemeta.BelongsToNode(p.Pod) }))
		if ng := c.Provider.NodeGroupOf(h.Node); known && ng != nil {
			price := spending.Instance(n.Group, n.Instance)
			h.Price, h.Estimated, h.Group, h.Whole = price.PerHour, price.Estimated, ng.Id(), n.Group.Name
			h.MayGo = h.Takes && mayGo(h.Name)
			if _, seen := packing.Spare[h.Group]; !seen {
				packing.Spare[h.Group] = spare(c.Provider.View().Group(h.Group))
				packing.Spare[h.Whole] = spare(n.Group)
			}
		}
		hosts = append(hosts, h)
	}
	made, began := make(chan search, 1), time.Now()
	c.made = made
	go func() { made <- search{move.Plans(hosts, offers, packing), time.Since(began)} }()
}

// hostOf has the pods with what they ask for, which the snapshot has worked out. The core writes to the containers of pods while plans are made.
func hostOf(info *framework.NodeInfo) move.Host {
	pods := info.GetPods()
	h := move.Host{Node: info.Node(), Pods: make([]move.HostPod, 0, len(pods)),
		Devices: nodetemplate.InSlices(info.LocalResourceSlices, nodetemplate.SharesAccelerators)}
	for _, p := range pods {
		asks := p.CalculateResource().Resource
		h.Pods = append(h.Pods, move.HostPod{Pod: p.GetPod(), CPU: asks.GetMilliCPU(), Memory: asks.GetMemory(), Storage: asks.GetEphemeralStorage(), Others: asks.GetScalarResources()})
	}
	return h
}

// spare returns the number of nodes that the group may lose.
func spare(g *group.Group) int {
	if g == nil {
		return 0
	}
	return g.TargetInstances() - g.MinInstances()
}

// turns reports whether the sizes of the group change by the clock so soon that a saving may not last. A group that changes daily is not left out for
// ever with a long horizon.
func (c *Consolidation) turns(g *group.Group, now time.Time) bool {
	return !g.Turns.IsZero() && g.Turns.Before(now.Add(min(c.Horizon, time.Hour)))
}

func (c *Consolidation) offers(ctx *cacontext.AutoscalingContext, now time.Time) (offers []move.Host) {
	infos := ctx.TemplateNodeInfoRegistry.GetNodeInfos()
	able, _, _ := c.Launchable.Process(ctx, ctx.CloudProvider.NodeGroups(), infos, nil) // which never fails
	for _, ng := range able {
		g := c.Provider.View().Group(ng.Id())
		if g == nil || g.CapacityType() == "" || c.turns(g, now) || g.TargetInstances() >= c.Provider.WithinCaps(g, g.MostInstances()) ||
			c.Reason.Refused(ng.Id(), now) || c.Provider.Interrupted(ng.Id()) { // one of many pools may always fail
			continue
		}
		if cost, known := c.Provider.Costs().NodeCost(ng.Id(), infos[ng.Id()].Node(), 1); known {
			h := hostOf(infos[ng.Id()])
			h.Group, h.Whole, h.Size, h.Price, h.Estimated = ng.Id(), g.Name, g.TargetInstances(), cost.PerHour, cost.Estimated
			offers = append(offers, h)
		}
	}
	return offers
}

// check returns the first plan that works, or all, each by itself and none with a node of another, until there is no time to try more.
func (c *Consolidation) check(ctx *cacontext.AutoscalingContext, plans []move.Plan, first bool, now time.Time) (work []move.Plan) {
	begun, taken := time.Now(), map[string]bool{}
	c.within = max(c.within, 2*checking)
	if c.refused == nil {
		c.refused = map[string]time.Time{}
	}
	for _, p := range plans {
		if slices.ContainsFunc(p.Nodes, func(name string) bool { return taken[name] }) {
			continue
		}
		if time.Since(begun) > checking {
			break
		}
		_, stays, err := c.try(ctx, p, onceRestarted{ctx.RemainingPdbTracker}, c.within, now)
		switch {
		case errors.Is(err, errNoTime): // others may have more luck meanwhile
			klog.V(2).InfoS("Gave up the try of a consolidation, the next one has more time", "nodes", p.Nodes, "into", p.Into, "after", c.within)
			again := time.Minute
			if c.within == lastTry {
				again = refusedFor
			}
			c.refused[p.Key()], c.within = now.Add(again), min(2*c.within, lastTry)
		case err != nil:
			klog.V(4).InfoS("A consolidation does not work", "nodes", p.Nodes, "into", p.Into, "cause", err)
			c.refused[cmp.Or(stays, p.Key())] = now.Add(refusedFor)
		default:
			p.Made = now
			work = append(work, p)
			for _, name := range p.Nodes {
				taken[name] = true
			}
			if first {
				return work
			}
		}
	}
	return work
}

var errNoTime = errors.New("a loop has no time for it")

// try puts the pods of the plan's nodes elsewhere, in a fork of the snapshot, within a time. It returns their new nodes. budgets may be nil for pods that
// have been counted against them. stays may name a node that keeps its pods. The plan's nodes stay in the fork, and take no pod: without
// the last node of a zone a spread would not count the zone, and its pods could crowd elsewhere.
func (c *Consolidation) try(ctx *cacontext.AutoscalingContext, p move.Plan, budgets pdb.RemainingPdbTracker, within time.Duration, now time.Time) (places map[types.UID]string, stays string, err error) {
	s, begun, emptied := ctx.ClusterSnapshot, time.Now(), snapshot.Emptied{}
	s.Fork()
	defer s.Revert()
	var pods []*corev1.Pod
	for _, name := range p.Nodes {
		info, err := s.GetNodeInfo(name)
		if err != nil {
			return nil, "", err
		}
		moving, err := simulator.GetPodsToMove(info, c.DeleteOptions, c.Rules, ctx.ListerRegistry, budgets, now)
		if err != nil {
			return nil, name, err
		}
		anew := slices.DeleteFunc(slices.Clone(moving.Pods), func(pod *corev1.Pod) bool { return !move.BeginsAnew(pod) })
		if first := slices.Concat(moving.OnCompletionPods, anew); len(first) > 0 {
			return nil, name, fmt.Errorf("pod %q must end first, as a Job's or by its annotation", first[0].Namespace+"/"+first[0].Name)
		}
		free := emptied.Take(s, info, moving.Pods)
		if len(free) < len(moving.Pods) {
			return nil, "", errors.New("not all pods could leave it in the snapshot")
		}
		pods = append(pods, free...)
	}
	if c.KeepSpread {
		for _, pod := range pods {
			requireSpread(pod)
		}
	}
	if c.Guard != nil {
		if pods, err = c.Guard.Process(ctx, pods); err != nil {
			return nil, "", err
		}
	}
	p.Sort(pods)
	first := p.On
	if p.Into != "" {
		template, known := ctx.TemplateNodeInfoRegistry.GetNodeInfo(p.Into)
		if !known {
			return nil, "", fmt.Errorf("nothing is known of the nodes of %s", p.Into)
		}
		info, err := simulator.SanitizedNodeInfo(template, "consolidated")
		if err != nil {
			return nil, "", err
		}
		if err := s.AddNodeInfo(info); err != nil {
			return nil, "", err
		}
		first = append(slices.Clone(first), info.Node().Name)
	}
	over := func() bool { return time.Since(begun) > within }
	placed, err := snapshot.Place(s, pods, snapshot.Nodes{First: first, Anywhere: func(*corev1.Pod) bool { return true }, Over: over})
	switch {
	case err != nil:
		return nil, "", err
	case len(placed) < len(pods) && over():
		return nil, "", errNoTime
	case len(placed) < len(pods):
		return nil, "", fmt.Errorf("%d of %d pods fit nowhere else", len(pods)-len(placed), len(pods))
	}
	places = make(map[types.UID]string, len(placed))
	for pod, node := range placed {
		places[pod.UID] = node
	}
	return places, "", nil
}

// requireSpread has a pod require the spread that it only prefers. It changes no part that others share.
func requireSpread(pod *corev1.Pod) {
	pod.Spec.TopologySpreadConstraints = slices.Clone(pod.Spec.TopologySpreadConstraints)
	for i := range pod.Spec.TopologySpreadConstraints {
		pod.Spec.TopologySpreadConstraints[i].WhenUnsatisfiable = corev1.DoNotSchedule
	}
	if terms := move.PrefersApart(pod); len(terms) > 0 {
		affinity, apart := *pod.Spec.Affinity, *pod.Spec.Affinity.PodAntiAffinity
		apart.RequiredDuringSchedulingIgnoredDuringExecution = slices.Concat(apart.RequiredDuringSchedulingIgnoredDuringExecution, terms)
		affinity.PodAntiAffinity, pod.Spec.Affinity = &apart, &affinity
	}
}
