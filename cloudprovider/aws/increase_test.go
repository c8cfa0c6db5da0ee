package aws

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// increaseAtOnce increases each node group by its count from a goroutine of its own, as the core does, and returns the errors.
func (w *world) increaseAtOnce(counts map[string]int) map[string]error {
	var mu sync.Mutex
	var all sync.WaitGroup
	errs := map[string]error{}
	for id, n := range counts {
		all.Go(func() {
			err := w.nodeGroup(id).IncreaseSize(n)
			mu.Lock()
			defer mu.Unlock()
			errs[id] = err
		})
	}
	all.Wait()
	return errs
}

func TestZoneGroupsGrowInParallel(t *testing.T) {
	w := newDividedWorld(t, nil, divided("web", "m5.large", 0, 0, 20))
	w.aws.Inject(fakeaws.Fault{Action: "LaunchInstances", Latency: fakeaws.Duration(time.Second)})
	w.aws.ResetCalls()
	began := time.Now()
	for id, err := range w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 1}) {
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("three launches of a second each took %s", took)
	}
	if got := w.aws.Calls()["DescribeAutoScalingGroups"]; got > 2 { // one may be of the group in motion
		t.Errorf("the group was read %d times for one scale-up", got)
	}
	for id, want := range map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 1} {
		if got := w.target(id); got != want {
			t.Errorf("%s has a target of %d, want %d", id, got, want)
		}
	}
}

// The core increases a node group once a loop. Unreported failures would count as launched.
func TestSecondIncreaseOfAViewWithinAMomentFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		launched := 0
		views := newIncreases(clock.RealClock{}, func(_ string, wanted map[string]int) map[string]error {
			launched += wanted[zoneA]
			return nil
		})
		promised := make(chan int, 2)
		for n := range 2 {
			go func() {
				if views.in("web", zoneA, n+1) == nil {
					promised <- n + 1
				} else {
					promised <- 0
				}
			}()
		}
		if sum := <-promised + <-promised; sum != launched || launched == 0 {
			t.Errorf("%d instances are launched, %d promised", launched, sum)
		}
	})
}

func TestAViewWithoutAnAnswerHoldsUpNoOther(t *testing.T) {
	w := newDividedWorld(t, nil, divided("web", "m5.large", 0, 0, 20))
	w.aws.Inject(fakeaws.Fault{Action: "LaunchInstances", Params: map[string]string{"AvailabilityZones.member.1": "cn-northwest-1a"}, Status: 500, Code: "InternalFailure"})
	began := time.Now()
	errs := w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the scale-up took %s, for a zone that gives no answer", took)
	}
	if err := errs["web/cn-northwest-1a"]; err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("error %v, want that nothing is known of the launch", err)
	}
	if err := errs["web/cn-northwest-1b"]; err != nil || w.target("web/cn-northwest-1b") != 3 {
		t.Errorf("error %v, %d instances in the other zone, want 3", err, w.target("web/cn-northwest-1b"))
	}
	w.refresh()
	if !w.ZoneGroupUnavailable("web/cn-northwest-1a") || w.ZoneGroupUnavailable("web/cn-northwest-1b") {
		t.Error("the zone without an answer is not left alone, or another is")
	}
	if events := w.events.all(); len(events) > 0 {
		t.Errorf("events %q of what will pass, want none", events)
	}
}

func TestCallThatAWSDoesNotAnswerIsAProblemOnce(t *testing.T) {
	const metric = "cluster_autoscaler_aws_node_group_problems"
	w := newAWS(t, atOnce, group("a", "m5.large", 0, 0, 9, nil), group("b", "m5.large", 0, 0, 9, nil), group("c", "m5.large", 0, 0, 9, nil)).restartedWith(zonally)
	w.aws.Inject(fakeaws.Fault{Action: "LaunchInstances", Code: "InternalFailure"})
	for _, step := range []struct {
		group  string
		events []string // in all
		want   map[string]float64
	}{
		{"a", []string{`"a"`}, map[string]float64{"a": 1}},
		{"b", []string{`"a"`, `"b"`}, map[string]float64{"a": 1, "b": 1}},
		{"c", []string{`"a"`, `"b"`, "All Auto Scaling groups"}, map[string]float64{"": 1}},
	} {
		if err := w.nodeGroup(step.group).IncreaseSize(1); err != nil {
			t.Errorf("%s: %v", step.group, err)
		}
		for range 3 {
			w.refresh()
		}
		events := w.events.all()
		if len(events) != len(step.events) {
			t.Fatalf("events %q, want %d", events, len(step.events))
		}
		last := events[len(events)-1]
		for _, part := range []string{step.events[len(step.events)-1], "LaunchInstances", "InternalFailure", "by the desired capacity", "AWS Health Dashboard"} {
			if !strings.Contains(last, part) {
				t.Errorf("event %q does not mention %q", last, part)
			}
		}
		want := map[string]float64{}
		for name, n := range step.want {
			want[metric+"{node_group="+name+",reason=launch-unanswered}"] = n
		}
		if diff := cmp.Diff(want, w.gauges(metric)); diff != "" {
			t.Errorf("metric after %s (-want +got):\n%s", step.group, diff)
		}
	}
}

func TestParallelIncreasesShareTheGroupsMaximum(t *testing.T) {
	w := newDividedWorld(t, nil, divided("web", "m5.large", 0, 0, 4))
	errs := w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 3, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 3})
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	state, _ := w.aws.Group("web")
	if failed != 1 || state.Desired != 4 {
		t.Errorf("%d views failed and the desired capacity is %d, want 1 and the maximum of 4: %v", failed, state.Desired, errs)
	}
}
