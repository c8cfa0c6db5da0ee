package cost

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/simulate"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// report is the output of -o json.
type report struct {
	Version   string      `json:"version"`
	Expanders []string    `json:"expanders"`
	Mixes     []mixReport `json:"mixes"`
	// Ratios are by expander: the cost of its nodes divided by the bound, over the mixes of which it placed all pods.
	Ratios []ratios `json:"ratios"`
}

type mixReport struct {
	Name     string `json:"name"`
	About    string `json:"about,omitempty"`
	Pods     int    `json:"pods"`
	Groups   int    `json:"groups"`
	Currency string `json:"currency"`
	// Bound is the least that the pods must cost per hour with nodes and pods divisible.
	Bound float64     `json:"bound"`
	Runs  []runReport `json:"runs"`
}

type runReport struct {
	Expander        string         `json:"expander"`
	PerHour         float64        `json:"perHour"`
	Ratio           float64        `json:"ratio"` // to the bound
	Raises          int            `json:"raises"`
	Nodes           map[string]int `json:"nodes"` // by group
	Unplaced        int            `json:"unplacedPods"`
	ChoosingSeconds float64        `json:"longestChoiceSeconds"`
	Seconds         float64        `json:"seconds"`
}

type ratios struct {
	Expander string  `json:"expander"`
	Median   float64 `json:"median"`
	Worst    float64 `json:"worst"`
}

func newReport(mixes []*mix.Mix, expanders []string) *report {
	r := &report{Version: "v1", Expanders: expanders}
	for _, m := range mixes {
		r.Mixes = append(r.Mixes, mixReport{Name: m.Name, About: m.About, Pods: len(m.Pods), Groups: len(m.Groups),
			Currency: m.Currency, Runs: make([]runReport, len(expanders))})
		for k, name := range expanders {
			r.Mixes[len(r.Mixes)-1].Runs[k].Expander = name
		}
	}
	return r
}

func (r *runReport) set(result *simulate.Result) {
	r.PerHour, r.Raises, r.Nodes, r.Unplaced = harness.Round(result.PerHour, 1e6), result.Raises, result.Count, result.Unplaced
	r.ChoosingSeconds, r.Seconds = harness.Round(result.Choosing.Seconds(), 1e4), harness.Round(result.Took.Seconds(), 1e2)
}

// finish computes the ratios once all runs are in.
func (r *report) finish() {
	for i := range r.Mixes {
		m := &r.Mixes[i]
		for k := range m.Runs {
			if run := &m.Runs[k]; m.Bound > 0 {
				run.Ratio = harness.Round(run.PerHour/m.Bound, 1e4)
			}
		}
		m.Bound = harness.Round(m.Bound, 1e6)
	}
	for k, name := range r.Expanders {
		var all []float64
		for _, m := range r.Mixes {
			if run := m.Runs[k]; run.Unplaced == 0 && run.Ratio > 0 {
				all = append(all, run.Ratio)
			}
		}
		if len(all) > 0 {
			r.Ratios = append(r.Ratios, ratios{name, median(all), slices.Max(all)})
		}
	}
}

func median(list []float64) float64 { return harness.Round(harness.Median(list), 1e4) }

// WriteTable prints a line per mix: the bound, and for each expander the cost of its nodes with the ratio to the bound.
func (r *report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "nodes asked for\tpods\tgroups\tbound/h\t%s\n", strings.Join(r.Expanders, "\t"))
	for _, m := range r.Mixes {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.3f %s", m.Name, m.Pods, m.Groups, m.Bound, m.Currency)
		for _, run := range m.Runs {
			fmt.Fprintf(table, "\t%.3f (%.3f)", run.PerHour, run.Ratio)
			if run.Unplaced > 0 {
				fmt.Fprintf(table, ", %d pods unplaced", run.Unplaced)
			}
		}
		fmt.Fprintln(table)
	}
	r.writeRatios(table, "median", func(x ratios) float64 { return x.Median })
	r.writeRatios(table, "worst", func(x ratios) float64 { return x.Worst })
	return table.Flush()
}

func (r *report) writeRatios(w io.Writer, name string, of func(ratios) float64) {
	if len(r.Mixes) < 2 {
		return
	}
	fmt.Fprintf(w, "%s\t\t\t", name)
	for _, expander := range r.Expanders {
		i := slices.IndexFunc(r.Ratios, func(x ratios) bool { return x.Expander == expander })
		if i < 0 {
			fmt.Fprint(w, "\t")
			continue
		}
		fmt.Fprintf(w, "\t(%.3f)", of(r.Ratios[i]))
	}
	fmt.Fprintln(w)
}
