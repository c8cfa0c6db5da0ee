package zonal

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/recorded.json has four runs as printed by -o json, without the counts. They are counted by hand here.
func TestRecordedRunsAreCountedAsByHand(t *testing.T) {
	raw, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded report
	if err := json.Unmarshal(raw, &recorded); err != nil {
		t.Fatal(err)
	}
	at := func(s seconds) *seconds { return &s }
	for _, want := range []result{
		// One node in the zone of stock's template, and two pods that no node of that zone helps.
		{Scenario: "a", Autoscaler: stock, Launched: 1, Pending: 2, IdleSeconds: 0.367, Wasted: 0.00001, Writes: 1},
		// Nine nodes. Six of them were empty for 73.33 s each after the fall, all nine for under half a second each before.
		{Scenario: "b", Autoscaler: ours, Launched: 9, AllRun: at(34.149), Settled: at(73.407), IdleSeconds: 443.15, Wasted: 0.011817, Writes: 8},
		// The pods bound to the second and third zone wait. The pods that run anywhere have all seven nodes but one.
		{Scenario: "c", Autoscaler: stock, Launched: 8, Pending: 2, IdleSeconds: 3.601, Wasted: 0.000096, Writes: 2},
		// A second node in the third zone, where one pod waited and one node was on its way: 69.78 s for nobody.
		{Scenario: "c", Autoscaler: ours, Launched: 10, WrongZone: 1, Pending: 1, AllRun: at(759.931), AfterOutage: at(159.83),
			IdleSeconds: 73.076, Wasted: 0.001949, Writes: 9},
	} {
		n := slices.IndexFunc(recorded.Runs, func(r result) bool { return r.Scenario == want.Scenario && r.Autoscaler == want.Autoscaler })
		if n < 0 {
			t.Errorf("scenario %s with %s is not in the recording", want.Scenario, want.Autoscaler)
			continue
		}
		was := recorded.Runs[n]
		r := &run{contestant: contestant{name: was.Autoscaler}, from: was.From, fall: was.Fall, shortUntil: was.ShortUntil}
		r.scenario = scenarios[slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == was.Scenario })]
		got := r.judge(was.Timeline, was.WritesByCall)
		want.Title, want.Flags, want.WritesByCall, want.Timeline = got.Title, got.Flags, was.WritesByCall, was.Timeline
		want.From, want.Fall, want.ShortUntil = was.From, was.Fall, was.ShortUntil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("scenario %s with %s (-by hand +counted):\n%s", want.Scenario, want.Autoscaler, diff)
		}
	}
}
