package decision

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Bounds of a Report.
const (
	maxPods        = 10_000
	maxAnswers     = 60_000 // of all searches
	maxNodes       = 10_000
	maxLaunches    = 200
	maxEntries     = 500
	maxText        = 1_000 // bytes of a message or a remedy, because AWS and tags can say anything
	maxProblems    = 5     // of a group
	maxCoolDowns   = 50    // of a group
	maxTypes       = 30    // of a group
	spendInterval  = time.Minute
	maxSpendPoints = 6 * 60
)

// report puts the facts together.
func (f facts) report() *Report {
	r := &Report{Version: Version, At: f.at, Process: f.process, Reading: f.reading, Loop: f.loop, Spend: f.spend,
		Launches: newest(f.launches, maxLaunches), Timeline: newest(f.timeline, maxEntries), Calls: []Call{}}
	r.Groups = orEmpty(f.groups.get(nil, f.process.Region))
	byName := make(ByName, len(r.Groups))
	for at := range r.Groups {
		byName[r.Groups[at].Name] = &r.Groups[at]
	}
	pending := f.pods.get(byName, f.process.Region)
	r.Pods, r.Searches, r.PodsLeft = orEmpty(pending.Pods), orEmpty(pending.Searches), pending.Left
	r.Nodes = orEmpty(f.nodes.get(byName, f.process.Region))
	r.Groups = withStarting(r.Groups, r.Nodes)
	if f.calls != nil {
		r.Calls = orEmpty(f.calls())
		slices.SortFunc(r.Calls, func(a, b Call) int { return strings.Compare(a.Action, b.Action) })
	}
	r.Spend.History = latest(orEmpty(f.spend.History), maxSpendPoints)
	return r
}

// withStarting counts a node as starting, and not as ready, for as long as it is shown so: a node whose GPU is not there is Ready.
func withStarting(groups []Group, nodes []Node) []Group {
	starting := map[string]int{}
	for _, n := range nodes {
		if n.State == NodeStarting {
			starting[n.Group]++
		}
	}
	groups = slices.Clone(groups) // readers have the others
	for at := range groups {
		if more := starting[groups[at].Name] - groups[at].Starting; more > 0 {
			groups[at].Ready, groups[at].Starting = max(0, groups[at].Ready-more), groups[at].Starting+more
		}
	}
	return groups
}

// boundedGroups returns the groups by name, within the bounds.
func boundedGroups(groups []Group, region string) []Group {
	slices.SortFunc(groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	for at := range groups {
		g := &groups[at]
		g.Reason = g.Reason.clipped(region)
		g.Types, g.CoolDowns, g.Problems = first(g.Types, maxTypes), first(g.CoolDowns, maxCoolDowns), first(g.Problems, maxProblems)
		for at := range g.CoolDowns {
			g.CoolDowns[at].Cause = g.CoolDowns[at].Cause.clipped(region)
		}
		for at := range g.Problems {
			g.Problems[at] = g.Problems[at].clipped(region)
		}
	}
	return groups
}

// boundedNodes returns the nodes by name, within the bounds.
func boundedNodes(nodes []Node, region string) []Node {
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	nodes = first(nodes, maxNodes)
	for at := range nodes {
		nodes[at].Reason = nodes[at].Reason.clipped(region)
	}
	return nodes
}

// Room reports whether the record has room for more answers.
func (p *Pending) Room(answers int) bool { return p.answers+answers <= maxAnswers }

// Keep adds a search, and returns its index, -1 without room for its answers.
func (p *Pending) Keep(s Search) int {
	if !p.Room(len(s.Answers)) {
		return -1
	}
	p.answers += len(s.Answers)
	p.Searches = append(p.Searches, s)
	return len(p.Searches) - 1
}

// bounded returns the pods by namespace and name, within the bounds.
func (p Pending) bounded(region string) Pending {
	slices.SortFunc(p.Pods, func(a, b Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	p.Pods, p.Left = first(p.Pods, maxPods), p.Left+max(0, len(p.Pods)-maxPods)
	for at := range p.Pods {
		p.Pods[at].Cause = p.Pods[at].Cause.clipped(region)
	}
	for _, s := range p.Searches {
		for at := range s.Answers {
			s.Answers[at].Reason, s.Answers[at].Expander = s.Answers[at].Reason.clipped(region), clip(s.Answers[at].Expander)
		}
	}
	return p
}

// added appends an element to a list of which the last ones matter, and drops others now and then. It never changes an element
// within the length of the list.
func added[T any](list []T, element T, size int) []T {
	if len(list) >= 2*size {
		list = slices.Clone(latest(list, size))
	}
	return append(list, element)
}

// newest returns the last elements of a list, newest first.
func newest[T any](list []T, size int) []T {
	list = slices.Clone(latest(orEmpty(list), size))
	slices.Reverse(list)
	return list
}

// latest returns the last elements of a list.
func latest[T any](list []T, size int) []T { return list[max(0, len(list)-size):] }

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

// clipped returns the reason with texts of a bounded length, and with the region in its commands.
func (r Reason) clipped(region string) Reason {
	r.Message, r.Remedy = clip(r.Message), clip(shellword.InRegion(region, r.Remedy))
	return r
}

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
