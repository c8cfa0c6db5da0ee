package peers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// A benchCase is one thing that is measured.
type benchCase struct {
	name, title string
	groups      func() []group
	before      []podSet                          // run before the peer starts
	do          func(context.Context, *run) error // adds the run's figures
	shared      bool                              // one world for all runs, because none changes it
	leases      time.Duration                     // how often each node's lease is renewed, 0 for kubelet's 10 s
	nodesGo     bool                              // empty nodes may go, after unneededTime
	// groupsOnly leaves out Karpenter, where the case is about calls to Auto Scaling.
	groupsOnly bool
	// defaultRates keeps the control plane's default rates of calls.
	defaultRates bool
}

func (c benchCase) String() string { return c.name }

// defaultRates ends the name of a case in which the control plane keeps its default rates of calls.
const defaultRates = "-default-rates"

func (c benchCase) atDefaultRates() benchCase {
	c.name, c.title, c.defaultRates = c.name+defaultRates, c.title+", with the control plane's default rates", true
	return c
}

// reported are the names of all cases in the order of the report.
func reported() []string {
	var all []string
	for _, name := range names(cases) {
		all = append(all, name, name+defaultRates)
	}
	return all
}

const (
	large  = "m5.4xlarge" // takes 31 pods of half a CPU
	medium = "m5.2xlarge" // takes 10 pods of 0.7 CPU
	small  = "m5.large"   // takes one pod of 1.2 CPU
	gpu    = "g4dn.xlarge"
)

// cases are in the order of the report.
var cases = []benchCase{
	{name: "reaction-1", title: "one pod, one group at zero", groups: groups(1, large), do: burst(podSet{count: 1})},
	{name: "reaction-gpu", title: "one pod with a GPU, one group at zero", groups: groups(1, gpu), do: burst(podSet{count: 1, gpu: true})},
	{name: "reaction-20", title: "20 pods at once", groups: groups(1, large), do: burst(podSet{count: 20})},
	{name: "reaction-200", title: "200 pods at once", groups: groups(1, large), do: burst(podSet{count: 200})},
	{name: "reaction-2000", title: "2,000 pods at once", groups: groups(1, large), do: burst(podSet{count: 2000})},

	{name: "several-2", title: "10 pods that need two groups", groups: groups(2, large), do: several(2, 5)},
	{name: "several-5", title: "25 pods that need five groups", groups: groups(5, large), do: several(5, 5)},
	{name: "several-2000", title: "2,000 pods that need two groups", groups: groups(2, large), do: several(2, 1000)},
	{name: "several-hang", title: "five groups, of which one has launches that hang",
		groups: groups(5, large), do: hanging(5, 5), groupsOnly: true},

	{name: "groups-10", title: "idle with 10 groups", groups: groups(10, large), do: idle, shared: true, groupsOnly: true},
	{name: "groups-100", title: "idle with 100 groups", groups: groups(100, large), do: idle, shared: true, groupsOnly: true},
	{name: "groups-1000", title: "idle with 1,000 groups", groups: groups(1000, large), do: idle, shared: true, groupsOnly: true},

	{name: "nodes-100", title: "idle with 100 nodes of 10 pods", groups: nodes(100, medium), before: busy(100), do: idle, shared: true, groupsOnly: true},
	{name: "nodes-1000", title: "idle with 1,000 nodes of 10 pods", groups: nodes(1000, medium), before: busy(1000), do: idle, shared: true, groupsOnly: true},
	{name: "nodes-5000", title: "idle with 5,000 nodes of 10 pods", groups: nodes(5000, medium), before: busy(5000), do: idle, shared: true, groupsOnly: true,
		leases: 2 * time.Minute},

	{name: "down-30", title: "30 nodes become empty", groups: groups(1, small), do: emptied(30), nodesGo: true},
	{name: "down-300", title: "300 nodes become empty", groups: groups(3, small), do: emptied(300), nodesGo: true},

	{name: "fallback-1", title: "one pod, and the preferred group has no capacity", groups: fallbackGroups, do: fallback, groupsOnly: true},
}

func groups(count int, instanceType string) func() []group {
	return func() []group { return of(count, instanceType) }
}

func nodes(count int, instanceType string) func() []group {
	return func() []group { return spread(count, instanceType) }
}

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
	for _, figure := range []struct{ name, of string }{{"resident memory, peak", "VmHWM"}, {"anonymous memory", "RssAnon"}} {
		bytes, err := r.autoscaler.Memory(figure.of)
		if err != nil {
			return err
		}
		r.add(figure.name, "MiB", float64(bytes)/(1<<20))
	}
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
	return harness.Rest(ctx, d, r.processes...)
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

// emptied has the peer launch a node for each pod, deletes all pods at once, and measures how soon after the unneeded time the nodes are
// terminated.
func emptied(count int) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		if _, err := r.react(ctx, onePerNode(count, r.world.groups)...); err != nil {
			return err
		}
		removed := time.Now()
		if err := r.remove(ctx); err != nil {
			return err
		}
		if err := r.count(ctx, removed, lab.PodGone, count); err != nil {
			return err
		}
		gone, _ := lab.Last(r.env.Timeline.Since(removed), lab.PodGone)
		var ends []time.Time
		err := r.until(ctx, func() (bool, error) {
			ends = r.terminated(removed)
			return len(ends) >= count, nil
		})
		if err != nil {
			return fmt.Errorf("%d of %d nodes are terminated: %w", len(ends), count, err)
		}
		due := gone.At.Add(unneededTime)
		r.took("unneeded time over to first termination", due, ends[0])
		r.took("unneeded time over to last termination", due, ends[count-1])
		if r.claims == nil {
			// AWS logs a call with its answer, and the instances go before.
			if err := r.rest(ctx, time.Second); err != nil {
				return err
			}
			r.add("calls that terminate", "", float64(len(r.calls(removed, cuts))))
		}
		return nil
	}
}

// onePerNode are pods of which a node takes one, in equal numbers for each group.
func onePerNode(count int, groups []group) []podSet {
	var sets []podSet
	for _, g := range groups {
		sets = append(sets, podSet{name: "pods-of-" + g.name, count: count / len(groups), cpu: "1200m", group: g.name})
	}
	return sets
}
