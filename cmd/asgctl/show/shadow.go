package show

import (
	"fmt"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// ShadowTable compares a shadow with the leader, for a person.
func ShadowTable(r *decision.Report) string {
	var days, others [][]string
	for _, d := range r.Shadow.Days {
		days = append(days, []string{d.Day, d.Words(r.Spend.Currency)})
	}
	for _, c := range r.Shadow.Comparisons {
		others = append(others, []string{c.From.UTC().Format(time.DateTime), fmt.Sprintf("pods: %d, nodes: %s", c.Pods, c.Shadow), c.Leader.String(), c.Words(r.Spend.Currency)})
	}
	for _, n := range r.Shadow.Removals {
		others = append(others, []string{n.At.UTC().Format(time.DateTime), "removal of " + n.Node, n.Group, n.Words()})
	}
	return fmt.Sprintf("Pods that wait for the leader: %d. Writes refused: %d.\n\n", r.Shadow.Waiting, r.Shadow.Refused) +
		Columns([]string{"DAY", "THE SHADOW THAN THE LEADER"}, days) + "\n" + Columns([]string{"AT", "SHADOW", "LEADER", "THE SHADOW THAN THE LEADER"}, others)
}
