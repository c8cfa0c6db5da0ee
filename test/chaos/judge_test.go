package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

func TestOnlyKillsByTheAutoscalerCountAgainstIt(t *testing.T) {
	const ours = "SetDesiredCapacity autoscaler"
	killed := scenario.Moment{Kind: scenario.KilledUndrained, Object: "i-1", Detail: "node a still held [web]"}
	lowered := func(by string) fakeaws.Event {
		return fakeaws.Event{Kind: fakeaws.DesiredChanged, Group: "web", By: by, From: 3, To: 2}
	}
	raised := fakeaws.Event{Kind: fakeaws.DesiredChanged, Group: "web", By: ours, From: 2, To: 3}
	chosen := fakeaws.Event{Kind: fakeaws.ScaleInKill, Group: "web", Instance: "i-1"}
	for _, tt := range []struct {
		name    string
		moments []scenario.Moment
		events  []fakeaws.Event
		guilty  bool
	}{
		{name: "nothing killed", moments: []scenario.Moment{{Kind: scenario.TerminateRequested, Object: "i-1"}}},
		{name: "terminated by name", moments: []scenario.Moment{killed}, guilty: true},
		{name: "chosen by AWS after our write", moments: []scenario.Moment{killed}, events: []fakeaws.Event{lowered(ours), chosen}, guilty: true},
		{name: "chosen by AWS after a schedule", moments: []scenario.Moment{killed}, events: []fakeaws.Event{lowered("scheduled-action"), chosen}},
		{name: "chosen by AWS after a schedule and our raise", moments: []scenario.Moment{killed},
			events: []fakeaws.Event{lowered("scheduled-action"), raised, chosen}},
		{name: "chosen by AWS after our write and before a schedule", moments: []scenario.Moment{killed},
			events: []fakeaws.Event{lowered(ours), chosen, lowered("scheduled-action")}, guilty: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var j judge
			j.kills(tt.moments, tt.events)
			if got := len(j.violations) > 0; got != tt.guilty {
				t.Errorf("violations = %q, want any: %t", j.violations, tt.guilty)
			}
		})
	}
}

// nodesOf starts an account with two instances and returns the names of their nodes.
func nodesOf(t *testing.T) (*fakeaws.Server, []string) {
	t.Helper()
	config := account(Plan{Seed: 1})
	config.AutoScalingGroups[0].Desired = 2
	aws, err := fakeaws.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	g, _ := aws.Group("web-a")
	return aws, []string{g.Instances[0].Node, g.Instances[1].Node}
}

func TestWantingLessThanTheBusyNodesIsAViolation(t *testing.T) {
	for _, tt := range []struct {
		name   string
		by     string
		busy   int // nodes
		guilty bool
	}{
		{name: "we, both nodes busy", by: "SetDesiredCapacity autoscaler", busy: 2, guilty: true},
		{name: "we, one node busy", by: "SetDesiredCapacity autoscaler", busy: 1},
		{name: "an operator", by: "set-desired", busy: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			aws, nodes := nodesOf(t)
			if err := aws.Do(fakeaws.Deed{Kind: fakeaws.SuspendProcesses, Group: "web-a", Processes: []string{"Terminate"}}); err != nil {
				t.Fatal(err)
			}
			one := 1
			if err := aws.Do(fakeaws.Deed{Kind: fakeaws.OperatorDesired, Group: "web-a", Desired: &one, By: tt.by}); err != nil {
				t.Fatal(err)
			}
			var j judge
			go func() {
				// The judge has seen all that happened once it sees this.
				time.Sleep(200 * time.Millisecond)
				_ = aws.Close()
			}()
			j.watchLowering(t.Context(), aws, func(node string) []string {
				for n := range tt.busy {
					if nodes[n] == node {
						return []string{"default/web-1"}
					}
				}
				return nil
			})
			if got := len(j.violations) > 0; got != tt.guilty {
				t.Errorf("violations = %q, want any: %t", j.violations, tt.guilty)
			}
		})
	}
}

func TestASummaryCountsFailuresAndFaults(t *testing.T) {
	var results []Result
	for n := range 100 {
		r := Result{Seed: uint64(n), Faults: map[Kind]int{Latency: 1}, Calls: 10, Spoiled: 2, Running: time.Duration(n) * time.Second}
		if n == 7 {
			r.Violations = []string{"not every pod runs"}
		}
		results = append(results, r)
	}
	got := Summarize(results)
	got.Results = nil
	want := Summary{Version: "v1", Runs: 100, Failed: []uint64{7}, Faults: map[Kind]int{Latency: 100}, Calls: 1000, Spoiled: 200,
		Running: Spread{P50: 49, P99: 98, Max: 99}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if line := results[7].String(); !strings.Contains(line, "FAILED: not every pod runs") {
		t.Errorf("line of a failed run = %q", line)
	}
}
