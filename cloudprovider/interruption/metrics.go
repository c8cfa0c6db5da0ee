package interruption

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

// outcome is the result of handling a message. It is a metric label, and so is the reason why a message is unusable.
type outcome string

const (
	drained         outcome = "drained"          // all pods moved in time, the instance terminated
	forced          outcome = "forced"           // moved, some by deletion in the last seconds
	lost            outcome = "lost"             // some pods were still there at the deadline
	empty           outcome = "empty"            // there was nothing to move
	noNode          outcome = "no-node"          // the instance had not joined the cluster
	gaveUp          outcome = "gave-up"          // a recommendation that could not be followed in time: the node is back in use
	terminateFailed outcome = "hand-back-failed" // drained, but AWS did not terminate the instance
	unfinished      outcome = "left-to-next"     // this process ended before: the next leader goes on
	counted         outcome = "counted"          // nothing to do about it
	postponed       outcome = "postponed"        // waits for other work, and comes again
	duplicate       outcome = "duplicate"        // dealt with before
	stale           outcome = "stale"            // too old to be true
	notOurs         outcome = "not-ours"         // in no group of ours, and nobody has claimed it in its time
	leftToOthers    outcome = "left-to-others"   // in no group of ours: maybe another cluster's
	otherHook       outcome = "other-hook"       // of a lifecycle hook that another tool completes
	healthOver      outcome = "health-over"      // AWS Health: the change is done or called off
	broken          outcome = "broken"           // the drain panicked, its node could not be cordoned, or another one came
)

type metrics struct {
	received *prometheus.CounterVec
	handled  *prometheus.CounterVec
	failures *prometheus.CounterVec
	duration prometheus.Histogram
	timeLeft prometheus.Histogram
	evicted  prometheus.Counter
	lost     prometheus.Counter
	nodes    prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	auto := promauto.With(registerer)
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "asg_autoscaler", Subsystem: "interruption", Name: name, Help: help}
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		o := opts(name, help)
		return auto.NewHistogram(prometheus.HistogramOpts{Namespace: o.Namespace, Subsystem: o.Subsystem, Name: o.Name, Help: o.Help, Buckets: buckets})
	}
	m := &metrics{
		received: auto.NewCounterVec(prometheus.CounterOpts(opts("messages_received_total",
			"Messages received from the interruption queue, by type. A message that is received twice counts twice.")), []string{"type"}),
		handled: auto.NewCounterVec(prometheus.CounterOpts(opts("messages_handled_total",
			"Messages of the interruption queue that the autoscaler has handled, by type and outcome.")), []string{"type", "outcome"}),
		failures: auto.NewCounterVec(prometheus.CounterOpts(opts("queue_errors_total",
			"Failed calls to the interruption queue, by call.")), []string{"call"}),
		duration: histogram("drain_duration_seconds", "Time from the message about an interruption until the node was empty or its deadline passed, in seconds.",
			[]float64{0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600, 1800}),
		timeLeft: histogram("time_left_seconds", "Time left until the deadline when an interrupted node was empty, in seconds.",
			[]float64{0, 1, 2, 5, 10, 20, 30, 45, 60, 90, 105, 120, 300, 600}),
		evicted: auto.NewCounter(prometheus.CounterOpts(opts("pods_evicted_total", "Pods that left interrupted nodes in time."))),
		lost:    auto.NewCounter(prometheus.CounterOpts(opts("pods_lost_total", "Pods still on their node at the deadline of an interruption."))),
		nodes:   auto.NewGauge(prometheus.GaugeOpts(opts("nodes", "Nodes that the autoscaler drains now because of an interruption."))),
	}
	for _, kind := range []event.Kind{event.SpotInterruption, event.Rebalance, event.StateChange, event.ScheduledChange, event.ReservationEnd,
		event.TerminateHook, event.LaunchHook, event.LaunchSuccessful, event.LaunchUnsuccessful, event.TerminateSuccessful, event.TerminateFailed, unusable} {
		m.received.WithLabelValues(string(kind))
	}
	return m
}

// unusable is the type label of unusable messages.
const unusable event.Kind = "unusable"
