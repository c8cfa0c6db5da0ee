package decisionmetrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// counts is a gauge with one label, that counts objects of the newest report. A value that no object has any more counts 0, so that a
// graph falls to zero instead of ending.
type counts struct {
	desc   *prometheus.Desc
	report func() *decision.Report
	count  func(*decision.Report) map[string]int
	shown  values
}

func (c *counts) Describe(descs chan<- *prometheus.Desc) { descs <- c.desc }

func (c *counts) Collect(metrics chan<- prometheus.Metric) {
	report := c.report()
	if report == nil {
		return
	}
	now := map[string]int{}
	for value, n := range c.count(report) {
		now[c.shown.bounded(value, maxReasons)] += n
	}
	for _, value := range c.shown.all() {
		metrics <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(now[value]), value)
	}
}

func pendingPods(report *decision.Report) map[string]int {
	now := map[string]int{}
	for i := range report.Pods {
		now[reason(report.Pods[i].Cause.Code)]++
	}
	if report.PodsLeft > 0 {
		now[other] += report.PodsLeft
	}
	return now
}

func coolDowns(report *decision.Report) map[string]int {
	now := map[string]int{}
	for i := range report.Groups {
		for _, c := range report.Groups[i].CoolDowns {
			now[reason(c.Cause.Code)]++
		}
	}
	return now
}

func groupStates(report *decision.Report) map[string]int {
	now := map[string]int{}
	for _, state := range []decision.GroupState{decision.GroupReady, decision.GroupFull, decision.GroupCoolDown, decision.GroupDegraded} {
		now[string(state)] = 0
	}
	for i := range report.Groups {
		now[string(report.Groups[i].State)]++
	}
	return now
}

// groupNodes is the gauge of each node group's nodes. The core has minimum, maximum and target size.
type groupNodes struct {
	desc   *prometheus.Desc
	report func() *decision.Report
}

func (g groupNodes) Describe(descs chan<- *prometheus.Desc) { descs <- g.desc }

func (g groupNodes) Collect(metrics chan<- prometheus.Metric) {
	report := g.report()
	if report == nil {
		return
	}
	for i := range report.Groups {
		group := &report.Groups[i]
		metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(group.Ready), group.Name, "ready")
		metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(group.Starting), group.Name, "starting")
	}
}

// Bounds of how many values a label gets. There are fewer reasons, and fewer AWS calls that launch.
const (
	maxReasons = 64
	maxCalls   = 8
)

// other stands for all values beyond the bound.
const other = "other"

// values are the values of a label so far.
type values struct {
	mu   sync.Mutex
	seen map[string]bool
}

// bounded returns the value, or "other" where the label has as many others as the limit.
func (v *values) bounded(value string, limit int) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	if !v.seen[value] && len(v.seen) >= limit {
		value = other
	}
	v.seen[value] = true
	return value
}

// all returns the values so far, in no order.
func (v *values) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]string, 0, len(v.seen))
	for value := range v.seen {
		all = append(all, value)
	}
	return all
}
