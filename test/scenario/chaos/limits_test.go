package chaos

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLimitsThatNeverFireFailASet(t *testing.T) {
	fired := limitCounts{}
	fired.count(`I1124 1 threshold_based_limiter.go:56] Capping binpacking after exceeding max duration of 5ms
I1124 1 threshold_based_limiter.go:50] Capping binpacking after exceeding threshold of 3 nodes
I1124 1 filter.go:131] "Ended a plan of scale-ups at its time limit: the cheapest found so far counts" options=3 pods=40
I1124 1 filter.go:131] "Ended a plan of scale-ups at its time limit: the cheapest found so far counts" options=2 pods=4
I1124 1 orchestrator.go:127] "The other pods wait for the next loop, because --max-nodegroup-binpacking-duration is over" pods=4
`)
	hurried := Result{Traits: Traits{Hurried: true}, Limits: fired}
	for _, tt := range []struct {
		name    string
		results []Result
		silent  []string
	}{
		{"too few hurried runs", []Result{hurried, hurried, {}}, nil},
		{"one limit is silent", []Result{hurried, hurried, hurried, {Limits: limitCounts{"binpacking of a scale-up": 1}}}, []string{"binpacking of a scale-up"}},
		{"all fire", []Result{hurried, hurried, {Traits: Traits{Hurried: true}, Limits: limitCounts{"binpacking of a scale-up": 1}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.silent, Summarize(tt.results).Silent); diff != "" {
				t.Errorf("silent (-want +got):\n%s", diff)
			}
		})
	}
	if got, want := Summarize([]Result{hurried}).Limits.String(), "binpacking of a group 1, binpacking of a scale-up 0, loop 1, plan 2"; got != want {
		t.Errorf("limits = %q, want %q", got, want)
	}
}
