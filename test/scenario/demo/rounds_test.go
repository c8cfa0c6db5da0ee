package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// goodRound is a round in which everything happened, one second after the other, three times each.
func goodRound() round {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	r := round{start: start, deleted: start.Add(30 * time.Second)}
	add := func(after float64, kind scenario.Kind, count int) {
		for range count {
			r.moments = append(r.moments, scenario.Moment{At: start.Add(time.Duration(after * float64(time.Second))), Kind: kind})
		}
	}
	add(0.1, scenario.PodPending, pods)
	add(0.4, scenario.DesiredRaised, 1)
	add(0.4, scenario.GroupChosen, 1)
	add(4, scenario.NodeReady, pods)
	add(12, scenario.GPUPublished, pods)
	add(13, scenario.PodRunning, pods)
	add(40, scenario.NodeTainted, pods)
	add(40, scenario.NodeDrained, pods)
	add(41, scenario.DesiredLowered, pods)
	add(42, scenario.InstanceTerminated, pods)
	add(43, scenario.NodeGone, pods)
	return r
}

func TestJudgeMissesNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*round)
		want   string // in the error, empty for none
	}{
		{name: "all is there", change: func(*round) {}},
		{name: "asked too late", change: func(r *round) { r.moments[3].At = r.start.Add(1600 * time.Millisecond) }, want: "raised after 1.6s"},
		{name: "never asked", change: func(r *round) { r.moments[3].Kind = scenario.PodPending }, want: "pod pending"},
		{name: "no reason given", change: func(r *round) { r.moments[4].Kind = scenario.NodeRegistered }, want: "which group it chose"},
		{name: "a GPU missing", change: func(r *round) { r.moments = append(r.moments[:8], r.moments[9:]...) }, want: `saw 2`},
		{name: "a kill", change: func(r *round) {
			r.moments = append(r.moments, scenario.Moment{Kind: scenario.KilledUndrained, Object: "i-1", Detail: "it held pods"})
		}, want: "i-1 was terminated undrained: it held pods"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := goodRound()
			tt.change(&r)
			err := r.judge()
			assert.Truef(t, (tt.want != "" || err == nil) && (tt.want == "" || err != nil && strings.Contains(err.Error(), tt.want)),
				"judge = %v, want %q", err, tt.want)
		})
	}
}

func TestTableShowsRoundsSideBySide(t *testing.T) {
	slower := goodRound()
	slower.moments[3].At = slower.start.Add(900 * time.Millisecond)
	slower.moments = slower.moments[:len(slower.moments)-pods]
	var out bytes.Buffer
	printTable(&out, []round{goodRound(), slower})
	want := `
seconds                                        round 1   round 2
workload created → first node asked for           0.40      0.90
workload created → last node Ready                4.00      4.00
workload created → last GPU published            12.00     12.00
workload created → all pods Running              13.00     13.00
workload deleted → first node marked             10.00     10.00
workload deleted → desired capacity 0            11.00     11.00
workload deleted → last node gone                13.00     never
`
	assert.Empty(t, cmp.Diff(want, "\n"+out.String()), "table (-want +got)")
}
