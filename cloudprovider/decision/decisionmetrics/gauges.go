package decisionmetrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// gauge shows objects of the newest report, and nothing before the first one.
type gauge struct {
	desc   *prometheus.Desc
	report func() *decision.Report
	show   func(report *decision.Report, is func(value float64, labels ...string))
}

func (g gauge) Describe(descs chan<- *prometheus.Desc) { descs <- g.desc }

func (g gauge) Collect(metrics chan<- prometheus.Metric) {
	if report := g.report(); report != nil {
		g.show(report, func(value float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value, labels...)
		})
	}
}

// counts shows the number of objects by one label, which has few values. A value that no object has any more counts 0, so that a graph
// falls to zero instead of ending.
func counts(count func(report *decision.Report, now map[string]int)) func(*decision.Report, func(float64, ...string)) {
	var mu sync.Mutex
	now := map[string]int{}
	return func(report *decision.Report, is func(float64, ...string)) {
		mu.Lock()
		defer mu.Unlock()
		for label := range now {
			now[label] = 0
		}
		count(report, now)
		for label, n := range now {
			is(float64(n), label)
		}
	}
}

func pendingPods(report *decision.Report, now map[string]int) {
	for i := range report.Pods {
		code := report.Pods[i].Cause.Code
		if report.Pods[i].State == decision.PodIgnored && code != decision.CodePriority {
			code = decision.CodeIgnored
		}
		now[reason(code)]++
	}
	if report.PodsLeft > 0 {
		now[string(decision.CodeLeftOut)] = report.PodsLeft
	}
}

func coolDowns(report *decision.Report, now map[string]int) {
	counted := map[decision.CoolDown]bool{} // several groups may use a pool
	for i := range report.Groups {
		for _, c := range report.Groups[i].CoolDowns {
			c.Cause = decision.Reason{Code: c.Cause.Code}
			if !counted[c] {
				now[reason(c.Cause.Code)]++
			}
			counted[c] = true
		}
	}
}

func groupStates(report *decision.Report, now map[string]int) {
	for _, state := range []decision.GroupState{decision.GroupReady, decision.GroupFull, decision.GroupCoolDown, decision.GroupDegraded, decision.GroupPaused} {
		now[string(state)] = 0
	}
	for i := range report.Groups {
		now[string(report.Groups[i].State)]++
	}
}

// groupNodes shows the nodes of each node group. The core has minimum, maximum and target size.
func groupNodes(report *decision.Report, is func(float64, ...string)) {
	for i := range report.Groups {
		g := &report.Groups[i]
		is(float64(g.Ready), g.Name, "ready")
		is(float64(g.Starting), g.Name, "starting")
	}
}

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
