package cost

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/bound"
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
	// Bound is the least that the pods must cost per hour with nodes and pods divisible, WholePods with only nodes divisible.
	Bound     float64     `json:"bound"`
	WholePods float64     `json:"wholePodsBound"`
	Runs      []runReport `json:"runs"`
}

type runReport struct {
	Expander string `json:"expander"`
	nodesReport
	// Settled is the cost once kube-scheduler had bound the pods in its own way.
	Settled         nodesReport `json:"settled"`
	Unplaced        int         `json:"unplacedPods"`
	ChoosingSeconds float64     `json:"longestChoiceSeconds"`
	Seconds         float64     `json:"seconds"`
}

type nodesReport struct {
	PerHour    float64        `json:"perHour"`
	Ratio      float64        `json:"ratio"`               // to the bound
	RatioWhole float64        `json:"ratioWholePodsBound"` // to the bound with whole pods
	Raises     int            `json:"raises"`
	Nodes      map[string]int `json:"nodes"` // by group
}

type ratios struct {
	Expander      string  `json:"expander"`
	Median        float64 `json:"median"`
	Worst         float64 `json:"worst"`
	MedianSettled float64 `json:"medianSettled"`
	WorstSettled  float64 `json:"worstSettled"`
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

func (m *mixReport) setBounds(b bound.Bounds) { m.Bound, m.WholePods = b.Fractional, b.WholePods }

func (r *runReport) set(result *simulate.Result) {
	r.nodesReport.set(result.Asked)
	r.Settled.set(result.Settled)
	r.Unplaced = result.Unplaced
	r.ChoosingSeconds, r.Seconds = harness.Round(result.Choosing.Seconds(), 1e4), harness.Round(result.Took.Seconds(), 1e2)
}

func (n *nodesReport) set(nodes simulate.Nodes) {
	n.PerHour, n.Raises, n.Nodes = harness.Round(nodes.PerHour, 1e6), nodes.Raises, nodes.Count
}

// finish computes the ratios once all runs are in.
func (r *report) finish() {
	for i := range r.Mixes {
		m := &r.Mixes[i]
		for k := range m.Runs {
			for _, n := range []*nodesReport{&m.Runs[k].nodesReport, &m.Runs[k].Settled} {
				if m.Bound > 0 {
					n.Ratio, n.RatioWhole = harness.Round(n.PerHour/m.Bound, 1e4), harness.Round(n.PerHour/m.WholePods, 1e4)
				}
			}
		}
		m.Bound, m.WholePods = harness.Round(m.Bound, 1e6), harness.Round(m.WholePods, 1e6)
	}
	for k, name := range r.Expanders {
		var asked, settled []float64
		for _, m := range r.Mixes {
			if run := m.Runs[k]; run.Unplaced == 0 && run.Ratio > 0 {
				asked, settled = append(asked, run.Ratio), append(settled, run.Settled.Ratio)
			}
		}
		if len(asked) > 0 {
			r.Ratios = append(r.Ratios, ratios{name, median(asked), slices.Max(asked), median(settled), slices.Max(settled)})
		}
	}
}

func median(list []float64) float64 { return harness.Round(harness.Median(list), 1e4) }

// WriteTable prints a line per mix: the bound, how much higher it is with whole pods, and for each expander the cost of its
// nodes with the ratio to the bound. A second table shows the cost once kube-scheduler has bound the pods.
func (r *report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := strings.Join(r.Expanders, "\t")
	fmt.Fprintf(table, "nodes asked for\tpods\tgroups\tbound/h\twhole pods\t%s\n", head)
	for _, m := range r.Mixes {
		fmt.Fprintf(table, "%s\t%d\t%d\t%.3f %s\t(%.3f)", m.Name, m.Pods, m.Groups, m.Bound, m.Currency, m.WholePods/math.Max(m.Bound, 1e-9))
		for _, run := range m.Runs {
			fmt.Fprintf(table, "\t%s", run.nodesReport)
			if run.Unplaced > 0 {
				fmt.Fprintf(table, ", %d pods unplaced", run.Unplaced)
			}
		}
		fmt.Fprintln(table)
	}
	r.writeRatios(table, "median", func(x ratios) float64 { return x.Median })
	r.writeRatios(table, "worst", func(x ratios) float64 { return x.Worst })
	fmt.Fprintf(table, "\t\t\t\t\nonce the scheduler has bound the pods\t\t\t\t\t%s\n", head)
	for _, m := range r.Mixes {
		fmt.Fprintf(table, "%s\t\t\t\t", m.Name)
		for _, run := range m.Runs {
			fmt.Fprintf(table, "\t%s", run.Settled)
		}
		fmt.Fprintln(table)
	}
	r.writeRatios(table, "median", func(x ratios) float64 { return x.MedianSettled })
	r.writeRatios(table, "worst", func(x ratios) float64 { return x.WorstSettled })
	return table.Flush()
}

// String is the cost with the ratio.
func (n nodesReport) String() string { return fmt.Sprintf("%.3f (%.3f)", n.PerHour, n.Ratio) }

func (r *report) writeRatios(w io.Writer, name string, of func(ratios) float64) {
	if len(r.Mixes) < 2 {
		return
	}
	fmt.Fprintf(w, "%s\t\t\t\t", name)
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
