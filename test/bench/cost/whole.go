package cost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/simulate"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/wholeway"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// stockPrefix begins the names of the stock autoscaler's expanders.
const stockPrefix = "stock/"

// wholeExpanders are run the whole way unless some are named. Stock has no prices on AWS, and so no price expander.
var wholeExpanders = []string{"least-cost", "least-waste", "price", "stock/least-waste", "stock/least-nodes", "stock/most-pods", "stock/random"}

// planned are the names by which package simulate knows expanders that have another name here.
var planned = map[string]string{"stock/least-waste": "least-waste-stock", "stock/random": "random"}

type wholeOptions struct {
	expanders []string
	repeats   int
	wait      time.Duration
	atOnce    bool
	flags     []string // of our autoscaler
}

// wholeReport is the output of -whole -o json.
type wholeReport struct {
	Version string      `json:"version"`
	Mixes   []wholeMix  `json:"mixes"`
	Ratios  []wholeRate `json:"ratios"` // by expander, over the mixes of which all pods ran
}

type wholeMix struct {
	Name     string     `json:"name"`
	Pods     int        `json:"pods"`
	Groups   int        `json:"groups"`
	Currency string     `json:"currency"`
	Bound    float64    `json:"bound"` // of the nodes as they register
	Runs     []wholeRun `json:"runs"`
}

// wholeRun is the repeat whose cost is the median. Times count from the creation of the first workload, or with -at-once from the
// autoscaler's start. They are 0 or left out where they were never reached.
type wholeRun struct {
	Expander string         `json:"expander"`
	Plan     float64        `json:"planRatio,omitempty"` // to the bound, of the nodes that the choice alone asks for
	PerHour  float64        `json:"perHour"`
	Ratio    float64        `json:"ratio"` // to the bound
	Ratios   []float64      `json:"ratiosOfAllRepeats"`
	Nodes    map[string]int `json:"nodes"` // by group
	Unused   int            `json:"nodesWithoutPod"`
	Raises   int            `json:"raises"`
	Waiting  int            `json:"waitingPods"`
	Created  float64        `json:"createdSeconds"`          // all pods exist
	Asked    float64        `json:"lastRaiseSeconds"`        // the last call to AWS that asks for instances
	Ready    float64        `json:"lastReadySeconds"`        // the last node is Ready, with its GPUs
	Running  float64        `json:"allRunSeconds,omitempty"` // all pods run
	Error    string         `json:"error,omitempty"`
}

type wholeRate struct {
	Expander string  `json:"expander"`
	Plan     float64 `json:"planMedian,omitempty"`
	Median   float64 `json:"median"`
	Worst    float64 `json:"worst"`
}

// measureWhole runs each mix with each expander, one after the other, because the times count. The report is nil if nothing could be run.
func measureWhole(ctx context.Context, mixes []*mix.Mix, o wholeOptions, c *harness.Command, progress io.Writer) (harness.Report, error) {
	for _, m := range mixes {
		if _, err := wholeway.PriceFile(m); err != nil {
			return nil, fmt.Errorf("mix %q: %w", m.Name, err)
		}
	}
	var r *wholeReport
	err := c.InDir(func(dir string) error {
		isStock := func(expander string) bool { return strings.HasPrefix(expander, stockPrefix) }
		binary, err := harness.Build(ctx, dir, progress, slices.ContainsFunc(o.expanders, isStock))
		if err != nil {
			return err
		}
		r = &wholeReport{Version: "v1"}
		for _, m := range mixes {
			r.Mixes = append(r.Mixes, wholeMix{Name: m.Name, Pods: len(m.Pods), Groups: len(m.Groups), Currency: m.Currency})
			for _, name := range o.expanders {
				err = errors.Join(err, r.run(ctx, m, name, binary, o, dir, progress))
			}
		}
		r.finish(o.expanders)
		return err
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

// run runs the newest mix with one expander, and repeats it.
func (r *wholeReport) run(ctx context.Context, m *mix.Mix, name, binary string, o wholeOptions, dir string, progress io.Writer) error {
	into := &r.Mixes[len(r.Mixes)-1]
	expander, isStock := strings.CutPrefix(name, stockPrefix)
	var results []*wholeway.Result
	var failed error
	for repeat := range o.repeats {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		logs := filepath.Join(dir, fmt.Sprintf("%s-%s-%d", m.Name, strings.ReplaceAll(name, "/", "-"), repeat+1))
		result, err := wholeway.Run(ctx, m, wholeway.Options{Binary: binary, Stock: isStock, Expander: expander,
			Dir: logs, Wait: o.wait, AtOnce: o.atOnce, Flags: o.flags, Progress: progress})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("mix %q with %s: %w", m.Name, name, err))
			fmt.Fprintf(progress, "%s, %s: could not be run: %v\n", m.Name, name, err)
			continue
		}
		results = append(results, result)
		fmt.Fprintf(progress, "%s, %s: %.3f of the bound in %d raises, all pods run after %.1f s, %d wait\n",
			m.Name, name, result.PerHour/result.Bound, result.Raises, result.Running.Seconds(), result.Waiting)
	}
	run := wholeRun{Expander: name}
	if failed != nil {
		run.Error = failed.Error()
	}
	if len(results) > 0 {
		slices.SortFunc(results, func(a, b *wholeway.Result) int { return cmp.Compare(a.PerHour, b.PerHour) })
		into.Bound = harness.Round(results[0].Bound, 1e6)
		run.set(results)
		if plan, err := simulate.Run(ctx, m, cmp.Or(planned[name], name)); err == nil { // not every expander is simulated
			run.Plan = harness.Round(plan.PerHour/results[0].Bound, 1e4)
		}
	}
	into.Runs = append(into.Runs, run)
	return failed
}

// set takes the figures of the median, and all ratios. The results are sorted by cost.
func (r *wholeRun) set(results []*wholeway.Result) {
	for _, result := range results {
		r.Ratios = append(r.Ratios, harness.Round(result.PerHour/result.Bound, 1e4))
	}
	at := len(results) / 2
	median := results[at]
	r.PerHour, r.Ratio, r.Nodes = harness.Round(median.PerHour, 1e6), r.Ratios[at], median.Nodes
	r.Unused, r.Raises, r.Waiting = median.Unused, median.Raises, median.Waiting
	for _, time := range []struct {
		to   *float64
		from time.Duration
	}{{&r.Created, median.Created}, {&r.Asked, median.Asked}, {&r.Ready, median.Ready}, {&r.Running, median.Running}} {
		*time.to = harness.Round(time.from.Seconds(), 1e2)
	}
}

// finish computes the ratios once all runs are in.
func (r *wholeReport) finish(expanders []string) {
	for i, name := range expanders {
		var plans, ratios []float64
		for _, m := range r.Mixes {
			if i >= len(m.Runs) || m.Runs[i].Error != "" || m.Runs[i].Waiting > 0 {
				continue
			}
			ratios = append(ratios, m.Runs[i].Ratio)
			if m.Runs[i].Plan > 0 {
				plans = append(plans, m.Runs[i].Plan)
			}
		}
		if len(ratios) == 0 {
			continue
		}
		rate := wholeRate{Expander: name, Median: median(ratios), Worst: slices.Max(ratios)}
		if len(plans) > 0 {
			rate.Plan = median(plans)
		}
		r.Ratios = append(r.Ratios, rate)
	}
}

// WriteTable prints a line per mix and expander, and the ratios of each expander over all mixes.
func (r *wholeReport) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "the whole way\tpods\tgroups\tbound/h\texpander\tplan\tfleet/h\tnodes\twithout a pod\traises\tpods exist\tlast raise\tlast Ready\tall run\twaiting")
	for _, m := range r.Mixes {
		for _, run := range m.Runs {
			fmt.Fprintf(table, "%s\t%d\t%d\t%.3f %s\t%s\t", m.Name, m.Pods, m.Groups, m.Bound, m.Currency, run.Expander)
			if run.PerHour == 0 && run.Error != "" {
				fmt.Fprintln(table, "could not be run")
				continue
			}
			nodes := 0
			for _, n := range run.Nodes {
				nodes += n
			}
			fmt.Fprintf(table, "%s\t%.3f (%.3f)\t%d\t%d\t%d\t%.1f s\t%.1f s\t%.1f s\t%s\t%d\n", known("(%.3f)", run.Plan), run.PerHour, run.Ratio,
				nodes, run.Unused, run.Raises, run.Created, run.Asked, run.Ready, known("%.1f s", run.Running), run.Waiting)
		}
	}
	if len(r.Mixes) > 1 {
		for _, rate := range r.Ratios {
			fmt.Fprintf(table, "median\t\t\t\t%s\t%s\t(%.3f)\n", rate.Expander, known("(%.3f)", rate.Plan), rate.Median)
			fmt.Fprintf(table, "worst\t\t\t\t%s\t\t(%.3f)\n", rate.Expander, rate.Worst)
		}
	}
	return table.Flush()
}

// known formats a figure that may be missing.
func known(format string, x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf(format, x)
}
