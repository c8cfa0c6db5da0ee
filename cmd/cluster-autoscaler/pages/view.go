package pages

import (
	"cmp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// The most rows of each list. The page says how many more there are, and the JSON has them all.
const (
	mostGroups    = 100
	mostCauses    = 20
	mostPods      = 20 // of a cause
	mostAnswers   = 12 // of a cause
	mostNodes     = 60
	mostEvery     = 100 // of all nodes
	mostEntries   = 12
	mostEarlier   = 60 // folded away
	mostLaunches  = 30
	mostCalls     = 40
	mostCoolDowns = 4 // of a group
	mostProblems  = 3 // of a group
	mostFlags     = 60
)

// view is a report in the order and the words of the page.
type view struct {
	*decision.Report
	Headline headline
	Total    totals
	Causes   list[cause]
	Rows     list[group]
	Moving   nodeTable
	Kept     nodeTable // not needed, but something keeps them
	Every    nodeTable // the dearest first
	Entries  list[decision.Entry]
	Earlier  list[decision.Entry]
	Starts   list[decision.Launch]
	APICalls list[decision.Call]
	Given    list[string] // flags
}

// list is the beginning of a longer list.
type list[T any] struct {
	Shown []T
	More  int
}

// Count is the length of the longer list.
func (l list[T]) Count() int { return len(l.Shown) + l.More }

type nodeTable struct {
	list[*decision.Node]
	Caption string
	View    *view
}

func first[T any](all []T, most int) list[T] {
	n := min(len(all), most)
	return list[T]{all[:n], len(all) - n}
}

// level says how much an operator should care. It is a CSS class, and each level has a word or a sign, too.
type level string

const (
	calm    level = "calm"
	moving  level = "moving"
	warning level = "warning"
	bad     level = "bad"
)

type totals struct {
	Waiting, Ready, Starting, Leaving, Desired, Attention int
	Calls                                                 int64
}

// newView puts a report into the page's order: what needs attention comes first.
func newView(report *decision.Report) *view {
	v := &view{Report: report}
	causes := newCauses(report)
	v.Causes = first(causes, mostCauses)
	v.Rows = newGroups(report.Groups, causes)
	v.setNodes()
	v.Entries = first(report.Timeline, mostEntries)
	v.Earlier = first(report.Timeline[len(v.Entries.Shown):], mostEarlier)
	v.Starts = first(report.Launches, mostLaunches)
	calls := slices.SortedStableFunc(slices.Values(report.Calls), func(a, b decision.Call) int { // throttled or failed ones first
		return cmp.Or(cmp.Compare(b.Throttled+b.Failed, a.Throttled+a.Failed), cmp.Compare(b.Count, a.Count))
	})
	v.APICalls = first(calls, mostCalls)
	v.Given = first(slices.Concat(report.Process.Off, report.Process.Flags), mostFlags)
	v.Total = newTotals(report)
	v.Headline = newHeadline(report, causes, v.Rows.Shown, v.Total.Waiting)
	if stale, old := report.Reading.Stale(report.At); old && report.Process.Leader {
		v.Headline = headline{bad, stale.Message, "By these facts: " + v.Headline.Text, stale.Remedy}
	}
	return v
}

func (v *view) Then(remedy string) string { return v.Reading.Then(remedy, v.At) }

// Title names the page in the browser's list of tabs: the state first, because tabs are narrow.
func (v *view) Title() string {
	title := "asg-autoscaler"
	if where := cmp.Or(v.Process.Cluster, v.Process.Region); where != "" {
		title = where + " · " + title
	}
	switch waiting := v.Total.Waiting; {
	case v.Reading.Failure.Message != "":
		title = "old facts · " + title
	case waiting > 0:
		title = noun(waiting, "pod") + " waiting · " + title
	case v.Total.Attention > 0:
		title = noun(v.Total.Attention, "group") + " to look at · " + title
	}
	return bounded(title, longestName)
}

func newTotals(report *decision.Report) (t totals) {
	t.Waiting = len(report.Pods) + report.PodsLeft
	for _, g := range pointers(report.Groups) {
		t.Ready += g.Ready
		t.Starting += g.Starting
		t.Desired += g.Desired
		if groupLevel(g) != calm {
			t.Attention++
		}
	}
	for _, n := range pointers(report.Nodes) {
		if n.State.Goes() {
			t.Leaving++
		}
	}
	for _, c := range report.Calls {
		t.Calls += c.Count
	}
	return t
}

func pointers[T any](all []T) []*T {
	p := make([]*T, len(all))
	for i := range all {
		p[i] = &all[i]
	}
	return p
}

// movingStates are the states of nodes that are on their way in or out, in the order of the page.
var movingStates = []decision.NodeState{decision.NodeStarting, decision.NodeDraining, decision.NodeLeaving, decision.NodeUnneeded}

func nodeRank(n *decision.Node) int { return slices.Index(movingStates, n.State) }

func (v *view) setNodes() {
	var moving, blocked []*decision.Node
	every := pointers(v.Nodes)
	for _, n := range every {
		switch {
		case n.State == decision.NodeBlocked:
			blocked = append(blocked, n)
		case nodeRank(n) >= 0:
			moving = append(moving, n)
		}
	}
	slices.SortStableFunc(moving, func(a, b *decision.Node) int { return cmp.Compare(nodeRank(a), nodeRank(b)) })
	slices.SortFunc(every, func(a, b *decision.Node) int {
		return cmp.Or(cmp.Compare(b.PerHour, a.PerHour), strings.Compare(a.Name, b.Name))
	})
	v.Moving = nodeTable{first(moving, mostNodes), "Nodes that start, drain or leave", v}
	v.Kept = nodeTable{first(blocked, mostNodes), "Nodes that are not needed and that something keeps", v}
	v.Every = nodeTable{first(every, mostEvery), "All nodes, the dearest first", v}
}

// nodeLevels are the levels of states of nodes that are not calm.
var nodeLevels = map[decision.NodeState]level{decision.NodeStarting: moving, decision.NodeDraining: warning, decision.NodeLeaving: warning}

var entryKinds = map[decision.EntryKind]struct {
	word  string
	level level
}{
	decision.ScaleUp:      {"Scale-up", moving},
	decision.ScaleDown:    {"Scale-down", calm},
	decision.LaunchFailed: {"Launch failed", bad},
	decision.Interrupted:  {"Interruption", warning},
	decision.Problem:      {"Problem", bad},
	decision.Mended:       {"Mended", calm},
}
