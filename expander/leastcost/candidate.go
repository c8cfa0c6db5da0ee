package leastcost

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

type candidate struct {
	option  expander.Option
	id      string // of its group
	info    *framework.NodeInfo
	penalty Penalty
	size    int     // of its group
	unit    float64 // hourly cost of one node, penalty included, if the option's nodes are added together

	costs map[int]pricing.Amount // by number of nodes, as far as they were asked for
}

// candidates returns the options with a known price, by their ranks, sizes and names.
func (f *Filter) candidates(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []candidate {
	var list []candidate
	for _, option := range options {
		id := option.NodeGroup.Id()
		info := nodeInfos[id]
		if info == nil || info.Node() == nil || option.NodeCount <= 0 || len(option.Pods) == 0 {
			klog.Background().V(2).Info("Left out a scale-up option without node template, nodes or pods", "nodeGroup", id)
			continue
		}
		size, _ := option.NodeGroup.TargetSize()
		list = append(list, candidate{option: option, id: id, info: info, penalty: f.penalty(id), size: size, costs: map[int]pricing.Amount{}})
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.penalty.Rank, b.penalty.Rank), cmp.Compare(a.size, b.size), strings.Compare(a.id, b.id))
	})
	return slices.DeleteFunc(list, func(c candidate) bool {
		_, known := f.cost(&c, c.option.NodeCount)
		return !known
	})
}

// priced sets the cost of one node of each candidate if counts nodes are added. A count of 0 is the candidate's own number.
func (f *Filter) priced(candidates []candidate, counts []int) []candidate {
	list := slices.Clone(candidates)
	for i := range list {
		count := cmp.Or(counts[i], list[i].option.NodeCount)
		list[i].unit = f.weighed(&list[i], count) / float64(count)
	}
	return list
}

// weighed returns the cost of count nodes of a candidate, with the penalty. It is above 0.
func (f *Filter) weighed(c *candidate, count int) float64 {
	cost, _ := f.cost(c, count)
	return max(cost.PerHour, 1e-9) * (1 + c.penalty.Ratio)
}

func (f *Filter) cost(c *candidate, count int) (pricing.Amount, bool) {
	cost, known := c.costs[count]
	if !known {
		if cost, known = f.prices.NodeCost(c.id, c.info.Node(), count); known {
			c.costs[count] = cost
		}
	}
	return cost, known && cost.PerHour >= 0 && !math.IsInf(cost.PerHour, 0)
}
