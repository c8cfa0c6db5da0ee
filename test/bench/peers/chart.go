package peers

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// The chart's measures, in pixels, and its time axis, in seconds.
const (
	chartWidth = 960
	labelWidth = 360
	barHeight  = 12
	caseGap    = 16
	chartTop   = 56
	axisFrom   = 0.01
	axisTo     = 1000.0
)

// colours of the peers, readable on white and on black, and for eyes that see no red or no green.
var colours = map[string]string{ours: "#0072b2", stockPlain: "#d55e00", stockTuned: "#e69f00", stockPlugin: "#cc79a7", karpenters: "#009e73"}

// writeChart draws the first time of each case as one bar for each peer, with a line from the least to the most.
func (r *report) writeChart(w io.Writer) error {
	var body strings.Builder
	y := chartTop
	for _, c := range r.Cases {
		n := slices.IndexFunc(c.Figures, func(f *figureReport) bool { return f.Unit == "s" })
		if n < 0 {
			continue
		}
		f := c.Figures[n]
		fmt.Fprintf(&body, "<text x=\"0\" y=\"%d\">%s</text>\n<text x=\"0\" y=\"%d\" class=\"small\">%s</text>\n", y+barHeight-2, escape(c.Title), y+2*barHeight, escape(f.Name))
		bars := 0
		for _, p := range r.Peers {
			if v := f.Values[p.Name]; len(v) > 0 {
				bar(&body, y+bars*barHeight, p.Name, f, v)
				bars++
			}
		}
		y += max(bars, 3)*barHeight + caseGap
	}
	var head strings.Builder
	fmt.Fprintf(&head, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">
<style>text{fill:#222}line{stroke:#888}.small{font-size:11px;fill:#666}.grid{stroke:#ccc}@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}.grid{stroke:#444}}</style>
`, chartWidth, y)
	for n, p := range r.Peers {
		x := labelWidth + n*118
		fmt.Fprintf(&head, "<rect x=\"%d\" y=\"6\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%d\" y=\"17\">%s</text>\n", x, colours[p.Name], x+18, escape(p.Name))
	}
	for at := axisFrom; at <= axisTo; at *= 10 {
		fmt.Fprintf(&head, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" class=\"small\" text-anchor=\"middle\">%g s</text>\n",
			position(at), position(at), chartTop-8, y-caseGap/2, position(at), chartTop-14, math.Round(at*100)/100)
	}
	_, err := io.WriteString(w, head.String()+body.String()+"</svg>\n")
	return err
}

// bar draws one peer's bar with its spread. Times below the axis, negative ones included, have a bar of one pixel.
func bar(w io.Writer, y int, peer string, f *figureReport, v values) {
	from, to := position(axisFrom), position(v.median())
	fmt.Fprintf(w, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", from, y, max(1, to-from), barHeight-2, colours[peer])
	middle := y + barHeight/2 - 1
	fmt.Fprintf(w, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", position(slices.Min(v)), position(slices.Max(v)), middle, middle)
	fmt.Fprintf(w, "<text x=\"%.1f\" y=\"%d\" class=\"small\">%s</text>\n", position(slices.Max(v))+4, y+barHeight-3, escape(format(v.median(), f.Unit)))
}

// position is the place of a time on the logarithmic axis.
func position(seconds float64) float64 {
	share := math.Log10(min(max(seconds, axisFrom), axisTo)/axisFrom) / math.Log10(axisTo/axisFrom)
	return labelWidth + share*(chartWidth-labelWidth-70)
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
