package aws

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
)

// prices are the region's current prices, in one currency.
type prices interface {
	groupprice.Prices
	// Generation changes whenever another answer may have changed.
	Generation() uint64
}

// Pricing returns the prices of nodes and pods, or an error if the Provider was made without prices.
func (p *Provider) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) {
	if p.costs == nil {
		return nil, cloudprovider.ErrNotImplemented
	}
	return p.costs, nil
}

// Costs returns the model of prices, or nil if the Provider was made without prices.
func (p *Provider) Costs() *Model { return p.costs }

// Spending is the hourly cost of the groups' instances.
type Spending struct {
	Total   pricing.Amount            // of all groups
	ByGroup map[string]pricing.Amount // by node group ID

	pricer *groupprice.Pricer
	caps   *Spend
}

// Instance returns what an instance of a node group costs, the zero Amount where that is not known.
func (s Spending) Instance(g *group.Group, i *group.Instance) pricing.Amount {
	if s.pricer == nil || g == nil || i == nil || i.Lifecycle.Leaving() {
		return pricing.Amount{}
	}
	return s.pricer.Instance(g, i)
}

// Spending returns what the instances cost, and false without prices. The caller must not change the map.
func (p *Provider) Spending() (Spending, bool) {
	if p.spend == nil {
		return Spending{}, false
	}
	if s := p.spend.total.Load(); s != nil {
		return *s, true
	}
	return Spending{}, false
}

// spend shows the cost of each group's instances. It computes when the groups or the prices have changed, neither per loop nor per
// scrape. One goroutine at a time uses it.
type spend struct {
	costs    *Model
	amount   *prometheus.GaugeVec
	estimate *prometheus.GaugeVec
	unpriced prometheus.Gauge
	cap      *prometheus.GaugeVec
	underCap *prometheus.GaugeVec

	view   *View
	pricer *groupprice.Pricer
	flags  []decision.SpendCap
	shown  map[spendSeries]bool
	total  atomic.Pointer[Spending] // read by anybody
}

// spendSeries is one series of each metric.
type spendSeries struct{ group, capacityType, currency string }

func (s spendSeries) labels() prometheus.Labels {
	return prometheus.Labels{"node_group": s.group, "capacity_type": s.capacityType, "currency": s.currency}
}

func newSpend(costs *Model, caps []decision.SpendCap) *spend {
	labels := []string{"node_group", "capacity_type", "currency"}
	return &spend{costs: costs, flags: caps, shown: map[spendSeries]bool{},
		amount: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "asg_autoscaler", Name: "spend_per_hour",
			Help: "What the instances of a node group cost per hour, by capacity type, in the currency of the label. Estimates included.",
		}, labels),
		estimate: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "asg_autoscaler", Name: "spend_estimated_per_hour",
			Help: "How much of the spend of a node group is estimated, for want of a price or of knowing which instances are spot.",
		}, labels),
		unpriced: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "asg_autoscaler", Name: "spend_unpriced_instances",
			Help: "Instances of all node groups whose type has no known price, so that they are in no spend.",
		}),
		cap: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "asg_autoscaler", Name: "spend_cap_per_hour",
			Help: "The most that nodes may cost per hour, by what the cap covers: cluster, a label of nodes, or an Auto Scaling group.",
		}, []string{"of", "currency"}),
		underCap: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "asg_autoscaler", Name: "spend_under_cap_per_hour",
			Help: "What the nodes under a spend cap cost per hour, with instances that AWS has been asked for. Estimates included.",
		}, []string{"of", "currency"}),
	}
}

// show brings the metrics up to a view and the current prices. Series of deleted groups and caps vanish.
func (s *spend) show(v *View) {
	if s == nil {
		return
	}
	pricer := s.costs.Pricer()
	if v == s.view && pricer == s.pricer {
		return
	}
	s.view, s.pricer = v, pricer
	now := map[spendSeries]bool{}
	total := Spending{pricer: pricer, ByGroup: make(map[string]pricing.Amount, len(v.groups))}
	missing, present := 0, make(map[string]map[string]groupprice.Cost, len(v.groups))
	for id, g := range v.groups {
		present[id] = pricer.Present(g)
		unpriced := 0 // in a mixed group each instance counts for both capacity types
		for capacityType, cost := range present[id] {
			series := spendSeries{id, capacityType, string(cost.Amount.Currency)}
			now[series] = true
			total.Total, total.ByGroup[id] = total.Total.Plus(cost.Amount), total.ByGroup[id].Plus(cost.Amount)
			unpriced = max(unpriced, cost.Unpriced)
			s.amount.With(series.labels()).Set(cost.Amount.PerHour)
			s.estimate.With(series.labels()).Set(cost.Estimated.PerHour)
		}
		missing += unpriced
	}
	s.unpriced.Set(float64(missing))
	for series := range s.shown {
		if !now[series] {
			s.amount.Delete(series.labels())
			s.estimate.Delete(series.labels())
		}
	}
	s.shown = now
	total.caps = countSpend(s.flags, v, pricer, present)
	s.cap.Reset()
	s.underCap.Reset()
	for _, c := range total.caps.caps {
		s.cap.WithLabelValues(c.Of, string(s.costs.prices.Currency())).Set(c.PerHour)
		s.underCap.WithLabelValues(c.Of, string(s.costs.prices.Currency())).Set(c.Spent)
	}
	s.total.Store(&total)
}
