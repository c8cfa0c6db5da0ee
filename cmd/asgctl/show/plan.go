package show

import (
	"fmt"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// Plan is the JSON of asgctl plan. An autoscaler that does not look for plans has the header alone.
type Plan struct {
	header
	*decision.Consolidation
}

func PlanOf(r *decision.Report) Plan {
	return Plan{header{Version, r.At, r.Spend.Currency}, r.Spend.Consolidation}
}

func PlanTable(s decision.Spend) string {
	c := s.Consolidation
	switch {
	case c == nil:
		return "The autoscaler does not look for nodes that cost too much: start it with --asg-consolidate=plan.\n"
	case len(c.Plans) == 0:
		return "No node is known to cost more than it has to.\n"
	}
	states := map[bool]string{true: "carried out", false: "proposed"}
	var rows [][]string
	for _, p := range c.Plans {
		rows = append(rows, []string{strings.Join(p.Nodes, " "), p.NewNode, fmt.Sprintf("%.3f", p.PerHour), fmt.Sprintf("%.3f", p.Saving), states[p.Begun]})
	}
	return Columns([]string{"NODES", "NEW-NODE", "PER-HOUR", "SAVING", "STATE"}, rows) +
		fmt.Sprintf("\nIn %s per hour. Together they save at most %.3f of %.3f.\n", s.Currency, c.Saving(), s.PerHour)
}
