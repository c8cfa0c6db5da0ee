package main

import (
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// durations are a histogram of seconds.
type durations struct {
	count   uint64
	sum     float64
	buckets []*dto.Bucket
}

// loopsOf are the main loops of a Cluster Autoscaler, by its own histogram.
func loopsOf(families map[string]*dto.MetricFamily) durations {
	return durationsOf(families["cluster_autoscaler_function_duration_seconds"], "function", "main")
}

// durationsOf adds up the histograms of the family whose label has the value, or all for "".
func durationsOf(family *dto.MetricFamily, label, value string) (d durations) {
	for _, m := range family.GetMetric() {
		if label == "" || slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == label && l.GetValue() == value }) {
			h := m.GetHistogram()
			d = d.plus(durations{h.GetSampleCount(), h.GetSampleSum(), h.GetBucket()})
		}
	}
	return d
}

// plus adds a histogram with the same buckets.
func (d durations) plus(other durations) durations {
	return durations{d.count + other.count, d.sum + other.sum, d.combine(other, func(a, b uint64) uint64 { return a + b })}
}

// since leaves out what an earlier reading of the histogram has.
func (d durations) since(earlier durations) durations {
	return durations{d.count - earlier.count, d.sum - earlier.sum, d.combine(earlier, func(a, b uint64) uint64 { return a - b })}
}

// combine combines the counts of the buckets with other ones. A histogram without buckets counts as zero.
func (d durations) combine(other durations, of func(a, b uint64) uint64) []*dto.Bucket {
	var buckets []*dto.Bucket
	for n := range max(len(d.buckets), len(other.buckets)) {
		var a, b uint64
		bound := 0.0
		if n < len(d.buckets) {
			a, bound = d.buckets[n].GetCumulativeCount(), d.buckets[n].GetUpperBound()
		}
		if n < len(other.buckets) {
			b, bound = other.buckets[n].GetCumulativeCount(), other.buckets[n].GetUpperBound()
		}
		count := of(a, b)
		buckets = append(buckets, &dto.Bucket{CumulativeCount: &count, UpperBound: &bound})
	}
	return buckets
}

// quantile is the time that the share q of all did not exceed, read from the buckets as Prometheus does. It may be wrong by the width
// of its bucket. Each bucket of the loops reaches half as far again as the one before.
func (d durations) quantile(q float64) float64 {
	rank, below, from := q*float64(d.count), 0.0, 0.0
	for _, b := range d.buckets {
		count, to := float64(b.GetCumulativeCount()), b.GetUpperBound()
		if count >= rank && count > below {
			return from + (to-from)*(rank-below)/(count-below)
		}
		below, from = count, to
	}
	return from
}
