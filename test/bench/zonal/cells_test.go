package zonal

import (
	"strings"
	"testing"
)

func TestCellWithFewerPodsThanStockIsWorse(t *testing.T) {
	runs := func(pods ...seconds) result {
		r := result{Scenario: "p|g|r|l", Timeline: timeline{End: 10}}
		for _, gone := range pods {
			r.Timeline.Pods = append(r.Timeline.Pods, pod{Created: 1, Running: 2, Gone: gone})
		}
		return r
	}
	failed := runs()
	failed.Error = "no control plane"
	for _, tt := range []struct {
		name         string
		theirs, ours result
		worse        int
		verdict      string
	}{
		{"as many", runs(0, 0), runs(0, 0), 0, "\n"},
		{"more", runs(0), runs(0, 0), 0, "better"},
		{"fewer", runs(0, 0), runs(0), 1, "worse"},
		{"as many, of which one is gone at the end", runs(0, 0), runs(0, 9), 1, "worse"},
		{"as many, in place of one that is gone", runs(0, 0), runs(0, 0, 9), 0, "\n"},
		{"not run", runs(0), failed, 0, "could not be run"},
	} {
		var out strings.Builder
		r := report{Runs: []result{tt.theirs, tt.ours}, cells: true}
		err, worse := r.WriteTable(&out), r.worse()
		if err != nil || worse != tt.worse || !strings.Contains(out.String(), tt.verdict) {
			t.Errorf("%s: %d worse (error %v), want %d and %q in\n%s", tt.name, worse, err, tt.worse, tt.verdict, out.String())
		}
	}
}

func TestEveryCellHasItsOwnName(t *testing.T) {
	names := map[string]bool{}
	for _, c := range cells() {
		names[c.scenario().name] = true
	}
	if len(names) != len(cells()) {
		t.Errorf("%d names of %d cells", len(names), len(cells()))
	}
}
