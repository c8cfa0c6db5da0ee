package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// noMoves answers for a shadow, which takes the flags of moves and makes none, and for a plugin, which does not start with them.
const noMoves = "The autoscaler that answers is a shadow or a plugin, which replaces no node and looks for no plan. A shadow's leader may.\n"

// Moving returns the nodes to replace. The nodes that nothing holds back come first.
func Moving(r *decision.Report) []decision.Node {
	nodes := slices.DeleteFunc(slices.Clone(r.Nodes), func(n decision.Node) bool { return n.Move == nil })
	slices.SortStableFunc(nodes, func(a, b decision.Node) int {
		return cmp.Or(cmp.Compare(len(a.Move.Hold), len(b.Move.Hold)), cmp.Compare(a.Group, b.Group))
	})
	return nodes
}

// MovesOf is the answer of asgctl moves, for JSON and as a table.
func MovesOf(r *decision.Report) (answer any, table string) {
	nodes := append([]decision.Node{}, Moving(r)...)
	answer = struct {
		header
		Nodes []decision.Node `json:"nodes"`
	}{header{Version: Version, At: r.At}, nodes}
	var rows [][]string
	for _, n := range nodes {
		m := n.Move
		rows = append(rows, []string{n.Name, n.Group, m.Reason, age(m.Since, r.At), m.Replacement, fmt.Sprint(m.Failures), moveState(&n, r), m.Cause})
	}
	if r.Shadow != nil || r.Process.Plugin {
		return answer, noMoves
	}
	if len(rows) == 0 {
		return answer, "No node is to be replaced.\n"
	}
	return answer, Columns([]string{"NAME", "GROUP", "REASON", "FOR", "REPLACEMENT", "FAILURES", "STATE", "CAUSE"}, rows)
}

func moveState(n *decision.Node, r *decision.Report) string {
	switch {
	case n.Move.Waits != "":
		return "waits: " + n.Move.Waits
	case n.Move.Retry.After(r.At):
		return "tried again in " + age(r.At, n.Move.Retry)
	case n.State.Goes():
		return string(n.State)
	case n.Move.Replacement != "":
		return "its replacement starts"
	}
	return "looks for a place for its pods"
}

// PlanOf is the answer of asgctl plan, for JSON and as a table. One of an autoscaler that does not look for plans has the header alone.
func PlanOf(r *decision.Report) (answer any, table string) {
	s, c := r.Spend, r.Spend.Consolidation
	answer = struct {
		header
		*decision.Consolidation
	}{header{Version, r.At, s.Currency}, c}
	switch {
	case r.Shadow != nil, r.Process.Plugin:
		return answer, noMoves
	case c == nil:
		return answer, "The autoscaler does not look for nodes that cost too much: start it with --asg-consolidate=plan.\n"
	case len(c.Plans) == 0:
		return answer, "No node is known to cost more than it has to.\n"
	}
	states := map[bool]string{true: "carried out", false: "proposed"}
	var rows [][]string
	for _, p := range c.Plans {
		rows = append(rows, []string{strings.Join(p.Nodes, " "), p.NewNode, fmt.Sprintf("%.3f", p.PerHour), fmt.Sprintf("%.3f", p.Saving), states[p.Begun]})
	}
	return answer, Columns([]string{"NODES", "NEW-NODE", "PER-HOUR", "SAVING", "STATE"}, rows) +
		fmt.Sprintf("\nIn %s per hour. Together they save at most %.3f of %.3f.\n", Clean(s.Currency), c.Saving(), s.PerHour)
}

type Node struct {
	Version string           `json:"version"`
	Source  Source           `json:"source"`
	At      time.Time        `json:"at"`
	Reading decision.Reading `json:"reading"`
	Node    decision.Node    `json:"node"`
}

// NodeOf explains a node by its name or its instance. There is no answer if the report does not have it.
func NodeOf(r *decision.Report, source Source, name string) (*Node, bool) {
	for _, node := range r.Nodes {
		if node.Name == name || node.InstanceID == name {
			if source == DryRun {
				node.Since = time.Time{} // its loops have only begun
			}
			return &Node{Version: Version, Source: source, At: r.At, Reading: r.Reading, Node: node}, true
		}
	}
	return nil, false
}

// Text is the answer for a person. Its first line is the reason, with the state and for how long it has been so.
func (n *Node) Text() string {
	node, reason := &n.Node, n.Node.Reason
	reason.Remedy = n.Reading.Then(reason.Remedy, n.At)
	rows := [][]string{{"group", node.Group},
		{"instance", strings.Join(strings.Fields(node.InstanceID+" "+node.InstanceType+" "+node.CapacityType), " ") + " in " + node.Zone}}
	if node.Utilization >= 0 {
		rows = append(rows, []string{"utilization", fmt.Sprintf("%.0f %%", 100*node.Utilization)})
	}
	if node.Pod != "" {
		rows = append(rows, []string{"kept by pod", node.Pod})
	}
	if !node.RemovalAt.IsZero() {
		rows = append(rows, []string{"removal", fmt.Sprintf("in %s, at %s", age(n.At, node.RemovalAt), node.RemovalAt.UTC().Format(time.TimeOnly+" MST"))})
	}
	if m := node.Move; m != nil {
		rows = append(rows, []string{"replacement", m.Reason + ": " + m.Cause + ", " + moveState(node, &decision.Report{At: n.At})})
	}
	console := ""
	for _, line := range node.Console {
		console += "\n  " + Clean(line)
	}
	if console != "" {
		console = "\nThe end of its console output, without secrets:" + console + "\n"
	}
	return stale(n.Reading, n.At) + Clean(node.Reason.Message) + " (" + string(node.State) + since(node.Since, n.At) + ")\n\n" + Columns([]string{"NODE", node.Name}, rows) + console + next(reason)
}
