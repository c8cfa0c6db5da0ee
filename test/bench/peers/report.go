package peers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// report is the output of -o json. Less is better in all of its figures.
type report struct {
	Version    string        `json:"version"`
	Processors int           `json:"processors"`
	Repeats    int           `json:"repeats"`
	Peers      []peerReport  `json:"peers"`
	Cases      []*caseReport `json:"cases"`
}

type peerReport struct {
	Name  string   `json:"name"`
	About string   `json:"about"`
	Flags []string `json:"flags,omitempty"` // beside the manifest's
}

type caseReport struct {
	Name    string          `json:"name"`
	Title   string          `json:"title"`
	Date    string          `json:"date"`
	Peers   []string        `json:"peers"` // that can do the case
	Figures []*figureReport `json:"figures"`
	Errors  []string        `json:"errors,omitempty"` // of runs without figures
}

type figureReport struct {
	Name   string            `json:"name"`
	Unit   string            `json:"unit,omitempty"`
	Values map[string]values `json:"values"` // by peer
}

// values are one figure of all repeats, in their order.
type values []float64

func newReport(peers []peer, repeats int) *report {
	r := &report{Version: "v2", Processors: runtime.NumCPU(), Repeats: repeats}
	for _, p := range peers {
		r.Peers = append(r.Peers, peerReport{p.name, p.about, p.flags})
	}
	return r
}

// join takes over the cases of an earlier report, of which this one may measure some again. Both must come from the same program and machine.
func (r *report) join(earlier *report) error {
	if earlier.Version != r.Version || earlier.Processors != r.Processors || earlier.Repeats != r.Repeats {
		return fmt.Errorf("the earlier report has version %s, %d processors and %d repeats, and this one %s, %d and %d: write to another file",
			earlier.Version, earlier.Processors, earlier.Repeats, r.Version, r.Processors, r.Repeats)
	}
	for _, p := range earlier.Peers {
		if !slices.ContainsFunc(r.Peers, func(known peerReport) bool { return known.Name == p.Name }) {
			r.Peers = append(r.Peers, p)
		}
	}
	inOrder(r.Peers, names(peers), func(p peerReport) string { return p.Name })
	r.Cases = earlier.Cases
	return nil
}

// add adds a case that is measured now, in place of an earlier one.
func (r *report) add(c benchCase, peers []peer) *caseReport {
	out := &caseReport{Name: c.name, Title: c.title, Date: time.Now().UTC().Format(time.DateOnly), Peers: names(peers)}
	r.Cases = append(slices.DeleteFunc(r.Cases, func(earlier *caseReport) bool { return earlier.Name == c.name }), out)
	inOrder(r.Cases, reported(), func(c *caseReport) string { return c.Name })
	return out
}

// inOrder sorts a list by the place of each one's name among all.
func inOrder[T any](list []T, all []string, name func(T) string) {
	slices.SortStableFunc(list, func(a, b T) int { return slices.Index(all, name(a)) - slices.Index(all, name(b)) })
}

// dates are the first and the last day of the measurements, or the one day.
func (r *report) dates() string {
	var days []string
	for _, c := range r.Cases {
		days = append(days, c.Date)
	}
	slices.Sort(days)
	return strings.Join(slices.Compact([]string{days[0], days[len(days)-1]}), " to ")
}

func (c *caseReport) note(peer string, run figures) {
	for _, f := range run {
		n := slices.IndexFunc(c.Figures, func(known *figureReport) bool { return known.Name == f.Name })
		if n < 0 {
			n = len(c.Figures)
			c.Figures = append(c.Figures, &figureReport{Name: f.Name, Unit: f.Unit, Values: map[string]values{}})
		}
		c.Figures[n].Values[peer] = append(c.Figures[n].Values[peer], f.Value)
	}
}

func (v values) median() float64 { return harness.Median(v) }

// cell is the median with its spread, in a unit. A peer without the figure has a dash.
func (f *figureReport) cell(peer string) string {
	v := f.Values[peer]
	if len(v) == 0 {
		return "-"
	}
	text, low, high := format(v.median(), f.Unit), format(slices.Min(v), ""), format(slices.Max(v), "")
	if low == high {
		return text
	}
	return fmt.Sprintf("%s (%s to %s)", text, low, high)
}

// format has three digits, with the unit behind them.
func format(x float64, unit string) string {
	digits := 0
	switch size := max(x, -x); {
	case size == float64(int64(size)):
	case size < 1:
		digits = 3
	case size < 10:
		digits = 2
	case size < 100:
		digits = 1
	}
	text := fmt.Sprintf("%.*f", digits, x)
	if unit == "% of a core" {
		return text + " %"
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}

// best are the peers with the lowest median of a figure.
func (f *figureReport) best() []string {
	var best []string
	low := 0.0
	for _, p := range peers {
		v := f.Values[p.name]
		if len(v) == 0 {
			continue
		}
		switch m := v.median(); {
		case len(best) == 0 || m < low:
			best, low = []string{p.name}, m
		case m == low:
			best = append(best, p.name)
		}
	}
	return best
}

func readReport(path string) (*report, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r report
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("report %q: %w", path, err)
	}
	return &r, nil
}

// resume takes over the cases of the file, if it is there.
func (r *report) resume(path string) error {
	if path == "" {
		return nil
	}
	earlier, err := readReport(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := r.join(earlier); err != nil {
		return fmt.Errorf("report %q: %w", path, err)
	}
	return nil
}

// save writes the report to a file, if one is named.
func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	var text bytes.Buffer
	if err := harness.WriteJSON(&text, r); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}

// WriteTable prints a table for each case: a line for each figure, with the median and in brackets the least and the most.
func (r *report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range r.Cases {
		fmt.Fprintf(table, "%s: %s\n", c.Name, c.Title)
		for _, p := range c.Peers {
			fmt.Fprintf(table, "\t%s", p)
		}
		fmt.Fprintln(table)
		for _, f := range c.Figures {
			fmt.Fprint(table, f.Name)
			for _, p := range c.Peers {
				fmt.Fprintf(table, "\t%s", f.cell(p))
			}
			fmt.Fprintln(table)
		}
		for _, e := range c.Errors {
			fmt.Fprintf(table, "could not be run: %s\n", firstLine(e))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
