package decisionmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// shadows compare a shadow with the leader: as of now, or on the last day on which one of the two did something. A leader has none.
func shadows(report func() *decision.Report) (all []prometheus.Collector) {
	for _, m := range [][]string{
		{"shadow_pods_waiting", "Pods for which the shadow would have asked for a node, and that wait for the leader."},
		{"shadow_writes_refused", "Writes but events that the shadow refused within the process. Each is a fault of the program."},
		{"shadow_sooner_seconds", "How much sooner than the leader the shadow would have asked for nodes, as a mean over pods, and removed nodes, on the last day, in seconds.", "act"},
		{"shadow_nodes", "Nodes that the leader asked for on the last day, and that the shadow would have asked for.", "by"},
		{"shadow_price_per_hour", "What these nodes cost per hour, in the currency of asg_autoscaler_spend_per_hour.", "by"},
		{"shadow_removals", "Nodes that the leader alone removed on the last day, that the shadow alone would have removed, and that both removed.", "by"},
	} {
		all = append(all, gauge{describe(m[0], m[1], m[2:]...), report, func(r *decision.Report, is func(float64, ...string)) {
			for label, value := range figures(r.Shadow)[m[0]] {
				is(value, []string{label}[:len(m)-2]...)
			}
		}})
	}
	return all
}

// figures are the values of each metric, by its label.
func figures(s *decision.Shadow) map[string]map[string]float64 {
	if s == nil {
		return nil
	}
	d := append([]decision.ShadowDay{{}}, s.Days...)[len(s.Days)]
	asked, removed, both := d.Launches.Nodes(), d.Removals.Nodes(), d.Removals.Both
	return map[string]map[string]float64{
		"shadow_pods_waiting":   {"": float64(s.Waiting)},
		"shadow_writes_refused": {"": float64(s.Refused)},
		"shadow_sooner_seconds": {"ask": d.Launches.Mean(), "remove": d.Removals.Mean()},
		"shadow_nodes":          {"shadow": float64(asked.Shadow), "leader": float64(asked.Leader)},
		"shadow_price_per_hour": {"shadow": d.Launches.PerHour.Shadow, "leader": d.Launches.PerHour.Leader},
		"shadow_removals":       {"shadow": float64(removed.Shadow - both), "leader": float64(removed.Leader - both), "both": float64(both)},
	}
}
