package main

import (
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// busy are ten pods for each node, which keep it from becoming unneeded.
func busy(nodes int) []podSet {
	var sets []podSet
	for _, g := range spread(nodes, medium) {
		sets = append(sets, podSet{name: "pods-of-" + g.name, count: 10 * g.nodes, cpu: "700m", group: g.name})
	}
	return sets
}

// settling is the time from the first loop until a peer counts as idle.
const settling = 15 * time.Second

// idle measures the start, and then what a peer takes while nothing happens.
func idle(ctx context.Context, r *run) error {
	calls := r.callCount()
	r.took("start to end of first loop", r.started, r.ready)
	r.add("AWS calls until then", "", float64(calls))
	if err := r.rest(ctx, settling); err != nil {
		return err
	}
	before, err := r.autoscaler.Metrics(ctx)
	if err != nil {
		return err
	}
	calls, start := r.callCount(), time.Now()
	if err := r.rest(ctx, r.bench.options.idle); err != nil {
		return err
	}
	after, err := r.autoscaler.Metrics(ctx)
	if err != nil {
		return err
	}
	took := time.Since(start)
	l := loopsOf(after).since(loopsOf(before))
	if l.count == 0 {
		return fmt.Errorf("no loop within %s", took)
	}
	r.add("AWS calls a minute", "", float64(r.callCount()-calls)/took.Minutes())
	r.add("loop, mean", "s", l.sum/float64(l.count))
	r.add("loop, p50", "s", l.quantile(0.5))
	r.add("loop, p99", "s", l.quantile(0.99))
	r.add("processor time", "% of a core", 100*(value(after, "process_cpu_seconds_total")-value(before, "process_cpu_seconds_total"))/took.Seconds())
	r.add("resident memory", "MiB", value(after, "process_resident_memory_bytes")/(1<<20))
	peak, err := r.autoscaler.PeakMemory()
	if err != nil {
		return err
	}
	r.add("resident memory, peak", "MiB", float64(peak)/(1<<20))
	return nil
}

func (r *run) callCount() (n int) {
	for _, count := range r.env.AWS.Calls() {
		n += count
	}
	return n
}

// rest waits, unless the process ends by itself.
func (r *run) rest(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return r.until(ctx, func() (bool, error) { return !time.Now().Before(end), nil })
}

// loops are the main loops of a Cluster Autoscaler, by its own histogram.
type loops struct {
	count   uint64
	sum     float64 // seconds
	buckets []*dto.Bucket
}

func loopsOf(families map[string]*dto.MetricFamily) loops {
	for _, m := range families["cluster_autoscaler_function_duration_seconds"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == "function" && label.GetValue() == "main" {
				h := m.GetHistogram()
				return loops{h.GetSampleCount(), h.GetSampleSum(), h.GetBucket()}
			}
		}
	}
	return loops{}
}

// since are the loops after earlier ones.
func (l loops) since(earlier loops) loops {
	out := loops{count: l.count - earlier.count, sum: l.sum - earlier.sum}
	for n, b := range l.buckets {
		left := b.GetCumulativeCount()
		if n < len(earlier.buckets) {
			left -= earlier.buckets[n].GetCumulativeCount()
		}
		out.buckets = append(out.buckets, &dto.Bucket{CumulativeCount: &left, UpperBound: b.UpperBound})
	}
	return out
}

// quantile is the time that the share q of all loops did not exceed, read from the buckets as Prometheus does. Each bucket reaches
// half as far again as the one before, so a quantile may be wrong by so much.
func (l loops) quantile(q float64) float64 {
	rank, below, from := q*float64(l.count), 0.0, 0.0
	for _, b := range l.buckets {
		count, to := float64(b.GetCumulativeCount()), b.GetUpperBound()
		if count >= rank && count > below {
			return from + (to-from)*(rank-below)/(count-below)
		}
		below, from = count, to
	}
	return from
}

// value is the value of a metric without labels.
func value(families map[string]*dto.MetricFamily, name string) float64 {
	for _, m := range families[name].GetMetric() {
		return m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return 0
}
