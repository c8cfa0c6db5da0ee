package leastcost

import (
	"fmt"
	"slices"
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

const Name = "least-cost"

// Prices knows the cost of a group's next nodes.
type Prices interface {
	// NodeCost returns the hourly cost of the next count nodes of a node group together, and whether it is known. The template
	// is the Node that the group would add. The cost need not be proportional to count. All costs are in one currency.
	NodeCost(nodeGroup string, template *apiv1.Node, count int) (pricing.Amount, bool)
}

// Penalty raises the cost of a group's nodes.
type Penalty struct {
	Ratio  float64 // added to the cost: with 0.5 a node counts one and a half times, not below 0
	Reason string  // for people, such as "no capacity for g4dn.xlarge in us-east-1a 2m ago"

	Rank int // of equal groups those with a lower one come first
}

// Filter keeps the options that a plan over all of them begins with. It implements the core's expander.Filter.
type Filter struct {
	prices  Prices
	penalty func(nodeGroup string) Penalty
	limit   time.Duration // of one plan
	clock   clock.PassiveClock
	devices func() *drasnapshot.Snapshot
	rest    *choice                 // the last one, whose plan may go on, nil for none
	last    map[string]fmt.Stringer // see Words

	// Preferences is set before the first use.
	Preferences Preferences
	behind      bool // other expanders, see ByPreference
}

// Words returns the judgements of the options of the last BestOptions, by node group ID. The map is not changed any more.
func (f *Filter) Words() map[string]fmt.Stringer { return f.last }

// New returns a Filter. prices may change between two calls of BestOptions, not during one. penalty may be nil for none. devices returns
// the devices of claims, which the core's snapshot of the cluster knows. It may be nil, or return nil, and then a claim counts as one device.
// A plan that takes longer than the limit ends with the cheapest found by then.
func New(prices Prices, penalty func(nodeGroup string) Penalty, devices func() *drasnapshot.Snapshot, limit time.Duration,
	clock clock.PassiveClock) *Filter {
	if penalty == nil {
		penalty = func(string) Penalty { return Penalty{} }
	}
	return &Filter{prices: prices, penalty: penalty, devices: devices, limit: limit, clock: clock}
}

// BestOptions returns the first option, its nodes and pods cut to the plan for its group, and the options that would do exactly
// as well. The pods come node by node: first fit in their order gives the plan's nodes. It does not change the given options. Groups
// with known prices come before all others. If no price is known, the options come back unchanged. It returns nil only for no options.
func (f *Filter) BestOptions(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []expander.Option {
	var d *decision
	if !f.behind || slices.ContainsFunc(options, func(o expander.Option) bool { return slices.ContainsFunc(o.Pods, prefers) }) {
		d = f.decide(options, nodeInfos)
	}
	f.last = nil
	if d == nil || f.behind && !d.choice.preferred {
		f.rest = nil
		if len(options) > 0 && !f.behind {
			klog.Background().V(2).Info("Left the scale-up options as they are: no price is known", "options", len(options))
		}
		return options
	}
	d.log()
	f.last = make(map[string]fmt.Stringer, len(d.explanations))
	for _, e := range d.explanations {
		f.last[e.NodeGroup] = e
	}
	f.rest = nil
	if len(d.choice.planned[d.choice.first].nodes) > 0 {
		f.rest = new(d.choice)
	}
	return d.choice.options(d.candidates)
}

// Forget ends the plan, because another expander has chosen.
func (f *Filter) Forget() { f.rest = nil }

type decision struct {
	candidates   []candidate
	choice       choice
	explanations []Explanation // by name of the group
}

// decide plans, and compares the plan with the cost of each option alone. It returns nil where no price is known.
func (f *Filter) decide(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) *decision {
	t := &timer{clock: f.clock, limit: f.limit, brief: f.behind}
	candidates := f.candidates(options, nodeInfos)
	if len(candidates) == 0 {
		return nil
	}
	var devices *drasnapshot.Snapshot
	if f.devices != nil {
		devices = f.devices()
	}
	d := newDemand(candidates, devices)
	d.off, d.daemons = f.Preferences.keepingOff(d.pods, candidates)
	b, goesOn := f.rest.next(f, candidates, d)
	if !goesOn {
		b = f.cheapestChoice(candidates, d, t)
		b.made, b.cut = f.clock.Now(), t.cut
	}
	return &decision{candidates: candidates, choice: b, explanations: f.explain(candidates, b)}
}

// log logs judgements on V(4), for the chain logs the choice. It always logs that time was short, for an operator can act on that.
func (d *decision) log() {
	logger := klog.Background()
	if d.explanations[0].Cut {
		logger.Info("Ended a plan of scale-ups at its time limit: the cheapest found so far counts", "options", len(d.explanations),
			"pods", d.explanations[0].TotalPods)
	}
	for _, e := range d.explanations {
		logger.V(4).Info("Weighed a scale-up option", "explanation", e)
	}
}

// planShare of the time limit is for the plan, the rest is for the explanation.
const planShare = 0.7

type timer struct {
	clock clock.PassiveClock
	start time.Time // of one plan: what it is made from may take any time
	limit time.Duration
	brief bool // the first good plan counts: other expanders have weighed the options
	cut   bool // a step came to an end for want of time
}

// past reports whether the time for the plan is over. The caller still has work to do, so it marks the plan as cut short.
func (t *timer) past() bool {
	over := float64(t.clock.Since(t.start)) >= planShare*float64(t.limit)
	t.cut = t.cut || over
	return over
}

// Explanation holds the cost of one option, and its group's part of the plan over all options.
type Explanation struct {
	NodeGroup string         // ID of the node group
	Nodes     int            // nodes of the option as the core offered it
	Pods      int            // pods that find a place on them
	Cost      pricing.Amount // of those nodes
	Penalty   Penalty        // added to their cost

	PlannedNodes int            // nodes of the group in the plan
	PlannedPods  int            // pods that the plan places on them
	PlannedCost  pricing.Amount // of those nodes
	TotalCost    pricing.Amount // of the whole plan, over all groups
	TotalPods    int            // pods that the plan places, over all groups
	Preferred    bool           // the plan follows what pods prefer, and may cost more for that
	Cut          bool           // the time for planning was over before the search for a cheaper plan was
}

func (e Explanation) String() string {
	s := fmt.Sprintf("%s: %d node(s) for %d pod(s) cost %v", e.NodeGroup, e.Nodes, e.Pods, e.Cost)
	if e.Penalty.Ratio > 0 {
		s += fmt.Sprintf(", counted %.3g times as much (%s)", 1+e.Penalty.Ratio, e.Penalty.Reason)
	}
	plan := "; the cheapest plan"
	if e.Preferred {
		plan += " that follows what pods prefer"
	}
	if e.Cut {
		plan += " found in the time for it"
	}
	if e.PlannedNodes == 0 {
		return s + plan + " has none of them"
	}
	return s + plan + fmt.Sprintf(" has %d node(s) of them for %d pod(s) at %v, and costs %v for %d pod(s) in all",
		e.PlannedNodes, e.PlannedPods, e.PlannedCost, e.TotalCost, e.TotalPods)
}
