package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSoakHasWholeDay(t *testing.T) {
	p := NewSoakPlan(7, time.Hour)
	kinds := map[Kind]int{}
	last := map[string]int{}
	for _, s := range p.Steps {
		kinds[s.Kind]++
		assert.Truef(t, s.At >= 0 && s.At+s.For <= p.Day, "%s is not within the day", s)
		if s.API != nil && s.For > 8*time.Second {
			t.Errorf("%s: the replica has ten seconds to renew its lease", s)
		}
		switch s.Kind {
		case KillReplica, StopReplica, PauseReplica, Crash:
			t.Errorf("%s: the memory of one process is to be compared", s)
		case Pods:
			last[s.Target] = max(last[s.Target], s.Count)
		}
	}
	assert.Truef(t, kinds[Pods] == 2*hours*changes && kinds[Interruption] == hours/4 && kinds[Reclaim] == hours/4 && kinds[Rollout] == 8,
		"%v, want changes of load each quarter of an hour, an interruption or a reclaim every two hours, and four rollouts of two workloads", kinds)
	assert.Truef(t, last[webPods] >= 24 && last[gpuPods] == 4, "peaks are %v", last)
}

func TestGrowthOverDayIsAViolation(t *testing.T) {
	for name, tt := range map[string]struct {
		resident, goroutines func(n int) float64
		want                 string
	}{
		"flat":             {func(int) float64 { return 100 }, func(int) float64 { return 80 }, ""},
		"warm after dawn":  {func(n int) float64 { return 100 + float64(min(n, 12)) }, func(int) float64 { return 80 }, ""},
		"leak of memory":   {func(n int) float64 { return 100 + 2*float64(n) }, func(int) float64 { return 80 }, "resident memory"},
		"leak of routines": {func(int) float64 { return 100 }, func(n int) float64 { return 80 + 3*float64(n) }, "goroutines"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{plan: Plan{Day: 48 * time.Minute}}
			for n := 1; n <= samplesPerDay; n++ {
				r.samples = append(r.samples, Sample{After: float64(n) * 60, Resident: tt.resident(n), Goroutines: tt.goroutines(n)})
			}
			r.flat()
			got := strings.Join(r.violations, "\n")
			assert.Truef(t, (got == "") == (tt.want == "") && strings.Contains(got, tt.want), "violations %q, want one of %q", got, tt.want)
		})
	}
}
