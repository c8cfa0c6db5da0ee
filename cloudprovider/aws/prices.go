package aws

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
)

func (p *Provider) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) {
	return p.costs, nil
}

func (p *Provider) Costs() *Model { return p.costs }

// Spending is the hourly cost of the groups' instances, and what counts against the spend caps: the instances of a view, present or asked for, and
// the raises since. Each view has its own.
type Spending struct {
	Total   pricing.Amount            // of all groups
	ByGroup map[string]pricing.Amount // by node group ID. Nobody changes it

	present map[string]map[string]groupprice.Cost // by node group ID and capacity type
	pricer  *groupprice.Pricer
	groups  map[string]capped // by node group ID
	least   map[string]int    // the sizes to which groups below their minimum may be raised, by node group ID

	mu   sync.Mutex          // guards what the caps have spent
	caps []decision.SpendCap // by the flag, then by tags in the order of the groups' names
}

// Instance returns what an instance of a node group costs, the zero Amount where that is not known.
func (s *Spending) Instance(g *group.Group, i *group.Instance) pricing.Amount {
	if s.pricer == nil || g == nil || i == nil || i.Lifecycle.Leaving() && !i.Lifecycle.Retained() {
		return pricing.Amount{}
	}
	return s.pricer.Instance(g, i)
}

func (p *Provider) Spending() *Spending { return p.spend.total.Load() }

// spend is the collector of what each group's instances cost, and of the spend caps. It computes when the groups or the prices have changed, neither per
// loop nor per scrape. One goroutine at a time calls show.
type spend struct {
	costs *Model
	flags []decision.SpendCap // of the flag

	view  *View
	total atomic.Pointer[Spending] // read by anybody
}

var (
	spendLabels, capLabels = []string{"node_group", "capacity_type", "currency"}, []string{"of", "currency"}

	spendPerHour = prometheus.NewDesc("asg_autoscaler_spend_per_hour",
		"What the instances of a node group cost per hour, by capacity type, in the currency of the label. Estimates included.", spendLabels, nil)
	spendEstimated = prometheus.NewDesc("asg_autoscaler_spend_estimated_per_hour",
		"How much of the spend of a node group is estimated, for want of a price or of knowing which instances are spot.", spendLabels, nil)
	spendUnpriced = prometheus.NewDesc("asg_autoscaler_spend_unpriced_instances",
		"Instances of all node groups whose type has no known price, so that they are in no spend.", nil, nil)
	spendCapPerHour = prometheus.NewDesc("asg_autoscaler_spend_cap_per_hour",
		"The most that nodes may cost per hour, by what the cap covers: cluster, a label of nodes, or an Auto Scaling group.", capLabels, nil)
	spendUnderCap = prometheus.NewDesc("asg_autoscaler_spend_under_cap_per_hour",
		"What the nodes under a spend cap cost per hour, with instances that AWS has been asked for. Estimates included.", capLabels, nil)
)

func (*spend) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{spendPerHour, spendEstimated, spendUnpriced, spendCapPerHour, spendUnderCap} {
		descs <- d
	}
}

func (s *spend) Collect(metrics chan<- prometheus.Metric) {
	total, unpriced := s.total.Load(), 0
	show := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for id, costs := range total.present {
		missing := 0 // in a mixed group each instance counts for both capacity types
		for capacityType, cost := range costs {
			show(spendPerHour, cost.Amount.PerHour, id, capacityType, string(cost.Amount.Currency))
			show(spendEstimated, cost.Estimated.PerHour, id, capacityType, string(cost.Amount.Currency))
			missing = max(missing, cost.Unpriced)
		}
		unpriced += missing
	}
	show(spendUnpriced, float64(unpriced))
	sent := map[string]bool{}
	for _, c := range total.Caps() {
		if sent[c.Of] { // a flag given twice, or a group named like a cap: two equal series would break the whole page
			continue
		}
		sent[c.Of] = true
		show(spendCapPerHour, c.PerHour, c.Of, string(s.costs.prices.Currency()))
		show(spendUnderCap, c.Spent, c.Of, string(s.costs.prices.Currency()))
	}
}

// show brings the spend up to a view and the current prices.
func (s *spend) show(v *View) {
	pricer := s.costs.Pricer()
	before, last := s.total.Load(), s.view
	if v == last && pricer == before.pricer {
		return
	}
	s.view = v
	total := &Spending{pricer: pricer, present: make(map[string]map[string]groupprice.Cost, len(v.groups)), ByGroup: make(map[string]pricing.Amount, len(v.groups))}
	for id, g := range v.groups {
		if total.present[id] = before.present[id]; pricer != before.pricer || g != last.groups[id] {
			total.present[id] = pricer.Present(g)
		}
		for _, cost := range total.present[id] {
			total.Total, total.ByGroup[id] = total.Total.Plus(cost.Amount), total.ByGroup[id].Plus(cost.Amount)
		}
	}
	total.count(s.flags, v)
	s.total.Store(total)
}
