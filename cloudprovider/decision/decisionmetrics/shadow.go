package decisionmetrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// shadow compares a shadow with the leader: as of now, and as sums over the last day on which one of the two did something.
type shadow struct{ report func() *decision.Report }

// Describe describes nothing, because Collect does.
func (shadow) Describe(chan<- *prometheus.Desc) {}

func (s shadow) Collect(metrics chan<- prometheus.Metric) {
	report := s.report()
	if report == nil || report.Shadow == nil {
		return
	}
	is := func(name, help string, value float64, by ...string) {
		metrics <- prometheus.MustNewConstMetric(describe("shadow_"+name, help, []string{"by"}[:len(by)]...), prometheus.GaugeValue, value, by...)
	}
	is("pods_waiting", "Pods for which the shadow would have asked for a node, and that wait for the leader.", float64(report.Shadow.Waiting))
	is("writes_refused", "Writes that the shadow kept back within the process. Each is a fault of the program.", float64(report.Shadow.Refused))
	if len(report.Shadow.Days) == 0 {
		return
	}
	day := report.Shadow.Days[len(report.Shadow.Days)-1]
	is("asked_sooner_seconds", "How much sooner than the leader the shadow would have asked for nodes on the last day, as a mean over pods, in seconds.", day.Sooner.Mean)
	is("removed_sooner_seconds", "How much sooner than the leader the shadow would have removed nodes on the last day, as a mean over nodes, in seconds.", day.Removed.Mean)
	for by, nodes := range map[string]decision.ShadowNodes{"shadow": day.Shadow, "leader": day.Leader} {
		is("nodes", "Nodes that the leader asked for on the last day, and that the shadow would have asked for.", float64(nodes.Nodes()), by)
		is("price_per_hour", "What these nodes cost per hour, in the currency of asg_autoscaler_spend_per_hour.", nodes.PerHour, by)
	}
	for _, by := range []string{decision.RemovedByBoth, decision.RemovedByLeader, decision.RemovedByShadow} {
		is("removals", "Nodes that both removed on the last day, or the leader alone, or the shadow alone if it led.", float64(day.Removals[by]), by)
	}
}
