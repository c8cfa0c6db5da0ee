package zonal

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// report is the output of -o json.
type report struct {
	Version       string   `json:"version"`
	OutageSeconds seconds  `json:"outageSeconds"`
	Currency      string   `json:"currency"`
	Runs          []result `json:"runs"`

	cells bool // the runs are of cells, stock's before ours
}

func newReport(o options) *report {
	return &report{Version: "v1", OutageSeconds: seconds(o.outage.Seconds()), Currency: string(pricing.Embedded(region).Currency()), cells: o.cells}
}

// result is one run, counted as the package's documentation says. Seconds of states that were never reached are left out.
type result struct {
	Scenario   string   `json:"scenario"`
	Title      string   `json:"title"`
	Autoscaler string   `json:"autoscaler"`
	Flags      []string `json:"flags"` // beside the manifest's
	Error      string   `json:"error,omitempty"`

	Launched     int      `json:"launched"`
	WrongZone    int      `json:"wrongZone"`
	Pending      int      `json:"pendingAfter3m"`
	AllRun       *seconds `json:"allRunSeconds,omitempty"`
	AfterOutage  *seconds `json:"allRunSecondsAfterOutage,omitempty"`
	Settled      *seconds `json:"settledSeconds,omitempty"` // to three instances, after the fall to three replicas, only if all ran before
	IdleSeconds  seconds  `json:"idleSeconds"`              // of all instances, see timeline.idle
	Wasted       float64  `json:"wasted"`
	Writes       int      `json:"writeCalls"`
	WritesByCall counts   `json:"writeCallsByAction"`

	ShortUntil seconds  `json:"shortUntil,omitempty"`
	From       seconds  `json:"from,omitempty"` // the start of its seconds
	Fall       seconds  `json:"fall,omitempty"`
	Timeline   timeline `json:"timeline"`
}

type counts map[string]int

func (r *run) judge(t timeline, calls map[string]int) result {
	out := r.blank()
	out.From, out.Fall, out.ShortUntil, out.Timeline = r.from, r.fall, r.shortUntil, t
	out.Launched, out.WrongZone = len(t.Instances), r.scenario.wrong(t)
	out.Pending = t.pendingAt(r.from + seconds(pendingAfter.Seconds()))
	if at, ok := t.allRun(r.from, r.scenario.pods); ok {
		out.AllRun = after(r.from, at)
		if r.shortUntil > 0 {
			out.AfterOutage = after(r.shortUntil, at)
		}
	}
	if r.fall > 0 && out.AllRun != nil {
		if at, ok := t.left(r.fall, 3); ok {
			out.Settled = after(r.fall, at)
		}
	}
	out.IdleSeconds, out.Wasted = waste(t, onDemand)
	out.WritesByCall = writes(calls)
	for _, n := range out.WritesByCall {
		out.Writes += n
	}
	return out
}

// blank is the result of a run without a record.
func (r *run) blank() result {
	return result{Scenario: r.scenario.name, Title: r.scenario.title, Autoscaler: r.contestant.name, Flags: slices.Concat(delays, r.scenario.flags, r.contestant.flags)}
}

func after(from, at seconds) *seconds {
	d := seconds(harness.Round(float64(at-from), 1000))
	return &d
}

// waste is how long instances were idle, and the cost of that by a price per hour of their type.
func waste(t timeline, perHour func(instanceType string) float64) (idle seconds, cost float64) {
	for _, i := range t.Instances {
		idle += t.idle(i)
		cost += float64(t.idle(i)) / 3600 * perHour(i.Type)
	}
	return seconds(harness.Round(float64(idle), 1000)), harness.Round(cost, 1e6)
}

// region is the account's, whose price list has all its types.
const region = "us-east-1"

func onDemand(instanceType string) float64 {
	price, _ := pricing.Embedded(region).Lookup(instanceType)
	return price.Amount.PerHour
}

// writes are the calls that change something.
func writes(calls map[string]int) counts {
	some := counts{}
	maps.Copy(some, calls)
	maps.DeleteFunc(some, func(action string, _ int) bool {
		return slices.ContainsFunc([]string{"Describe", "Get", "List"}, func(reads string) bool { return strings.HasPrefix(action, reads) })
	})
	return some
}

// WriteTable prints a line for each run, or for each cell.
func (r *report) WriteTable(w io.Writer) error {
	if r.cells {
		return r.writeCells(w)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "scenario\tautoscaler\twrong zone\tpending after 3 min\tall run after\tlaunched\tidle\twasted %s\twrite calls\n", r.Currency)
	for _, run := range r.Runs {
		fmt.Fprintf(table, "%s %s\t%s\t", run.Scenario, run.Title, run.Autoscaler)
		if run.Error != "" {
			fmt.Fprintln(table, "could not be run")
			continue
		}
		fmt.Fprintf(table, "%d\t%d\t%s\t%d\t%.0f s\t%.4f\t%s\n", run.WrongZone, run.Pending, run.took(), run.Launched, run.IdleSeconds, run.Wasted, run.WritesByCall)
	}
	return table.Flush()
}

// took formats when all ran, and the scenario's other times.
func (r result) took() string {
	if r.AllRun == nil {
		return "never"
	}
	text := fmt.Sprintf("%.0f s", *r.AllRun)
	if r.AfterOutage != nil {
		text += fmt.Sprintf(" (%.0f s after the shortage)", *r.AfterOutage)
	}
	switch {
	case r.Settled != nil:
		text += fmt.Sprintf(", down again after %.0f s", *r.Settled)
	case r.Fall > 0:
		text += ", down again never"
	}
	return text
}

// String is the sum and, in brackets, the actions.
func (c counts) String() string {
	sum, parts := 0, []string{}
	for _, action := range slices.Sorted(maps.Keys(c)) {
		sum += c[action]
		parts = append(parts, fmt.Sprintf("%d %s", c[action], action))
	}
	if sum == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", sum, strings.Join(parts, ", "))
}
