package show

import (
	"fmt"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// PlanOf is the answer of asgctl plan, for JSON and as a table. One of an autoscaler that does not look for plans has the header alone.
func PlanOf(r *decision.Report) (answer any, table string) {
	s, c := r.Spend, r.Spend.Consolidation
	answer = struct {
		header
		*decision.Consolidation
	}{header{Version, r.At, s.Currency}, c}
	switch {
	case r.Shadow != nil:
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
