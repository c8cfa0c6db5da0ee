package leastcost

import (
	"fmt"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

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
	Chosen       bool           // the plan begins with this group, or might as well
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
