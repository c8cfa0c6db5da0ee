package zonal

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTableHasALinePerRun(t *testing.T) {
	long, late, settled := seconds(652.4), seconds(52.4), seconds(75)
	r := report{Version: "v1", OutageSeconds: 600, Currency: "USD", Runs: []result{
		{Scenario: "a", Title: "zonal volumes", Autoscaler: "stock", Launched: 1, Pending: 2, WritesByCall: counts{"SetDesiredCapacity": 1}},
		{Scenario: "b", Title: "topology spread", Autoscaler: "ours", AllRun: &late, Fall: 400, Settled: &settled, IdleSeconds: 450, Wasted: 0.012,
			WritesByCall: counts{"LaunchInstances": 4, "TerminateInstanceInAutoScalingGroup": 2}},
		{Scenario: "b", Title: "topology spread", Autoscaler: "stock", AllRun: &late, Fall: 400},
		{Scenario: "c", Title: "a zone without capacity", Autoscaler: "ours", AllRun: &long, AfterOutage: &late},
		{Scenario: "c", Title: "a zone without capacity", Autoscaler: "stock", Error: "no luck"},
	}}
	var out bytes.Buffer
	if err := r.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	want := `
scenario                   autoscaler  wrong zone  pending after 3 min  all run after                    launched  idle   wasted USD  write calls
a zonal volumes            stock       0           2                    never                            1         0 s    0.0000      1 (1 SetDesiredCapacity)
b topology spread          ours        0           0                    52 s, down again after 75 s      0         450 s  0.0120      6 (4 LaunchInstances, 2 TerminateInstanceInAutoScalingGroup)
b topology spread          stock       0           0                    52 s, down again never           0         0 s    0.0000      0
c a zone without capacity  ours        0           0                    652 s (52 s after the shortage)  0         0 s    0.0000      0
c a zone without capacity  stock       could not be run
`
	if diff := cmp.Diff(want, "\n"+out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrongUsageIsReportedBeforeBuilding(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-only", "a,d"}, "-only takes some of a,b,c"},
		{[]string{"-who", "theirs"}, "-who takes some of stock,ours"},
		{[]string{"-o", "yaml"}, "-o takes table or json"},
		{[]string{"-outage", "0s"}, "-outage is above zero"},
		{[]string{"-wait", "0s"}, "-wait is above zero"},
		{[]string{"c"}, `no arguments beside the flags, but ["c"]`},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(t.Context(), tt.args, &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: exit code %d, %q, want 2 and %q", tt.args, code, stderr.String(), tt.want)
		}
	}
	o, _, ok := parse([]string{"-only", "c", "-who", "ours", "-outage", "1m", "-wait", "2m", "-ours", "--asg-zonal-groups=all --v=5"}, &bytes.Buffer{})
	want := options{only: []string{"c"}, who: []string{"ours"}, outage: time.Minute, wait: 2 * time.Minute, ours: []string{"--asg-zonal-groups=all", "--v=5"}}
	if diff := cmp.Diff(want, o, cmp.AllowUnexported(options{})); diff != "" || !ok {
		t.Errorf("right: %t (-want +got):\n%s", ok, diff)
	}
}

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
