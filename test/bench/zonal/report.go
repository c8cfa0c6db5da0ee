package zonal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is the output of -o json. The runs of a cell follow each other, stock's before ours.
type report struct {
	Version string   `json:"version"`
	Runs    []result `json:"runs"`
}

// result is one run.
type result struct {
	Cell       string   `json:"cell"`
	Autoscaler string   `json:"autoscaler"`
	Flags      []string `json:"flags"` // beside the manifest's
	Error      string   `json:"error,omitempty"`
	Running    int      `json:"running"` // at the end
	Lost       int      `json:"lost"`
	Launched   int      `json:"launched"`                // instances
	AllRun     float64  `json:"allRunSeconds,omitempty"` // from the workload's creation, 0 for never
	Seconds    float64  `json:"seconds"`                 // from there to the end
}

// result is that of a run without a record.
func (r *run) result() result {
	return result{Cell: r.cell.label(), Autoscaler: r.contestant.name, Flags: slices.Concat(flags, r.contestant.flags)}
}

// WriteTable prints a line for each cell with both runs.
func (r *report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "pods\tgroup\tAZRebalance\tLaunchInstances\tstock\tours\t")
	for _, pair := range r.pairs() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", strings.ReplaceAll(pair[1].Cell, "|", "\t"), pair[0].share(), pair[1].share(), verdict(pair))
	}
	return table.Flush()
}

// pairs are the cells with both runs. With one contestant there is none.
func (r *report) pairs() [][]result {
	return slices.DeleteFunc(slices.Collect(slices.Chunk(r.Runs, 2)), func(pair []result) bool { return len(pair) < 2 || pair[0].Cell != pair[1].Cell })
}

// isWorse is the verdict on a cell in which ours ran fewer pods than stock.
const isWorse = "worse"

// worse counts the cells with that verdict.
func (r *report) worse() int {
	return count(r.pairs(), func(pair []result) bool { return verdict(pair) == isWorse })
}

// verdict judges stock's run and ours.
func verdict(pair []result) string {
	switch theirs, own := pair[0], pair[1]; {
	case theirs.Error != "" || own.Error != "":
		return "could not be run"
	case own.Running < theirs.Running:
		return isWorse
	case own.Running > theirs.Running:
		return "better"
	}
	return ""
}

// share says how many pods run at the end, when all ran first, and when the lost ones did again.
func (r result) share() string {
	text := fmt.Sprintf("%d", r.Running)
	if r.AllRun > 0 {
		text += fmt.Sprintf(", all after %.0f s", r.AllRun)
	}
	if r.Lost > 0 {
		text += fmt.Sprintf(", %d lost until %.0f s", r.Lost, r.Seconds)
	}
	return fmt.Sprintf("%s, %d nodes", text, r.Launched)
}
