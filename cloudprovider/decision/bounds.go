package decision

import (
	"cmp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

const (
	maxPods      = 10_000
	MaxNodes     = 10_000 // and instances, of a Report
	maxLaunches  = 200
	maxEntries   = 500
	maxText      = 1_000 // bytes of a message or a remedy, because AWS and tags can say anything
	maxProblems  = 5     // of a group
	maxCoolDowns = 50    // of a group
)

func (f facts) report() *Report {
	words, calls := f.once(), orEmpty(f.calls())
	slices.SortFunc(calls, func(a, b Call) int { return strings.Compare(a.Action, b.Action) })
	return &Report{Version: Version, At: f.at, Process: f.process, Reading: f.reading, Loop: f.loop, Spend: f.spend,
		Groups: words.Groups, Pods: words.Pods, PodsLeft: words.left, Searches: words.Searches, Nodes: words.Nodes,
		Launches: orEmpty(f.launches), Timeline: orEmpty(f.timeline), Calls: calls, Shadow: f.shadow()}
}

// bounded returns the lists in the order of the Report, with texts and lists within the bounds.
func (w Words) bounded(region string) Words {
	slices.SortFunc(w.Groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(w.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(w.Pods, func(a, b Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	w = Words{Groups: orEmpty(w.Groups), Pods: first(orEmpty(w.Pods), maxPods), Searches: orEmpty(w.Searches),
		Nodes: first(orEmpty(w.Nodes), MaxNodes), left: max(0, len(w.Pods)-maxPods)}
	clipped := map[Reason]Reason{} // many answers have the same one
	clip := func(r *Reason) {
		short, known := clipped[*r]
		if !known {
			short = *r
			short.clip(region)
			clipped[*r] = short
		}
		*r = short
	}
	for at := range w.Nodes {
		clip(&w.Nodes[at].Reason)
	}
	for at := range w.Groups {
		g := &w.Groups[at]
		clip(&g.Reason)
		if g.Paused != nil {
			clip(&g.Paused.Reason)
		}
		g.CoolDowns, g.Problems, g.Clock = first(g.CoolDowns, maxCoolDowns), first(g.Problems, maxProblems), first(g.Clock, maxProblems)
		for at := range g.Clock {
			g.Clock[at] = awsmessage.Clip(g.Clock[at], maxText)
		}
		for at := range g.CoolDowns {
			clip(&g.CoolDowns[at].Cause)
		}
		for at := range g.Problems {
			clip(&g.Problems[at])
		}
	}
	for at := range w.Pods {
		clip(&w.Pods[at].Cause)
	}
	for _, s := range w.Searches {
		for at := range s.Answers {
			clip(&s.Answers[at].Reason)
			s.Answers[at].Expander = awsmessage.Clip(s.Answers[at].Expander, maxText)
		}
	}
	return w
}

// newest returns a new list of the element and the first ones of a list, of the size at most.
func newest[T any](element T, list []T, size int) []T {
	return append([]T{element}, list[:min(len(list), size-1)]...)
}

// first returns the first elements of a list. It keeps none of the others alive.
func first[T any](list []T, size int) []T {
	if len(list) <= size {
		return list
	}
	return slices.Clone(list[:size])
}

// orEmpty returns the list, empty instead of nil, because a client of the JSON expects a list.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// clip bounds the texts of the reason, and puts the region into its commands.
func (r *Reason) clip(region string) {
	r.Message, r.Remedy = awsmessage.Clip(r.Message, maxText), awsmessage.Clip(shellword.InRegion(region, r.Remedy), maxText)
}
