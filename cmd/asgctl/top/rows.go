package top

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// column is one of a panel. Each can be sorted by: numbers from the largest, texts from A.
type column struct {
	title  string
	number bool
	from   int // width of the screen from which it is shown
}

// monthTitle is the title of the price of a node for a month.
const monthTitle = "COST/MO"

// columns are the columns of each panel. The title of the first one is the panel's, and the last one takes the rest of the line.
var columns = [panels][]column{
	groupsPanel: {{title: "GROUPS"}, {title: "MIN", number: true}, {title: barTitle, number: true}, {title: "MAX", number: true}, {title: "DES", number: true},
		{title: "READY", number: true}, {title: "COST/H", number: true}, {title: "BUYS", from: 100}, {title: "ZONES", from: 160}, {title: "STATE"}},
	nodesPanel: {{title: "MOVING NODES"}, {title: "STATE"}, {title: "FOR", number: true}, {title: "USED", number: true, from: 140},
		{title: monthTitle, number: true, from: 140}, {title: "GROUP"}, {title: "TYPE", from: 100}, {title: "ZONE", from: 120},
		{title: "WHY"}},
	podsPanel:      {{title: "PENDING"}, {title: "PODS", number: true}, {title: "FOR", number: true}, {title: "STATE"}, {title: "GROUP", from: 100}, {title: "CAUSE"}},
	decisionsPanel: {{title: "DECISIONS"}, {title: "AGO", number: true}, {title: "OF"}, {title: "WHY"}},
}

// firstSort is the column by which each panel is sorted at the start.
var firstSort = [panels]string{"GROUPS", "FOR", "FOR", "AGO"}

// shows reports whether the screen is wide enough for the column. The list of all nodes is about two of them.
func (v View) shows(c column) bool {
	return c.from <= v.Width || v.every && (c.title == "USED" || c.title == monthTitle)
}

// titles are the titles of the columns that the screen shows.
func (v View) titles(p int) []string {
	var out []string
	for _, c := range columns[p] {
		if v.shows(c) {
			out = append(out, c.title)
		}
	}
	return out
}

// cell is what stands in a column.
type cell struct {
	text  span
	value float64         // of a column of numbers
	bar   *decision.Group // drawn instead of the text
}

func text(s string, look style) cell { return cell{text: span{clean(s), look}} }

func number(n int, look style) cell { return value(float64(n), strconv.Itoa(n), look) }

func value(v float64, s string, look style) cell { return cell{text: span{s, look}, value: v} }

// row is one row of a panel.
type row struct {
	cells  []cell          // one of each column
	detail func() []string // paragraphs
}

// rows returns the rows of a panel that the filter admits, in order, and how many things they and all rows stand for.
func (v View) rows(p int, r *decision.Report, now time.Time) (rows []row, shown, all int) {
	switch p {
	case groupsPanel:
		rows, all = v.groups(r, now), len(r.Groups)
	case nodesPanel:
		rows, all = v.nodes(r, now)
	case podsPanel:
		rows, all = v.pods(r, now), len(r.Pods)
	case decisionsPanel:
		rows, all = v.decisions(r, now), len(r.Timeline)
	}
	by := slices.IndexFunc(columns[p], func(c column) bool { return c.title == v.sorted(p) })
	slices.SortStableFunc(rows, func(a, b row) int {
		order := cmp.Compare(b.cells[by].value, a.cells[by].value)
		if !columns[p][by].number {
			order = cmp.Compare(a.cells[by].text.text, b.cells[by].text.text)
		}
		if v.lists[p].reversed {
			order = -order
		}
		return cmp.Or(order, cmp.Compare(a.cells[0].text.text, b.cells[0].text.text))
	})
	shown = len(rows)
	if p == podsPanel {
		shown = 0
		for _, row := range rows {
			shown += int(row.cells[1].value)
		}
	}
	return rows, shown, all
}

func (v View) groups(r *decision.Report, now time.Time) []row {
	looks := map[decision.GroupState]style{decision.GroupReady: good, decision.GroupFull: warn, decision.GroupCoolDown: warn, decision.GroupDegraded: bad}
	var out []row
	for i := range r.Groups {
		g := &r.Groups[i]
		if !v.admits(g.Name, string(g.State), g.Reason.Message, g.CapacityType, strings.Join(g.Zones, ","), strings.Join(g.Types, ",")) {
			continue
		}
		ready := strconv.Itoa(g.Ready)
		if g.Starting > 0 {
			ready += "+" + strconv.Itoa(g.Starting)
		}
		out = append(out, row{[]cell{
			text(g.Name, plain), number(g.Min, faint), {bar: g, value: float64(g.Desired)}, number(g.Max, faint), number(g.Desired, bold),
			value(float64(g.Ready), ready, plain), money(g.Spend, g.AboutSpend), text(g.CapacityType, plain), text(strings.Join(g.Zones, ","), plain),
			text(because(string(g.State), g.Reason), looks[g.State]),
		}, func() []string { return groupDetail(r, g, now) }})
	}
	return out
}

func groupDetail(r *decision.Report, g *decision.Group, now time.Time) []string {
	out := []string{
		"Group " + g.Name + ": " + because(string(g.State), g.Reason),
		fmt.Sprintf("Auto Scaling group %s, minimum %d, desired capacity %d, maximum %d. Ready nodes: %d, starting: %d.", g.AutoScaling, g.Min, g.Desired, g.Max,
			g.Ready, g.Starting),
		"Buys " + cmp.Or(g.CapacityType, "nothing known") + " of " + cmp.Or(strings.Join(g.Types, ", "), "no known type") + " in " +
			cmp.Or(strings.Join(g.Zones, ", "), "no known zone") + ".",
	}
	if g.NodePrice != "" {
		out = append(out, "The next node costs "+g.NodePrice+" per hour.")
	}
	out = append(out, remedy(r, g.Reason)...)
	coolDowns, problems := g.Beside()
	for _, c := range coolDowns {
		out = append(out, because(fmt.Sprintf("Cool-down of %s in %s for another %s", cmp.Or(c.Type, "all types"), cmp.Or(c.Zone, "all zones"),
			age(c.Until.Sub(now))), c.Cause))
	}
	for _, p := range problems {
		out = append(append(out, "Problem: "+p.Message), remedy(r, p)...)
	}
	return out
}

// moving says which nodes the panel shows, and how.
var moving = map[decision.NodeState]style{
	decision.NodeStarting: good, decision.NodeUnneeded: warn, decision.NodeDraining: bad, decision.NodeLeaving: faint,
}

func (v View) nodes(r *decision.Report, now time.Time) (out []row, all int) {
	for i := range r.Nodes {
		n := &r.Nodes[i]
		look, moves := moving[n.State]
		if !moves && !v.every {
			continue
		}
		all++
		if !v.admits(n.Name, n.InstanceID, n.Group, n.Zone, n.InstanceType, string(n.State), n.Reason.Message) {
			continue
		}
		why := n.Reason.Message
		if n.RemovalAt.After(now) {
			why = because("goes in "+age(n.RemovalAt.Sub(now)), n.Reason)
		}
		out = append(out, row{[]cell{
			text(n.Name, plain), text(string(n.State), look), since(n.Since, now, true), used(n), month(n), text(n.Group, plain), text(n.InstanceType, plain),
			text(n.Zone, plain),
			text(why, plain),
		}, func() []string {
			return append([]string{
				"Node " + n.Name + ": " + because(string(n.State)+" for "+age(now.Sub(n.Since)), n.Reason),
				"Instance " + n.InstanceID + ", " + n.InstanceType + " " + n.CapacityType + " in " + n.Zone + ", of group " + n.Group + ".",
			}, append(remedy(r, n.Reason), v.Program+" explain node "+n.Name)...)
		}})
	}
	return out, all
}

// pods returns a row for each owner and cause. Pods without an owner have rows of their own.
func (v View) pods(r *decision.Report, now time.Time) []row {
	type key struct {
		namespace, owner, group, cause string
		state                          decision.PodState
	}
	looks := map[decision.PodState]style{decision.PodHelpless: bad, decision.PodLaunching: good, decision.PodFits: good, decision.PodDelayed: warn}
	var order []key
	same := map[key][]*decision.Pod{}
	for i := range r.Pods {
		p := &r.Pods[i]
		if !v.admits(p.Namespace+"/"+p.Name, p.Owner, p.Group, string(p.State), p.Cause.Message) {
			continue
		}
		k := key{p.Namespace, cmp.Or(p.Owner, p.Name), p.Group, p.Cause.Message, p.State}
		if same[k] == nil {
			order = append(order, k)
		}
		same[k] = append(same[k], p)
	}
	out := make([]row, len(order))
	for i, k := range order {
		first, name := same[k][0], k.owner
		for _, p := range same[k] {
			if p.Since.Before(first.Since) {
				first = p
			}
		}
		if len(same[k]) == 1 {
			name = first.Name
		}
		out[i] = row{[]cell{
			text(k.namespace+"/"+name, plain), number(len(same[k]), plain), since(first.Since, now, false), text(string(k.state), looks[k.state]),
			text(k.group, plain), text(k.cause, plain),
		}, func() []string {
			head := "Pod " + first.Namespace + "/" + first.Name
			if more := len(same[k]) - 1; more > 0 {
				head += fmt.Sprintf(" and %d more of %s", more, first.Owner)
			}
			return append([]string{head + ": " + because(string(k.state)+" for "+age(now.Sub(first.Since)), first.Cause)},
				append(remedy(r, first.Cause), v.Program+" explain pod -n "+first.Namespace+" "+first.Name)...)
		}}
	}
	return out
}

func (v View) decisions(r *decision.Report, now time.Time) []row {
	looks := map[decision.EntryKind]style{decision.ScaleUp: good, decision.Mended: good, decision.LaunchFailed: bad, decision.Problem: bad, decision.Interrupted: warn}
	var out []row
	for i := range r.Timeline {
		e := &r.Timeline[i]
		of := cmp.Or(e.Node, e.Group)
		if !v.admits(string(e.Kind), e.Node, e.Group, e.Reason.Message) {
			continue
		}
		message := e.Reason.Message
		if e.Times > 0 {
			message = fmt.Sprintf("%d times: %s", e.Times, message)
		}
		out = append(out, row{[]cell{
			text(string(e.Kind), looks[e.Kind]), since(e.At, now, true), text(of, plain), text(message, plain),
		}, func() []string {
			return append([]string{because(e.At.UTC().Format(time.DateTime)+" UTC, "+string(e.Kind)+" of "+of, e.Reason)}, remedy(r, e.Reason)...)
		}})
	}
	return out
}

// because joins a state and its reason.
func because(state string, why decision.Reason) string {
	if why.Message == "" {
		return state
	}
	return state + ": " + why.Message
}

func remedy(r *decision.Report, why decision.Reason) []string {
	if why.Remedy == "" {
		return nil
	}
	return []string{"Remedy: " + r.Reading.Then(why.Remedy, r.At)}
}

// used is the share of the node that its pods request, "-" where the core has not computed it.
func used(n *decision.Node) cell {
	if n.Utilization < 0 {
		return value(-1, "-", faint)
	}
	return value(n.Utilization, fmt.Sprintf("%.0f%%", n.Utilization*100), plain)
}

// month is the price of the node for a month, "-" where it is not known.
func month(n *decision.Node) cell {
	if n.PerHour == 0 {
		return value(0, "-", faint)
	}
	return value(n.PerMonth(), about(n.About)+fmt.Sprintf("%.0f", n.PerMonth()), plain)
}

func money(amount float64, estimated bool) cell {
	return value(amount, about(estimated)+fmt.Sprintf("%.2f", amount), plain)
}

// about marks an estimate.
func about(estimated bool) string {
	if estimated {
		return "about "
	}
	return ""
}

// since is a cell with an age, empty for the zero time.
func since(at, now time.Time, newestFirst bool) cell {
	if at.IsZero() {
		return cell{}
	}
	passed := now.Sub(at)
	c := value(passed.Seconds(), age(passed), plain)
	if newestFirst {
		c.value = -c.value
	}
	return c
}

func age(d time.Duration) string { return duration.HumanDuration(max(0, d)) }

// bar draws a group from zero to its maximum: ready nodes, nodes that were asked for, and room. A line stands at the minimum.
func bar(g *decision.Group, width int) Line {
	width--
	scale := max(g.Max, g.Desired, g.Ready, 1)
	at := func(n int) int {
		return int(math.Ceil(float64(min(max(n, 0), scale)) * float64(width) / float64(scale)))
	}
	ready, desired, least := at(min(g.Ready, g.Desired)), at(g.Desired), at(g.Min)
	var out Line
	draw := func(from, to int, rune string, look style) {
		if to > from {
			out = append(out, span{strings.Repeat(rune, to-from), look})
		}
	}
	part := func(from, to int) {
		draw(from, min(ready, to), "█", good)
		draw(max(ready, from), min(desired, to), "▒", warn)
		draw(max(desired, from), to, "·", faint)
	}
	part(0, least)
	out = append(out, span{"|", bold})
	part(least, width)
	return out
}

// spark draws the last points of the spend as bars from zero.
func spark(points []decision.SpendPoint, width int) string {
	points = points[max(0, len(points)-width):]
	most := 0.0
	for _, p := range points {
		most = max(most, p.PerHour)
	}
	var b strings.Builder
	for _, p := range points {
		level := 0
		if most > 0 {
			level = int(math.Round(max(0, p.PerHour) / most * 7))
		}
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[level])
	}
	return b.String()
}
