package pages

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"time"

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
	Caption  string
	Currency string // of the prices
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

type headline struct {
	Level  level
	Text   string
	Detail string
	Remedy string
}

type totals struct {
	Waiting, Ready, Starting, Leaving, Desired, Attention int
	Calls                                                 int64
}

type cause struct {
	decision.Reason
	Key     string // stays while only figures of the message change
	State   decision.PodState
	rank    int // of the state
	Level   level
	Word    string // the state in words
	Count   int
	Since   time.Time // when the first of them became pending
	Pods    list[*decision.Pod]
	Answers list[decision.Answer] // to the first of them
}

type group struct {
	*decision.Group
	Bar      bar
	Level    level
	Word     string
	Remedy   string
	CoolDown list[decision.CoolDown]
	Problem  list[decision.Reason]
	Limit    list[string] // by the clock
}

// newView puts a report, nil for none, into the page's order: what needs attention comes first.
func newView(report *decision.Report) *view {
	if report == nil {
		report = &decision.Report{}
	}
	v := &view{Report: report}
	causes := newCauses(report)
	for at := range causes {
		causes[at].Remedy = report.Reading.Then(causes[at].Remedy, report.At)
	}
	v.Causes = first(causes, mostCauses)
	v.Rows = newGroups(report.Groups, causes)
	v.setNodes()
	v.Entries = first(report.Timeline, mostEntries)
	v.Earlier = first(report.Timeline[len(v.Entries.Shown):], mostEarlier)
	v.Starts = first(report.Launches, mostLaunches)
	v.APICalls = newCalls(report.Calls)
	v.Given = first(report.Process.Flags, mostFlags)
	v.Total = newTotals(report)
	v.Headline = newHeadline(report, causes, v.Total.Waiting)
	if stale, old := report.Reading.Stale(report.At); old && report.Process.Leader {
		v.Headline = headline{bad, stale.Message, "By these facts: " + v.Headline.Text, stale.Remedy}
	}
	return v
}

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
		if n.State == decision.NodeDraining || n.State == decision.NodeLeaving {
			t.Leaving++
		}
	}
	for _, c := range report.Calls {
		t.Calls += c.Count
	}
	return t
}

// newHeadline picks the sentence for the worst that is going on.
func newHeadline(report *decision.Report, causes []cause, waiting int) headline {
	fits := waiting // a node, when the causes before have no pod
	for _, c := range causes {
		if c.State == decision.PodIgnored {
			fits -= c.Count
		}
	}
	groups := slices.SortedFunc(slices.Values(pointers(report.Groups)), byAttention)
	switch result := report.Loop.Result; {
	case !report.Process.Leader:
		return headline{Level: moving, Text: "This replica stands by", Detail: cmp.Or(report.Process.Holder, "Another replica") + " holds the lease and autoscales. Its own page shows what it does."}
	case report.Loop.Number == 0:
		return headline{Level: moving, Text: "No loop has run yet", Detail: "The autoscaler reads the groups and the cluster first."}
	case result.Code == decision.CodeUnhealthy, result.Code == decision.CodeStale, result.Code == decision.CodeDenied, result.Code == decision.CodeNoGroups:
		return headline{bad, "The autoscaler cannot act", result.Message, result.Remedy}
	case len(causes) > 0 && (causes[0].State == decision.PodHelpless || causes[0].State == decision.PodDelayed):
		worst := causes[0]
		h := headline{Level: worst.Level, Text: wait(worst.Count) + ": " + worst.Message, Remedy: worst.Remedy}
		if others := waiting - worst.Count; others > 0 {
			h.Detail = count(others) + " more"
			if further := len(causes) - 1; further > 0 {
				h.Detail += ": " + causes[1].Message
				if further > 1 {
					h.Detail += ", and " + noun(further-1, "further reason")
				}
			}
		}
		return h
	case len(groups) > 0 && groupLevel(groups[0]) == bad:
		worst := groups[0]
		h := headline{Level: bad, Text: "Group " + worst.Name + " is degraded: " + worst.Reason.Message, Remedy: worst.Reason.Remedy}
		if fits > 0 {
			h.Detail = placed(fits) + "."
		}
		return h
	case report.Loop.Result.Code == decision.CodeOther:
		return headline{warning, "The last scale-up did not end well", report.Loop.Result.Message, report.Loop.Result.Remedy}
	case fits > 0:
		return headline{Level: moving, Text: placed(fits), Detail: causes[0].Message}
	case len(groups) > 0 && groupLevel(groups[0]) == warning:
		return warningOf(groups[0])
	case len(causes) > 0:
		return headline{Level: calm, Text: "All is well, and no node is launched for " + noun(waiting, "pod"), Detail: causes[0].Message}
	default:
		return headline{Level: calm, Text: "All is well, no pod waits"}
	}
}

// warningOf is the sentence about a group to look at while no pod waits for a node.
func warningOf(g *decision.Group) headline {
	says, why := "cannot grow now", g.Reason
	switch {
	case g.State == decision.GroupCoolDown:
	case len(g.CoolDowns) > 0:
		says, why = "cannot grow everywhere", g.CoolDowns[0].Cause
	default:
		says, why = "needs a look", g.Problems[0]
	}
	return headline{warning, "No pod waits for a node, but group " + g.Name + " " + says, why.Message, why.Remedy}
}

func wait(n int) string {
	if n == 1 {
		return "1 pod waits"
	}
	return count(n) + " pods wait"
}

// placed is about pods that need nothing more.
func placed(n int) string { return wait(n) + ", with a place or with a node on its way" }

func pointers[T any](all []T) []*T {
	p := make([]*T, len(all))
	for i := range all {
		p[i] = &all[i]
	}
	return p
}

// podStates are the states of pods: first the ones that an operator can do something about.
var podStates = []struct {
	state decision.PodState
	level level
	word  string
}{
	{decision.PodHelpless, bad, "no group helps"},
	{decision.PodDelayed, moving, "delayed"},
	{decision.PodLaunching, moving, "node on its way"},
	{decision.PodFits, moving, "has a place"},
	{decision.PodIgnored, calm, "gets no node"},
}

// newCauses groups the pending pods by state and cause, the most urgent and then the largest first.
func newCauses(report *decision.Report) []cause {
	type key struct {
		state   decision.PodState
		code    decision.Code
		message string
	}
	index := map[key]int{}
	var causes []cause
	for _, pod := range pointers(report.Pods) {
		k := key{pod.State, pod.Cause.Code, pod.Cause.Message}
		i, known := index[k]
		if !known {
			i = len(causes)
			index[k] = i
			c := cause{Reason: pod.Cause, State: pod.State, Since: pod.Since}
			for rank, s := range podStates {
				if s.state == pod.State {
					c.rank, c.Level, c.Word = rank, s.level, s.word
				}
			}
			if pod.State == decision.PodHelpless && pod.Group != "" {
				c.Word = "still no node"
			}
			if s := pod.Search; s >= 0 && s < len(report.Searches) {
				c.Answers = first(report.Searches[s].Answers, mostAnswers)
			}
			causes = append(causes, c)
		}
		c := &causes[i]
		c.Count++
		if pod.Since.Before(c.Since) {
			c.Since = pod.Since
		}
		if len(c.Pods.Shown) < mostPods {
			c.Pods.Shown = append(c.Pods.Shown, pod)
		} else {
			c.Pods.More++
		}
	}
	slices.SortStableFunc(causes, func(a, b cause) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.Count, a.Count), strings.Compare(a.Message, b.Message))
	})
	seen := map[string]int{}
	for i := range causes[:min(len(causes), mostCauses)] {
		k := stableKey(string(causes[i].State), causes[i].Message)
		seen[k]++
		causes[i].Key = fmt.Sprintf("%s-%d", k, seen[k])
	}
	return causes
}

// stableKey is the same for two messages that differ in figures alone. The script finds by it the element that it keeps open.
func stableKey(kind, message string) string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(kind + " " + digits.ReplaceAllString(message, "")))
	return fmt.Sprintf("%x", sum.Sum64())
}

var digits = regexp.MustCompile(`\p{Nd}`)

func groupLevel(g *decision.Group) level {
	switch {
	case g.State == decision.GroupDegraded:
		return bad
	case g.State == decision.GroupCoolDown, len(g.CoolDowns) > 0, len(g.Problems) > 0:
		return warning
	default:
		return calm
	}
}

// groupRank orders groups: those that need attention, then full ones, those in motion, those with nodes, and the others.
func groupRank(g *decision.Group) int {
	switch l := groupLevel(g); {
	case l == bad:
		return 0
	case l == warning:
		return 1
	case g.Starting > 0 || g.Desired != g.Ready:
		return 2
	case g.State == decision.GroupFull:
		return 3
	case g.Desired > 0:
		return 4
	default:
		return 5
	}
}

func byAttention(a, b *decision.Group) int {
	return cmp.Or(cmp.Compare(groupRank(a), groupRank(b)), strings.Compare(a.Name, b.Name))
}

func newGroups(all []decision.Group, causes []cause) list[group] {
	sorted := slices.SortedFunc(slices.Values(pointers(all)), byAttention)
	shown := first(sorted, mostGroups)
	rows := list[group]{More: shown.More}
	for _, g := range shown.Shown {
		coolDowns, problems := g.Beside()
		row := group{Group: g, Bar: newBar(g), Level: groupLevel(g), Word: string(g.State), Remedy: g.Reason.Remedy,
			CoolDown: first(coolDowns, mostCoolDowns), Problem: first(problems, mostProblems), Limit: first(g.Clock, mostProblems)}
		for _, c := range causes {
			if c.Message == g.Reason.Message { // the size that is enough for all of its pods
				row.Remedy = c.Remedy
			}
		}
		switch {
		case g.State == decision.GroupReady && g.Starting > 0:
			row.Word = "growing"
			if row.Level == calm {
				row.Level = moving
			}
		case g.State == decision.GroupReady && g.Desired == 0:
			row.Word = "at zero"
		}
		rows.Shown = append(rows.Shown, row)
	}
	return rows
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
	v.Moving = nodeTable{first(moving, mostNodes), "Nodes that start, drain or leave", v.Spend.Currency}
	v.Kept = nodeTable{first(blocked, mostNodes), "Nodes that are not needed and that something keeps", v.Spend.Currency}
	v.Every = nodeTable{first(every, mostEvery), "All nodes, the dearest first", v.Spend.Currency}
}

// newCalls puts the actions first that were throttled or failed.
func newCalls(all []decision.Call) list[decision.Call] {
	sorted := slices.SortedStableFunc(slices.Values(all), func(a, b decision.Call) int {
		return cmp.Or(cmp.Compare(b.Throttled+b.Failed, a.Throttled+a.Failed), cmp.Compare(b.Count, a.Count))
	})
	return first(sorted, mostCalls)
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

// barWidth is the width of a group's bar in its own units.
const barWidth = 100

// bar is a group's size on a scale from 0 to its maximum.
type bar struct {
	Ready, Desired, Min float64 // ends of the parts, 0 to barWidth
}

func newBar(g *decision.Group) bar {
	scale := float64(max(g.Max, g.Desired, g.Ready, 1)) / barWidth
	at := func(n int) float64 { return float64(max(n, 0)) / scale }
	return bar{Ready: at(min(g.Ready, max(g.Desired, 0))), Desired: at(g.Desired), Min: at(g.Min)}
}
