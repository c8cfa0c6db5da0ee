package decisionmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// shadows compare a shadow with the leader: as of now, or on the last day on which one of the two did something. A leader has none.
func shadows(report func() *decision.Report) (all []prometheus.Collector) {
	figure := func(desc *prometheus.Desc, labels []string, values func(s *decision.Shadow, day decision.ShadowDay) []float64) {
		all = append(all, gauge{desc, report, func(r *decision.Report, is func(float64, ...string)) {
			if r.Shadow == nil {
				return
			}
			day := append([]decision.ShadowDay{{}}, r.Shadow.Days...)[len(r.Shadow.Days)]
			for at, value := range values(r.Shadow, day) {
				is(value, labels[min(at, len(labels)):min(at+1, len(labels))]...)
			}
		}})
	}
	both := []string{"shadow", "leader", "both"}
	figure(describe("shadow_pods_waiting", "Pods for which the shadow would have asked for a node, and that wait for the leader."), nil,
		func(s *decision.Shadow, _ decision.ShadowDay) []float64 { return []float64{float64(s.Waiting)} })
	figure(describe("shadow_writes_refused", "Writes that the shadow kept back within the process. Each is a fault of the program."), nil,
		func(s *decision.Shadow, _ decision.ShadowDay) []float64 { return []float64{float64(s.Refused)} })
	figure(describe("shadow_sooner_seconds", "How much sooner than the leader the shadow would have asked for nodes, as a mean over pods, and removed nodes, on the last day, in seconds.", "act"), []string{"ask", "remove"},
		func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
			return []float64{d.Launches.Mean(), d.Removals.Mean()}
		})
	figure(describe("shadow_nodes", "Nodes that the leader asked for on the last day, and that the shadow would have asked for.", "by"), both,
		func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
			n := d.Launches.Nodes()
			return []float64{float64(n.Shadow), float64(n.Leader)}
		})
	figure(describe("shadow_price_per_hour", "What these nodes cost per hour, in the currency of asg_autoscaler_spend_per_hour.", "by"), both,
		func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
			return []float64{d.Launches.PerHour.Shadow, d.Launches.PerHour.Leader}
		})
	figure(describe("shadow_removals", "Nodes that the leader alone removed on the last day, that the shadow alone would have removed, and that both removed.", "by"), both,
		func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
			n, same := d.Removals.Nodes(), d.Removals.Both
			return []float64{float64(n.Shadow - same), float64(n.Leader - same), float64(same)}
		})
	return all
}
