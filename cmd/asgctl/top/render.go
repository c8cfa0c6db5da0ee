package top

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

const (
	leastWidth, leastHeight = 60, 10

	barTitle  = "SIZE" // of the column of bars
	headLines = 3
	gap       = 2
	// lastCells is the least width of a panel's last column, and fixedCells of the others, if there is no room for all.
	lastCells, fixedCells = 9, 4
)

// help is the page of that name.
const help = `q, Ctrl-C         quit
Tab, Shift-Tab    next panel, last panel
1 2 3 4           groups, moving nodes, pending pods, decisions
Up Down k j       move the cursor, also PageUp, PageDown, Home, End, g, G
Enter             everything about the row, and the command that explains it
s                 sort by the next column
r                 reverse the order
n                 all nodes, or those on their way, with use and price for a month
/                 filter all panels. Enter keeps the filter, Escape ends it
p, Space          pause, and go on
? h               this page

A bar reaches from zero to a group's maximum:
█ ready   ▒ asked for   · room   | minimum
nodes 9 (+3 -2)   9 ready, 3 starting, 2 draining or leaving`

// Render draws the screen: exactly v.Height lines, each v.Width cells wide. It returns the view with its cursors inside the lists.
// The report must not be nil. Now is by the clock of the report.
func (v View) Render(r *decision.Report, now time.Time) ([]Line, View) {
	if v.Width < leastWidth || v.Height < leastHeight {
		return v.filled([]Line{{{fmt.Sprintf("The window is smaller than %dx%d.", leastWidth, leastHeight), plain}}}), v
	}
	var rows [panels][]row
	var shown, all [panels]int
	for p := range panels {
		rows[p], shown[p], all[p] = v.rows(p, r, now)
		v.lists[p].cursor = max(0, min(v.lists[p].cursor, len(rows[p])-1))
	}
	lines := v.head(r, now)
	here := rows[v.focus]
	switch {
	case v.page == helpPage:
		for _, line := range strings.Split(help, "\n") {
			lines = append(lines, Line{{"  " + line, plain}})
		}
	case v.page == detailPage && len(here) > 0:
		for _, paragraph := range here[v.lists[v.focus].cursor].detail() {
			for _, line := range wrapped(clean(paragraph), v.Width-2) {
				lines = append(lines, Line{{" " + line, plain}})
			}
			lines = append(lines, nil)
		}
	default:
		for p, height := range v.heights(rows) {
			if height > 0 {
				lines = append(lines, v.panel(p, rows[p], shown[p], all[p], height)...)
			}
		}
	}
	lines = v.filled(lines)
	lines[v.Height-1] = v.foot().sized(v.Width)
	return lines, v
}

// filled makes the lines fill the screen.
func (v View) filled(lines []Line) []Line {
	out := make([]Line, v.Height)
	copy(out, lines)
	for i, line := range out {
		out[i] = line.sized(v.Width)
	}
	return out
}

// head is the first lines of the screen.
func (v View) head(r *decision.Report, now time.Time) []Line {
	right := strings.Repeat(" ", gap) + spend(r)
	if v.Width >= 100 {
		right = strings.Repeat(" ", gap) + spark(r.Spend.History, 30) + right
	}
	return []Line{
		{{fit(v.where(r), v.Width-cells(right), false), bold}, {right, bold}},
		{{counts(r), plain}},
		v.loop(r, now),
	}
}

// where names the autoscaler.
func (v View) where(r *decision.Report) string {
	out := v.Program + " top"
	for _, s := range []string{r.Process.Cluster, r.Process.Region, r.Process.Expander, r.Process.Version} {
		if s != "" {
			out += "  " + clean(s)
		}
	}
	return out
}

func spend(r *decision.Report) string {
	return fmt.Sprintf("%s%.2f %s/h", about(r.Spend.About), r.Spend.PerHour, clean(r.Spend.Currency))
}

// counts sums the report up.
func counts(r *decision.Report) string {
	ready, starting, leaving, helpless := 0, 0, 0, 0
	states := map[decision.GroupState]int{}
	for _, g := range r.Groups {
		ready, starting = ready+g.Ready, starting+g.Starting
		states[g.State]++
	}
	for _, n := range r.Nodes {
		if n.State == decision.NodeDraining || n.State == decision.NodeLeaving {
			leaving++
		}
	}
	for _, p := range r.Pods {
		if p.State == decision.PodHelpless {
			helpless++
		}
	}
	out := fmt.Sprintf("nodes %d (+%d -%d)  pending %d (%d helpless)  groups %d", ready, starting, leaving, len(r.Pods), helpless, len(r.Groups))
	var bad []string
	for _, s := range []decision.GroupState{decision.GroupCoolDown, decision.GroupDegraded} {
		if states[s] > 0 {
			bad = append(bad, fmt.Sprintf("%d %s", states[s], s))
		}
	}
	if len(bad) > 0 {
		out += " (" + strings.Join(bad, ", ") + ")"
	}
	return out
}

// loop is the line about the last loop, or about a reading that failed.
func (v View) loop(r *decision.Report, now time.Time) Line {
	if v.Failure != "" {
		return Line{{"as of " + age(now.Sub(r.At)) + " ago: " + clean(v.Failure), bad}}
	}
	if stale, old := r.Reading.Stale(now); old {
		return Line{{clean(stale.Message), bad}, {"  Remedy: " + clean(stale.Remedy), plain}}
	}
	if holder := r.Process.Holder; holder != "" && !r.Process.Leader {
		return Line{{"this replica stands by, " + clean(holder) + " holds the lease", warn}}
	}
	if r.Loop.Number == 0 {
		return Line{{"no loop yet", faint}}
	}
	last := fmt.Sprintf("loop %d %s ago, took %s", r.Loop.Number, age(now.Sub(r.Loop.Started)), decision.Span(r.Loop.Duration.Round(time.Millisecond)))
	line := Line{{clean(because(last, r.Loop.Result)), faint}}
	if v.Paused {
		return append(Line{{"PAUSED ", warn}}, line...)
	}
	return line
}

// foot is the last line of the screen.
func (v View) foot() Line {
	switch {
	case v.typing:
		return Line{{"/" + v.filter, bold}, {"█", plain}, {"  Enter keep   Escape end", faint}}
	case v.page != noPage:
		return Line{{"Escape back   q quit", faint}}
	case v.filter != "":
		return Line{{"/" + v.filter, bold}, {"  Escape all   / change   ? help   q quit", faint}}
	}
	return Line{{"q quit  ? help  Tab panel  Enter details  s sort  r reverse  / filter  p pause", faint}}
}

// heights shares the lines between the panels. The panel in focus gets up to half of them, and the others share the rest. Lines that
// one does not need go to the next. On a low screen the panel in focus is the only one.
func (v View) heights(rows [panels][]row) [panels]int {
	var out [panels]int
	left := v.Height - headLines - 1
	if left < panels*3 {
		out[v.focus] = left
		return out
	}
	give := func(p, most int) {
		more := max(0, min(most, 1+max(1, len(rows[p]))-out[p]))
		out[p], left = out[p]+more, left-more
	}
	give(v.focus, left/2)
	share := left / (panels - 1)
	for p := range panels {
		if p != v.focus {
			give(p, share)
		}
	}
	for _, p := range []int{v.focus, podsPanel, groupsPanel, nodesPanel, decisionsPanel} {
		give(p, left)
	}
	return out
}

// panel draws the header of a panel, and the rows about its cursor.
func (v View) panel(p int, rows []row, shown, all, height int) []Line {
	var visible []int
	header := row{cells: make([]cell, len(columns[p]))}
	for i, c := range columns[p] {
		if !v.shows(c) {
			continue
		}
		visible = append(visible, i)
		title := c.title
		if i == 0 && p == nodesPanel && v.every {
			title = "ALL NODES"
		}
		if i == 0 {
			base := title
			title += fmt.Sprintf(" %d", all)
			if shown != all {
				title = fmt.Sprintf("%s %d/%d", base, shown, all)
			}
		}
		if c.title == v.sorted(p) {
			title += map[bool]string{true: "▴", false: "▾"}[v.lists[p].reversed]
		}
		header.cells[i] = text(title, plain)
	}
	widths := v.widths(p, visible, append([]row{header}, rows...))
	look := bold
	if p == v.focus {
		look = chosen
	}
	lines := []Line{header.draw(p, visible, widths).sized(v.Width).in(look)}
	if len(rows) == 0 {
		return append(lines, Line{{"none", faint}})
	}
	first := max(0, min(v.lists[p].cursor-(height-1)/2, len(rows)-(height-1)))
	for i, row := range rows[first:min(len(rows), first+height-1)] {
		line := row.draw(p, visible, widths).sized(v.Width)
		if p == v.focus && first+i == v.lists[p].cursor {
			line = line.in(chosen)
		}
		lines = append(lines, line)
	}
	return lines
}

// widths are the widths of the visible columns: of their content, but the first at most a quarter of the screen, others a
// sixth, and the last the rest.
func (v View) widths(p int, visible []int, rows []row) []int {
	widths := make([]int, len(visible))
	left := v.Width
	last := len(visible) - 1
	for i, c := range visible[:last] {
		most := v.Width / 6
		if i == 0 {
			most = v.Width / 4
		}
		for _, row := range rows {
			if row.cells[c].bar != nil {
				widths[i] = most
			}
			widths[i] = min(most, max(widths[i], cells(row.cells[c].text.text)))
		}
		left -= widths[i] + gap
	}
	for left < lastCells {
		widest := slices.Index(widths, slices.Max(widths))
		if widths[widest] <= fixedCells {
			break
		}
		widths[widest]--
		left++
	}
	widths[last] = max(left, 0)
	return widths
}

// draw aligns the visible cells of a row. Numbers stand at the right.
func (r row) draw(p int, visible, widths []int) Line {
	var out Line
	for i, c := range visible {
		if i > 0 {
			out = append(out, span{strings.Repeat(" ", gap), plain})
		}
		if group := r.cells[c].bar; group != nil {
			out = append(out, bar(group, widths[i])...)
			continue
		}
		right := columns[p][c].number && columns[p][c].title != barTitle
		out = append(out, span{fit(r.cells[c].text.text, widths[i], right), r.cells[c].text.style})
	}
	return out
}

// Table returns the report as text, for a file or another program. All texts are clean.
func Table(r *decision.Report) string {
	v := View{Width: far, Program: "asgctl"}
	out := v.where(r) + "  " + spend(r) + "\n" + counts(r) + "\n" + v.loop(r, r.At).String() + "\n"
	for p := range panels {
		rows, _, _ := v.rows(p, r, r.At)
		header := slices.DeleteFunc(v.titles(p), func(title string) bool { return title == barTitle })
		lines := make([][]string, len(rows))
		for i, row := range rows {
			for _, c := range row.cells {
				if c.bar == nil {
					lines[i] = append(lines[i], c.text.text)
				}
			}
		}
		out += "\n" + show.Columns(header, lines)
	}
	return out
}
