package decisionmetrics

import (
	"cmp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

type Options struct {
	Registerer   prometheus.Registerer
	Report       func() *decision.Report // the newest one, or nil before the first
	PerNodeGroup bool                    // whether there are series for each node group
}

// Metrics counts decisions. It is safe for use by several goroutines.
type Metrics struct {
	decisions, launches *prometheus.CounterVec
	duration            *prometheus.HistogramVec
	asked, ready        prometheus.Histogram
}

func New(o Options) *Metrics {
	auto := promauto.With(o.Registerer)
	m := &Metrics{
		decisions: auto.NewCounterVec(prometheus.CounterOpts(opts("decisions_total",
			"Decisions, by kind and reason: nodes asked for and removed, failures, interruptions, problems of groups.")), []string{"kind", "reason"}),
		launches: auto.NewCounterVec(prometheus.CounterOpts(opts("launches_total",
			"Requests for instances that have ended, by AWS call and outcome: success, launching if AWS launches on its own, or the reason of the failure.")), []string{"mode", "outcome"}),
		duration: auto.NewHistogramVec(histogram("launch_duration_seconds",
			"Time from the start of a request for instances until its outcome was known, by AWS call, in seconds.",
			0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300), []string{"mode"}),
		asked: auto.NewHistogram(histogram("pending_to_call_duration_seconds",
			"Time from a pod becoming pending until the autoscaler asks AWS for a node for it, in seconds.",
			0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)),
		ready: auto.NewHistogram(histogram("pending_to_ready_duration_seconds",
			"Time from a pod becoming pending to its being ready, for pods for which a node was asked, in seconds.",
			5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)),
	}
	for _, call := range []string{"LaunchInstances", "SetDesiredCapacity"} {
		m.duration.WithLabelValues(call) // Prometheus counts what comes after the first value that it sees
	}
	all := []prometheus.Collector{
		gauge{describe("pending_pods", "Pods that wait for a node, by the reason why they wait.", "reason"),
			o.Report, counts(pendingPods)},
		gauge{describe("cool_downs", "Pools of capacity that are left alone after a failure, by its reason.", "reason"),
			o.Report, counts(coolDowns)},
		gauge{describe("node_groups", "Node groups by state: ready to grow, full, in a cool-down, degraded, paused.", "state"),
			o.Report, counts(groupStates)},
	}
	if o.PerNodeGroup {
		all = append(all, gauge{describe("node_group_nodes",
			"Nodes of a node group by state: ready, or starting: asked for or registered, and not ready yet, within the desired capacity.", "node_group", "state"),
			o.Report, groupNodes})
	}
	o.Registerer.MustRegister(append(all, shadows(o.Report)...)...)
	return m
}

const namespace = "asg_autoscaler"

func opts(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: namespace, Name: name, Help: help}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// histogram has classic buckets for every Prometheus. One that asks for native histograms gets buckets of 10 %, at most 160.
func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour}
}

func (m *Metrics) Decided(e decision.Entry) {
	m.decisions.WithLabelValues(string(e.Kind), reason(e.Reason.Code)).Inc()
}

func (m *Metrics) Launched(l decision.Launch) {
	m.launches.WithLabelValues(l.Mode, string(cmp.Or(l.Outcome.Code, "success"))).Inc()
	m.duration.WithLabelValues(l.Mode).Observe(l.Duration.Seconds())
}

// PodAsked counts a pod for which AWS is asked for a node after the time. A sum that falls would be a reset to Prometheus.
func (m *Metrics) PodAsked(waited time.Duration) { m.asked.Observe(max(0, waited.Seconds())) }

func (m *Metrics) PodReady(waited time.Duration) { m.ready.Observe(max(0, waited.Seconds())) }

// reason returns the code as the value of a label. An empty value would be no label to Prometheus.
func reason(code decision.Code) string { return string(cmp.Or(code, "none")) }

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
