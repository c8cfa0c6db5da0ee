package pages

import (
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// The size of the graph in its own units. The browser stretches it to the page's width.
const (
	graphWidth  = 1000
	graphHeight = 100
)

// graph is the spend of the last hours.
type graph struct {
	Line, Area string // path data
	Top        float64
	From       time.Time
	Low, High  float64
}

// newGraph draws a step for each change of the spend, which is perHour now. It returns nil for fewer than two points.
func newGraph(points []decision.SpendPoint, perHour float64) *graph {
	if len(points) < 2 {
		return nil
	}
	first, last := points[0], points[len(points)-1]
	g := &graph{From: first.At, Low: perHour, High: perHour}
	for _, p := range points {
		g.Low, g.High = min(g.Low, p.PerHour), max(g.High, p.PerHour)
	}
	g.Top = niceTop(g.High)
	span := max(last.At.Sub(first.At), time.Second)
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	x := func(t time.Time) string { return number(graphWidth * float64(t.Sub(first.At)) / float64(span)) }
	y := func(v float64) string { return number(graphHeight * (1 - v/g.Top)) }
	var line strings.Builder
	line.WriteString("M0 " + y(first.PerHour))
	before := first.PerHour
	for _, p := range points[1:] {
		if p.PerHour != before {
			line.WriteString("H" + x(p.At) + "V" + y(p.PerHour))
			before = p.PerHour
		}
	}
	line.WriteString("H" + number(graphWidth))
	g.Line = line.String()
	g.Area = g.Line + "V" + number(graphHeight) + "H0Z"
	return g
}

// niceTop is the end of the axis: the next of 1, 2, 5, 10 and so on, at least 1.
func niceTop(high float64) float64 {
	top := 1.0
	for steps := []float64{2, 2.5, 2}; top < high && top < 1e12; {
		top *= steps[0]
		steps = append(steps[1:], steps[0])
	}
	return top
}

// barWidth is the width of a group's bar in its own units.
const barWidth = 100

// bar is a group's size on a scale from 0 to its maximum.
type bar struct {
	Ready, Desired, Min float64 // ends of the parts, 0 to barWidth
}

func newBar(g *decision.Group) bar {
	scale := float64(max(g.Max, g.Desired, g.Ready, 1)) / barWidth
	at := func(n int) float64 { return float64(max(n, 0)) / scale }
	return bar{Ready: at(min(g.Ready, max(g.Desired, 0))), Desired: at(g.Desired), Min: at(g.Min)}
}
