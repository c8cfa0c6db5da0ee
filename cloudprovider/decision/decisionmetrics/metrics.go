package decisionmetrics

import (
	"cmp"
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
			"Nodes of a node group by state: ready, or starting, which are asked for or registered and not ready yet.", "node_group", "state"),
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
