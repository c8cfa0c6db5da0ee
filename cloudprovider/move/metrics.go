package move

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Outcome is how a move ended. It is a metric label.
type Outcome string

const (
	Moved     Outcome = "moved"     // the node is gone, its pods run elsewhere
	Failed    Outcome = "failed"    // it is tried again
	Cancelled Outcome = "cancelled" // its reason is gone
)

type Metrics struct {
	ended    *prometheus.CounterVec
	underWay *prometheus.GaugeVec
	held     *prometheus.GaugeVec
	saving   *prometheus.GaugeVec
}

func NewMetrics(registerer prometheus.Registerer) *Metrics {
	auto := promauto.With(registerer)
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "asg_autoscaler", Subsystem: "moves", Name: name, Help: help}
	}
	return &Metrics{
		ended: auto.NewCounterVec(prometheus.CounterOpts(opts("total", "Nodes that were to be replaced, by reason and outcome: moved, failed (the node is tried again), "+
			"cancelled (the reason is gone, also by a reboot).")), []string{"reason", "outcome"}),
		underWay: auto.NewGaugeVec(prometheus.GaugeOpts(opts("under_way", "Nodes that are being replaced, by reason.")), []string{"reason"}),
		held:     auto.NewGaugeVec(prometheus.GaugeOpts(opts("held", "Nodes that are to be replaced and wait, by reason and by what holds them.")), []string{"reason", "hold"}),
		saving: auto.NewGaugeVec(prometheus.GaugeOpts(opts("saving_per_hour", "What --asg-consolidate saves per hour, in the currency of the label: planned, at most, by the plans that it found last together, "+
			"and done, by those that it has carried out since its start.")), []string{"state", "currency"}),
	}
}

func (m *Metrics) Save(planned, done float64, currency string) {
	m.saving.WithLabelValues("planned", currency).Set(planned)
	m.saving.WithLabelValues("done", currency).Set(done)
}

func (m *Metrics) Ended(reason string, o Outcome) { m.ended.WithLabelValues(reason, string(o)).Inc() }

func (m *Metrics) Show(states map[string]State, held map[string]Held) {
	m.underWay.Reset()
	m.held.Reset()
	for _, s := range states {
		if s.Step == Placing || s.Step == Rebooting {
			m.underWay.WithLabelValues(s.Reason).Inc()
		}
	}
	for _, h := range held {
		m.held.WithLabelValues(h.Reason, string(h.Hold)).Inc()
	}
}
