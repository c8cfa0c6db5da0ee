package aws

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/model"
)

// spend shows the cost of each group's instances. It computes when the groups or the prices have changed, neither per loop nor per
// scrape. One goroutine at a time uses it.
type spend struct {
	costs    *model.Model
	amount   *prometheus.GaugeVec
	estimate *prometheus.GaugeVec

	view   *View
	pricer *groupprice.Pricer
	shown  map[spendSeries]bool
}

// spendSeries is one series of each metric.
type spendSeries struct{ group, capacityType, currency string }

func (s spendSeries) labels() prometheus.Labels {
	return prometheus.Labels{"node_group": s.group, "capacity_type": s.capacityType, "currency": s.currency}
}

// newSpend registers the metrics, unless registerer is nil.
func newSpend(costs *model.Model, registerer prometheus.Registerer) (*spend, error) {
	labels := []string{"node_group", "capacity_type", "currency"}
	s := &spend{costs: costs, shown: map[spendSeries]bool{},
		amount: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "cluster_autoscaler", Name: "aws_spend_per_hour",
			Help: "What the instances of a node group cost per hour, by capacity type, in the currency of the label. Estimates included.",
		}, labels),
		estimate: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "cluster_autoscaler", Name: "aws_spend_estimated_per_hour",
			Help: "How much of the spend of a node group is estimated, for want of a price or of knowing which instances are spot.",
		}, labels),
	}
	if registerer == nil {
		return s, nil
	}
	for _, c := range []prometheus.Collector{s.amount, s.estimate} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register spend metrics: %w", err)
		}
	}
	return s, nil
}

// show brings the metrics up to a view and the current prices. Series of deleted groups vanish.
func (s *spend) show(v *View) {
	pricer := s.costs.Pricer()
	if v == s.view && pricer == s.pricer {
		return
	}
	s.view, s.pricer = v, pricer
	now := map[spendSeries]bool{}
	for id, g := range v.groups {
		for capacityType, cost := range pricer.Present(g) {
			series := spendSeries{id, capacityType, string(cost.Amount.Currency)}
			now[series] = true
			s.amount.With(series.labels()).Set(cost.Amount.PerHour)
			s.estimate.With(series.labels()).Set(cost.Estimated.PerHour)
		}
	}
	for series := range s.shown {
		if !now[series] {
			s.amount.Delete(series.labels())
			s.estimate.Delete(series.labels())
		}
	}
	s.shown = now
}
