package main

import (
	"fmt"
	"io"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// printTable prints the rounds side by side: up to the deletion in seconds since the workload was created, from then on in
// seconds since it was deleted.
func printTable(out io.Writer, rounds []round) {
	row := func(name string, cell func(round) string) {
		fmt.Fprintf(out, "%-44s", name)
		for _, r := range rounds {
			fmt.Fprintf(out, " %9s", cell(r))
		}
		fmt.Fprintln(out)
	}
	number := 0
	row("seconds", func(round) string { number++; return fmt.Sprintf("round %d", number) })
	row("workload created → first node asked for", since(round.created, scenario.First, scenario.DesiredRaised))
	row("workload created → last node Ready", since(round.created, scenario.Last, scenario.NodeReady))
	row("workload created → last GPU published", since(round.created, scenario.Last, scenario.GPUPublished))
	row("workload created → all pods Running", since(round.created, scenario.Last, scenario.PodRunning))
	row("workload deleted → first node marked", since(round.gone, scenario.First, scenario.NodeTainted))
	row("workload deleted → desired capacity 0", since(round.gone, scenario.Last, scenario.DesiredLowered))
	row("workload deleted → last node gone", since(round.gone, scenario.Last, scenario.NodeGone))
}

func (r round) created() time.Time { return r.start }
func (r round) gone() time.Time    { return r.deleted }

// since makes a cell: seconds from an instant of the round to a moment picked from it.
func since(from func(round) time.Time, pick func([]scenario.Moment, scenario.Kind) (scenario.Moment, bool), kind scenario.Kind) func(round) string {
	return func(r round) string {
		m, ok := pick(r.moments, kind)
		if !ok {
			return "never"
		}
		return fmt.Sprintf("%.2f", m.At.Sub(from(r)).Seconds())
	}
}
