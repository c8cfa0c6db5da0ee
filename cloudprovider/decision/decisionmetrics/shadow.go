package decisionmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// shadow compares a shadow with the leader: as of now, or as a sum over the last day on which one of the two did something.
type shadow struct {
	desc   *prometheus.Desc
	report func() *decision.Report
	show   func(s *decision.Shadow, day decision.ShadowDay) map[string]float64 // by label, "" for none
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
	for label, value := range s.show(report.Shadow, day) {
		labels := []string{label}
		if label == "" {
			labels = nil
		}
		metrics <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, value, labels...)
	}
}

func shadows(report func() *decision.Report) []prometheus.Collector {
	type values = map[string]float64
	return []prometheus.Collector{
		shadow{describe("shadow_pods_waiting", "Pods for which the shadow would have asked for a node, and that wait for the leader."), report,
			func(s *decision.Shadow, _ decision.ShadowDay) values { return values{"": float64(s.Waiting)} }},
		shadow{describe("shadow_writes_refused", "Writes that the shadow kept back within the process. Each is a fault of the program."), report,
			func(s *decision.Shadow, _ decision.ShadowDay) values { return values{"": float64(s.Refused)} }},
		shadow{describe("shadow_sooner_seconds", "How much sooner than the leader the shadow would have asked for nodes, as a mean over pods, and removed nodes, on the last day, in seconds.", "act"), report,
			func(_ *decision.Shadow, d decision.ShadowDay) values {
				return values{"ask": d.Sooner.Mean, "remove": d.Removed.Mean}
			}},
		shadow{describe("shadow_nodes", "Nodes that the leader asked for on the last day, and that the shadow would have asked for.", "by"), report,
			func(_ *decision.Shadow, d decision.ShadowDay) values {
				return values{"shadow": float64(d.Shadow.Nodes()), "leader": float64(d.Leader.Nodes())}
			}},
		shadow{describe("shadow_price_per_hour", "What these nodes cost per hour, in the currency of asg_autoscaler_spend_per_hour.", "by"), report,
			func(_ *decision.Shadow, d decision.ShadowDay) values {
				return values{"shadow": d.Shadow.PerHour, "leader": d.Leader.PerHour}
			}},
		shadow{describe("shadow_removals", "Nodes that both removed on the last day, or the leader alone, or the shadow alone if it led.", "by"), report,
			func(_ *decision.Shadow, d decision.ShadowDay) values {
				return values{decision.RemovedByBoth: float64(d.Removals[decision.RemovedByBoth]), decision.RemovedByLeader: float64(d.Removals[decision.RemovedByLeader]),
					decision.RemovedByShadow: float64(d.Removals[decision.RemovedByShadow])}
			}},
	}
}
