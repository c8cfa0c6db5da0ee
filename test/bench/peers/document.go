package peers

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// chartFile is the chart's name beside the document.
const chartFile = "benchmarks.svg"

// writeMarkdown writes docs/benchmarks.md: the chart, all figures, and the figures in which another peer is better than ours.
func (r *report) writeMarkdown(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, `# Benchmarks

`+"`make bench-peers`"+` measured these figures on one machine with %d processors (%s), in %d repeats in which the peers took turns. [The bench's own page](../test/bench/peers/README.md)
says how it measures. AWS is emulated: each call takes 50 ms, LaunchInstances 500 ms more, and a node registers 3 s after its launch. The control plane is real. Its scheduler and controller manager make up to 500 calls a second, where their defaults are 50 and 20%s.
A cell has the median with the least and the most. Less is better everywhere, and the best median is bold.

![Times of each peer, on a logarithmic scale](%s)

`, r.Processors, r.dates(), r.Repeats, r.exception(), chartFile)
	row(&text, "name", "what runs", "flags beside the manifest's")
	row(&text, "---", "---", "---")
	for _, p := range r.Peers {
		flags := "none"
		if len(p.Flags) > 0 {
			flags = "`" + strings.Join(p.Flags, "` `") + "`"
		}
		row(&text, "`"+p.Name+"`", p.About, flags)
	}
	for _, c := range r.Cases {
		fmt.Fprintf(&text, "\n## %s: %s\n\n", c.Name, c.Title)
		c.writeFigures(&text)
	}
	r.writeLosses(&text)
	_, err := io.WriteString(w, text.String())
	return err
}

// exception says which cases keep the default rates, if any do.
func (r *report) exception() string {
	if slices.ContainsFunc(r.Cases, func(c *caseReport) bool { return strings.HasSuffix(c.Name, defaultRates) }) {
		return ", which the cases keep whose names end in `" + defaultRates + "`"
	}
	return ""
}

func row(w io.Writer, cells ...string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }

func (c *caseReport) writeFigures(w io.Writer) {
	row(w, append([]string{""}, c.Peers...)...)
	row(w, slices.Repeat([]string{"---"}, len(c.Peers)+1)...)
	for _, f := range c.Figures {
		cells := []string{f.Name}
		best := f.best()
		for _, p := range c.Peers {
			cell := f.cell(p)
			if slices.Contains(best, p) && len(best) < len(f.Values) {
				cell = "**" + cell + "**"
			}
			cells = append(cells, cell)
		}
		row(w, cells...)
	}
	for _, e := range c.Errors {
		fmt.Fprintf(w, "\nOne run has no figures: %s.\n", firstLine(e))
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// writeLosses lists the figures in which another peer is better than ours.
func (r *report) writeLosses(w io.Writer) {
	fmt.Fprint(w, "\n## Where another one is better\n\n")
	lost := false
	for _, c := range r.Cases {
		for _, f := range c.Figures {
			best := f.best()
			if mine := f.Values[ours]; len(mine) == 0 || slices.Contains(best, ours) {
				continue
			}
			if !lost {
				row(w, "case", "figure", "best", ours)
				row(w, "---", "---", "---", "---")
			}
			lost = true
			row(w, c.Name, f.Name, fmt.Sprintf("`%s`: %s", strings.Join(best, "`, `"), f.cell(best[0])), f.cell(ours))
		}
	}
	if !lost {
		fmt.Fprintf(w, "In no figure of this run.\n")
	}
}
