package peers

import (
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// answers adds how often a loop asks the plugin, and how long the plugin takes for an answer by its own histogram.
func (r *run) answers(before, after map[string]*dto.MetricFamily, loops float64) {
	const name = "asg_autoscaler_plugin_request_duration_seconds"
	all := durationsSince(before[name], after[name], "", "")
	r.add("plugin: answer, p50", "ms", 1000*all.quantile(0.5))
	r.add("plugin: answer, p99", "ms", 1000*all.quantile(0.99))
	r.add("plugin: calls a loop", "", all.count/loops)
	for _, method := range labelValues(after[name], "method") {
		d := durationsSince(before[name], after[name], "method", method)
		if d.count > 0 {
			r.add("plugin: "+method+" a loop", "", d.count/loops)
			r.add("plugin: "+method+", p99", "ms", 1000*d.quantile(0.99))
		}
	}
}

// labelValues are the values of a label in the family, sorted.
func labelValues(family *dto.MetricFamily, label string) []string {
	seen := map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				seen[l.GetValue()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
