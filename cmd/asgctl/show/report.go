package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// ReportTable is the report of the running autoscaler for a person: groups, moving nodes, pending pods, decisions.
func ReportTable(r *decision.Report) string {
	head := "asgctl top"
	for _, s := range []string{r.Process.Cluster, r.Process.Region, r.Process.Expander, r.Process.Version} {
		if s != "" {
			head += "  " + Clean(s)
		}
	}
	head += "  " + money(r.Spend.About, "%.2f", r.Spend.PerHour) + " " + Clean(r.Spend.Currency) + "/h\n"
	for _, c := range r.Spend.Caps {
		if c.Group == "" { // groups may be many, and their rows say when the cap holds them
			head += fmt.Sprintf("spend cap  %s  %s of %.2f\n", Clean(c.Of), money(c.About, "%.2f", c.Spent), c.PerHour)
		}
	}
	text := stale(r.Reading, r.At) + head + counts(r) + "\n" + Clean(loop(r)) + "\n"
	for _, table := range []string{groupRows(r), nodeRows(r), podRows(r), decisionRows(r)} {
		text += "\n" + table
	}
	return text
}

// header begins the JSON of a part of a report.
type header struct {
	Version  string    `json:"version"`
	At       time.Time `json:"at"`                 // the report
	Currency string    `json:"currency,omitempty"` // of all amounts
}

// ShadowOf is the answer of asgctl shadow, for JSON and as a table. One of an autoscaler that is no shadow has the header alone.
func ShadowOf(r *decision.Report) (answer any, table string) {
	answer = struct {
		header
		*decision.Shadow
	}{header{Version, r.At, r.Spend.Currency}, r.Shadow}
	if r.Shadow == nil {
		return answer, "The autoscaler that answers is no shadow: start one with --shadow.\n"
	}
	var days, all [][]string
	for _, d := range r.Shadow.Days {
		days = append(days, []string{d.Day, d.Words(r.Spend.Currency)})
	}
	for _, c := range r.Shadow.Comparisons {
		all = append(all, []string{c.From.UTC().Format(time.DateTime), c.What(), c.Words(r.Spend.Currency)})
	}
	return answer, fmt.Sprintf("Pods that wait for the leader: %d. Writes refused: %d.\n\n", r.Shadow.Waiting, r.Shadow.Refused) +
		Columns([]string{"DAY", "THE SHADOW THAN THE LEADER"}, days) + "\n" + Columns([]string{"AT", "SHADOW AND LEADER", "THE SHADOW THAN THE LEADER"}, all)
}

func counts(r *decision.Report) string {
	ready, starting, leaving, helpless := 0, 0, 0, 0
	states := map[decision.GroupState]int{}
	for _, g := range r.Groups {
		ready, starting = ready+g.Ready, starting+g.Starting
		states[g.State]++
	}
	for _, n := range r.Nodes {
		if n.State.Goes() {
			leaving++
		}
	}
	for _, p := range r.Pods {
		if p.State == decision.PodHelpless {
			helpless++
		}
	}
	out := fmt.Sprintf("nodes %d (+%d -%d)  pending %d (%d helpless)  groups %d", ready, starting, leaving, len(r.Pods)+r.PodsLeft, helpless, len(r.Groups))
	var bad []string
	for _, s := range []decision.GroupState{decision.GroupPaused, decision.GroupCoolDown, decision.GroupDegraded} {
		if states[s] > 0 {
			bad = append(bad, fmt.Sprintf("%d %s", states[s], s))
		}
	}
	if len(bad) > 0 {
		out += " (" + strings.Join(bad, ", ") + ")"
	}
	return out
}

func loop(r *decision.Report) string {
	if holder := r.Process.Holder; holder != "" && !r.Process.Leader {
		return "this replica stands by, " + holder + " holds the lease"
	}
	if r.Loop.Number == 0 {
		return "no loop yet"
	}
	last := fmt.Sprintf("loop %d %s ago, took %s", r.Loop.Number, age(r.Loop.Started, r.At), decision.Span(r.Loop.Duration.Round(time.Millisecond)))
	return because(last, r.Loop.Result)
}

func groupRows(r *decision.Report) string {
	var rows [][]string
	for _, g := range r.Groups {
		ready := fmt.Sprint(g.Ready)
		if g.Starting > 0 {
			ready += fmt.Sprintf("+%d", g.Starting)
		}
		rows = append(rows, []string{g.Name, fmt.Sprint(g.Min), fmt.Sprint(g.Max), fmt.Sprint(g.Desired), ready, money(g.AboutSpend, "%.2f", g.Spend),
			g.CapacityType, strings.Join(g.Zones, ","), because(string(g.State), g.Reason)})
	}
	return Columns([]string{"GROUPS", "MIN", "MAX", "DES", "READY", "COST/H", "BUYS", "ZONES", "STATE"}, rows)
}

// nodeRows are the nodes that start, drain, leave, or leave soon.
func nodeRows(r *decision.Report) string {
	nodes := slices.Clone(r.Nodes)
	slices.SortStableFunc(nodes, func(a, b decision.Node) int { return b.Since.Compare(a.Since) })
	var rows [][]string
	for _, n := range nodes {
		if n.State == decision.NodeNeeded || n.State == decision.NodeBlocked {
			continue
		}
		used, month, why := "", "", n.Reason.Message
		if n.Utilization >= 0 {
			used = fmt.Sprintf("%.0f%%", n.Utilization*100)
		}
		if n.PerHour > 0 {
			month = money(n.About, "%.0f", n.PerMonth())
		}
		if n.RemovalAt.After(r.At) {
			why = because("goes in "+age(r.At, n.RemovalAt), n.Reason)
		}
		rows = append(rows, []string{n.Name, string(n.State), age(n.Since, r.At), used, month, n.Group, n.InstanceType, n.Zone, why})
	}
	return Columns([]string{"MOVING NODES", "STATE", "FOR", "USED", "COST/MO", "GROUP", "TYPE", "ZONE", "WHY"}, rows)
}

// podRows have a row for each owner and cause. Pods without an owner have rows of their own.
func podRows(r *decision.Report) string {
	type key struct {
		namespace, owner, group, cause string
		state                          decision.PodState
	}
	pods := slices.Clone(r.Pods)
	slices.SortStableFunc(pods, func(a, b decision.Pod) int { return a.Since.Compare(b.Since) })
	var rows [][]string
	known, counts := map[key]int{}, map[key]int{}
	for _, p := range pods {
		k := key{p.Namespace, cmp.Or(p.Owner, p.Name), p.Group, p.Cause.Message, p.State}
		if counts[k]++; counts[k] > 1 {
			rows[known[k]][0], rows[known[k]][1] = p.Namespace+"/"+k.owner, fmt.Sprint(counts[k])
			continue
		}
		known[k] = len(rows)
		rows = append(rows, []string{p.Namespace + "/" + p.Name, "1", age(p.Since, r.At), string(p.State), p.Group, p.Cause.Message})
	}
	return Columns([]string{"PENDING", "PODS", "FOR", "STATE", "GROUP", "CAUSE"}, rows)
}

func decisionRows(r *decision.Report) string {
	var rows [][]string
	for _, e := range r.Timeline {
		why := e.Reason.Message
		if e.Times > 0 {
			why = fmt.Sprintf("%d times: %s", e.Times, why)
		}
		rows = append(rows, []string{string(e.Kind), age(e.At, r.At), cmp.Or(e.Node, e.Group), why})
	}
	return Columns([]string{"DECISIONS", "AGO", "OF", "WHY"}, rows)
}

func because(state string, why decision.Reason) string {
	if why.Message == "" {
		return state
	}
	return state + ": " + why.Message
}

// age is the time since then, or nothing where it is not known since when.
func age(then, now time.Time) string {
	if then.IsZero() {
		return ""
	}
	return duration.HumanDuration(max(0, now.Sub(then)))
}

// money is an amount. It says so where it is an estimate.
func money(estimated bool, format string, amount float64) string {
	if estimated {
		format = "about " + format
	}
	return fmt.Sprintf(format, amount)
}
