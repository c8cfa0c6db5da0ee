package growth

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

// report is the output of -o json.
type report struct {
	Version    string        `json:"version"`
	Date       string        `json:"date"`
	Processors int           `json:"processors"`
	Repeats    int           `json:"repeats"`
	Axes       []*axisReport `json:"axes"`
}

type axisReport struct {
	Name    string          `json:"name"`
	Unit    string          `json:"unit"`
	Sizes   []int           `json:"sizes"`
	Figures []*figureReport `json:"figures"`
}

// figureReport has the median of all repeats for each size. Its exponents are 0 where it does not grow.
type figureReport struct {
	Name     string    `json:"name"`
	Owner    string    `json:"owner,omitempty"` // whose part of the figure without an owner it is
	Unit     string    `json:"unit,omitempty"`
	Values   []float64 `json:"values"`
	Exponent float64   `json:"exponent"`
	AtTop    float64   `json:"exponentAtTop"`     // over the two largest sizes
	TooFast  bool      `json:"tooFast,omitempty"` // one of our packages', and faster than linear
}

func newReport(repeats int) *report {
	return &report{Version: "v1", Date: time.Now().UTC().Format(time.DateOnly), Processors: runtime.NumCPU(), Repeats: repeats}
}

// add fits the runs of an axis: by size, repeat after repeat. It leaves out parts of which the profiles have too few samples.
func (r *report) add(a axis, sizes []int, runs [][][]figure) {
	out := &axisReport{Name: a.name, Unit: a.unit, Sizes: sizes}
	last := len(sizes) - 1
	for at, repeats := range runs[last] {
		for _, f := range repeats {
			if at > 0 && slices.ContainsFunc(out.Figures, func(known *figureReport) bool { return known.Name == f.what && known.Owner == f.owner }) {
				continue
			}
			fitted := &figureReport{Name: f.what, Owner: f.owner, Unit: f.unit}
			var sampled []float64 // a size without a sample counts as if it had one
			floor := 0.0
			for _, runs := range runs {
				value, least := valueOf(runs, f)
				fitted.Values, sampled, floor = append(fitted.Values, value), append(sampled, max(value, least/fewest)), least
			}
			if fitted.Values[last] < floor && f.owner != ours {
				continue
			}
			fitted.Exponent, fitted.AtTop = exponent(sampled), exponent(sampled[last-1:])
			fitted.TooFast = f.owner != "" && ofOurs(f.owner) && fitted.Values[last] >= floor && min(fitted.Exponent, fitted.AtTop) > tooFast
			out.Figures = append(out.Figures, fitted)
		}
	}
	r.Axes = append(r.Axes, out)
}

// valueOf is the median of a figure over runs, and its floor there. A profile without a sample of an owner has none of it.
func valueOf(runs [][]figure, like figure) (value, floor float64) {
	var values []float64
	for _, run := range runs {
		value := 0.0
		for _, f := range run {
			if f.what == like.what && f.owner == like.owner {
				value, floor = f.value, f.floor
			}
		}
		values = append(values, value)
	}
	return harness.Median(values), floor
}

// tooFast are the figures of our packages that grow faster than linearly.
func (r *report) tooFast() (list []string) {
	for _, a := range r.Axes {
		for _, f := range a.Figures {
			if f.TooFast {
				list = append(list, fmt.Sprintf("%s: %s, %s: %.2f, at the top %.2f", a.Name, f.Name, f.Owner, f.Exponent, f.AtTop))
			}
		}
	}
	return list
}

// WriteTable prints a table for each axis: a line for each figure, with its exponents at the end.
func (r *report) WriteTable(w io.Writer) error {
	for _, a := range r.Axes {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "%s: %s", a.Name, a.Unit)
		for _, size := range a.Sizes {
			fmt.Fprintf(table, "\t%d", size)
		}
		fmt.Fprintln(table, "\texponent\tat the top")
		for _, f := range a.Figures {
			name := "  " + f.Owner
			if f.Owner == "" {
				name = strings.TrimSuffix(f.Name+", "+f.Unit, ", ")
			}
			fmt.Fprint(table, name)
			for _, v := range f.Values {
				fmt.Fprintf(table, "\t%s", digits(v))
			}
			fmt.Fprintf(table, "\t%s\t%s\n", growth(f.Exponent), growth(f.AtTop))
		}
		fmt.Fprintln(table)
		if err := table.Flush(); err != nil {
			return err
		}
	}
	for _, line := range r.tooFast() {
		fmt.Fprintln(w, "faster than linear:", line)
	}
	return nil
}

func growth(exponent float64) string {
	if exponent == 0 {
		return "flat"
	}
	return fmt.Sprintf("%.2f", exponent)
}

// digits has three of them.
func digits(x float64) string {
	switch {
	case x == math.Trunc(x) || x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
