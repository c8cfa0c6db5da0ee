package decisionmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// shadow is a figure of the comparison of a shadow with the leader: as of now, or of the last day on which one of the two did something.
type shadow struct {
	desc   *prometheus.Desc
	report func() *decision.Report
	labels []string // of the figures, none for one
	show   func(s *decision.Shadow, day decision.ShadowDay) []float64
}

func (s shadow) Describe(descs chan<- *prometheus.Desc) { descs <- s.desc }

func (s shadow) Collect(metrics chan<- prometheus.Metric) {
	report := s.report()
	if report == nil || report.Shadow == nil {
		return
	}
	var day decision.ShadowDay
	if days := report.Shadow.Days; len(days) > 0 {
		day = days[len(days)-1]
	}
	for at, value := range s.show(report.Shadow, day) {
		metrics <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, value, s.labels[min(at, len(s.labels)):min(at+1, len(s.labels))]...)
	}
}

func shadows(report func() *decision.Report) []prometheus.Collector {
	both := []string{"shadow", "leader"}
	return []prometheus.Collector{
		shadow{describe("shadow_pods_waiting", "Pods for which the shadow would have asked for a node, and that wait for the leader."), report, nil,
			func(s *decision.Shadow, _ decision.ShadowDay) []float64 { return []float64{float64(s.Waiting)} }},
		shadow{describe("shadow_writes_refused", "Writes that the shadow kept back within the process. Each is a fault of the program."), report, nil,
			func(s *decision.Shadow, _ decision.ShadowDay) []float64 { return []float64{float64(s.Refused)} }},
		shadow{describe("shadow_sooner_seconds", "How much sooner than the leader the shadow would have asked for nodes, as a mean over pods, and removed nodes, on the last day, in seconds.", "act"), report, []string{"ask", "remove"},
			func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
				return []float64{d.Sooner.Mean, d.Removed.Mean}
			}},
		shadow{describe("shadow_nodes", "Nodes that the leader asked for on the last day, and that the shadow would have asked for.", "by"), report, both,
			func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
				return []float64{float64(d.Shadow.Nodes()), float64(d.Leader.Nodes())}
			}},
		shadow{describe("shadow_price_per_hour", "What these nodes cost per hour, in the currency of asg_autoscaler_spend_per_hour.", "by"), report, both,
			func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
				return []float64{d.Shadow.PerHour, d.Leader.PerHour}
			}},
		shadow{describe("shadow_removals", "Nodes that the leader alone removed on the last day, that the shadow alone would have removed, and that both removed.", "by"), report, []string{"leader", "shadow", "both"},
			func(_ *decision.Shadow, d decision.ShadowDay) []float64 {
				return []float64{float64(d.Removals[decision.RemovedByLeader]), float64(d.Removals[decision.RemovedByShadow]), float64(d.Removals[decision.RemovedByBoth])}
			}},
	}
}
