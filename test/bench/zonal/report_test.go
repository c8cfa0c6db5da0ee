package zonal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
)

func TestRunIsCountedFromItsWorkload(t *testing.T) {
	r := &run{scenario: scenarios[1], contestant: contestant{name: ours, flags: []string{"--asg-zonal-groups=all"}}, from: 50, fall: 350}
	r.scenario.pods = 2
	got := r.judge(timeline{
		End: 600,
		Instances: []instance{
			{ID: "i-1", Type: "m5.large", Zone: zoneA, Node: "n1", Launched: 10, Ready: 40},
			{ID: "i-2", Type: "m5.large", Zone: zoneB, Node: "n2", Launched: 60, Ready: 90, Gone: 450},
			{ID: "i-3", Type: "m5.large", Zone: zoneB, Node: "n3", Launched: 60, Ready: 90, Gone: 190},
			{ID: "i-4", Type: "m5.large", Zone: zoneB, Node: "n4", Launched: 60, Ready: 90, Gone: 180},
		},
		Pods: []pod{
			{Name: "spread-1", Node: "n1", Created: 1, Running: 40},
			{Name: "spread-2", Node: "n2", Created: 51, Running: 290, Gone: 350},
		},
	}, map[string]int{"DescribeAutoScalingGroups": 70, "LaunchInstances": 2, "TerminateInstanceInAutoScalingGroup": 1})
	allRun, settled := seconds(240), seconds(0)
	want := result{
		Scenario: "b", Title: "topology spread", Autoscaler: "ours", Flags: append(delays[:len(delays):len(delays)], "--asg-zonal-groups=all"),
		Launched: 4, WrongZone: 2, Pending: 1, AllRun: &allRun, Settled: &settled,
		IdleSeconds: 200 + 100 + 100 + 90, Wasted: harness.Round(490*onDemand("m5.large")/3600, 1e6),
		Writes: 3, WritesByCall: counts{"LaunchInstances": 2, "TerminateInstanceInAutoScalingGroup": 1},
		From: 50, Fall: 350, Timeline: got.Timeline,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

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

func TestJSONReadsBackAsItWas(t *testing.T) {
	want := report{Version: "v1", Currency: "USD", Runs: []result{{Scenario: "a", WritesByCall: counts{"LaunchInstances": 1},
		Timeline: timeline{End: 300, Pods: []pod{{Name: "db-0", Zone: zoneA, Created: 0.125, Running: 44}}}}}}
	var out bytes.Buffer
	if err := harness.WriteJSON(&out, &want); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(report{})); diff != "" {
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
