package main

import (
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// One round of make demo reaches every state. The time of the first call is left to the demo, because tests share their machine.
func TestDemoReachesEveryState(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	if err := scenario.LookAtSources("../.."); err != nil { // for the cache of go test
		t.Fatal(err)
	}
	binary, err := scenario.BuildAutoscaler(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runRound(t.Context(), s.Env, s.workload)
	if err == nil {
		err = r.reached()
	}
	if err = s.close(err); err != nil {
		t.Error(err)
	}
}
