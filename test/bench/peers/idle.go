package peers

import (
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"

	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// busy are ten pods for each node, which keep it from becoming unneeded.
func busy(nodes int) []podSet {
	var sets []podSet
	for _, g := range spread(nodes, medium) {
		sets = append(sets, podSet{name: "pods-of-" + g.name, count: 10 * g.nodes, cpu: "700m", group: g.name, bound: true})
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
	before, err := r.scrape(ctx)
	if err != nil {
		return err
	}
	calls, start := r.callCount(), time.Now()
	if err := r.rest(ctx, r.bench.options.idle); err != nil {
		return err
	}
	after, err := r.scrape(ctx)
	if err != nil {
		return err
	}
	took := time.Since(start)
	l := loopsSince(before.core, after.core)
	if l.count == 0 {
		return fmt.Errorf("no loop within %s", took)
	}
	r.add("AWS calls a minute", "", float64(r.callCount()-calls)/took.Minutes())
	r.add("loop, mean", "s", l.sum/l.count)
	r.add("loop, p50", "s", l.quantile(0.5))
	r.add("loop, p99", "s", l.quantile(0.99))
	r.add("processor time", "% of a core", 100*(after.sum("process_cpu_seconds_total")-before.sum("process_cpu_seconds_total"))/took.Seconds())
	r.add("resident memory", "MiB", after.sum("process_resident_memory_bytes")/(1<<20))
	peak, err := r.autoscaler.PeakMemory()
	if err != nil {
		return err
	}
	r.add("resident memory, peak", "MiB", float64(peak)/(1<<20))
	if r.plugin != nil {
		r.answers(before.plugin, after.plugin, l.count)
	}
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

// A scrape has the metrics of a Cluster Autoscaler, and of the plugin that it asks, if any.
type scrape struct{ core, plugin map[string]*dto.MetricFamily }

func (r *run) scrape(ctx context.Context) (s scrape, err error) {
	if s.core, err = r.autoscaler.Metrics(ctx); err == nil && r.plugin != nil {
		s.plugin, err = r.plugin.Metrics(ctx)
	}
	return s, err
}

// sum adds up a metric of the two processes.
func (s scrape) sum(name string) float64 {
	return lab.MetricSum(s.core, name, nil) + lab.MetricSum(s.plugin, name, nil)
}
