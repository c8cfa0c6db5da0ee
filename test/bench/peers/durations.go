package peers

import (
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// durations are a histogram of seconds, with the count up to each bound.
type durations struct {
	count, sum float64
	upTo       map[float64]float64
}

// loopsSince are the main loops of a Cluster Autoscaler after an earlier reading of its metrics, which may be nil.
func loopsSince(before, after map[string]*dto.MetricFamily) durations {
	const name = "cluster_autoscaler_function_duration_seconds"
	return durationsSince(before[name], after[name], "function", "main")
}

// durationsSince adds up the histograms whose label has the value, or all for "", without those of an earlier reading.
func durationsSince(before, after *dto.MetricFamily, label, value string) durations {
	d := durations{upTo: map[float64]float64{}}
	add := func(family *dto.MetricFamily, sign float64) {
		for _, m := range family.GetMetric() {
			if h := m.GetHistogram(); has(m, label, value) {
				d.count, d.sum = d.count+sign*float64(h.GetSampleCount()), d.sum+sign*h.GetSampleSum()
				for _, b := range h.GetBucket() {
					d.upTo[b.GetUpperBound()] += sign * float64(b.GetCumulativeCount())
				}
			}
		}
	}
	add(after, 1)
	add(before, -1)
	return d
}

func has(m *dto.Metric, label, value string) bool {
	return label == "" || slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label && l.GetValue() == value })
}

// quantile is the time that the share q of all did not exceed, read from the buckets as Prometheus does. It may be wrong by the width
// of its bucket. Each bucket of the loops reaches half as far again as the one before.
func (d durations) quantile(q float64) float64 {
	rank, below, from := q*d.count, 0.0, 0.0
	for _, to := range slices.Sorted(maps.Keys(d.upTo)) {
		count := d.upTo[to]
		if count >= rank && count > below {
			return from + (to-from)*(rank-below)/(count-below)
		}
		below, from = count, to
	}
	return from
}
