package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

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
