package aws_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/test/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// increaseAtOnce increases each node group by its count from a goroutine of its own, as the core does, and returns the errors.
func (w world) increaseAtOnce(counts map[string]int) map[string]error {
	var mu sync.Mutex
	var all sync.WaitGroup
	errs := map[string]error{}
	for id, n := range counts {
		all.Go(func() {
			err := w.NodeGroup(id).IncreaseSize(n)
			mu.Lock()
			defer mu.Unlock()
			errs[id] = err
		})
	}
	all.Wait()
	return errs
}

func TestZoneGroupsGrowInParallel(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("web", "m5.large", 0, 0, 20))
	w.AWS.Inject(fakeaws.Fault{Action: "LaunchInstances", Latency: fakeaws.Duration(time.Second)})
	w.AWS.ResetCalls()
	began := time.Now()
	for id, err := range w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 1}) {
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("three launches of a second each took %s", took)
	}
	if got := w.AWS.Calls()["DescribeAutoScalingGroups"]; got > 2 { // one may be of the group in motion
		t.Errorf("the group was read %d times for one scale-up", got)
	}
	for id, want := range map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 1} {
		if got := w.Target(id); got != want {
			t.Errorf("%s has a target of %d, want %d", id, got, want)
		}
	}
}

// The core increases a node group once a loop. Unreported failures would count as launched.
func TestSecondIncreaseOfAViewWithinAMomentFails(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("web", "m5.large", 0, 0, 20))
	ng := w.NodeGroup("web/" + awsworld.ZoneA)
	promised := make(chan int, 2)
	for n := 1; n <= 2; n++ {
		go func() {
			if ng.IncreaseSize(n) == nil {
				promised <- n
			} else {
				promised <- 0
			}
		}()
	}
	sum, launched := <-promised+<-promised, w.PerZone("web")[awsworld.ZoneA]
	if sum != launched || launched == 0 {
		t.Errorf("%d instances are launched, %d promised", launched, sum)
	}
}

func TestAViewWithoutAnAnswerHoldsUpNoOther(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("web", "m5.large", 0, 0, 20))
	w.AWS.Inject(fakeaws.Fault{Action: "LaunchInstances", Params: map[string]string{"AvailabilityZones.member.1": "cn-northwest-1a"}, Status: 500, Code: "InternalFailure"})
	began := time.Now()
	errs := w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the scale-up took %s, for a zone that gives no answer", took)
	}
	if err := errs["web/cn-northwest-1a"]; err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("error %v, want that nothing is known of the launch", err)
	}
	if err := errs["web/cn-northwest-1b"]; err != nil || w.Target("web/cn-northwest-1b") != 3 {
		t.Errorf("error %v, %d instances in the other zone, want 3", err, w.Target("web/cn-northwest-1b"))
	}
	w.NextLoop()
	if !w.ZoneGroupUnavailable("web/cn-northwest-1a") || w.ZoneGroupUnavailable("web/cn-northwest-1b") {
		t.Error("the zone without an answer is not left alone, or another is")
	}
	if events := w.Events.All(); len(events) > 0 {
		t.Errorf("events %q of what will pass, want none", events)
	}
}

func TestCallThatAWSDoesNotAnswerIsAProblemOnce(t *testing.T) {
	const metric = "cluster_autoscaler_aws_node_group_problems"
	w := newAWS(t, atOnce, awsworld.Group("a", "m5.large", 0, 0, 9, nil), awsworld.Group("b", "m5.large", 0, 0, 9, nil), awsworld.Group("c", "m5.large", 0, 0, 9, nil)).restartedWith(zonally)
	w.AWS.Inject(fakeaws.Fault{Action: "LaunchInstances", Code: "InternalFailure"})
	for _, step := range []struct {
		group  string
		events []string // in all
		want   map[string]float64
	}{
		{"a", []string{`"a"`}, map[string]float64{"a": 1}},
		{"b", []string{`"a"`, `"b"`}, map[string]float64{"a": 1, "b": 1}},
		{"c", []string{`"a"`, `"b"`, "All Auto Scaling groups"}, map[string]float64{"": 1}},
	} {
		if err := w.NodeGroup(step.group).IncreaseSize(1); err != nil {
			t.Errorf("%s: %v", step.group, err)
		}
		for range 3 {
			w.NextLoop()
		}
		events := w.Events.All()
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
	w := newDividedWorld(t, nil, awsworld.Divided("web", "m5.large", 0, 0, 4))
	errs := w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 3, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 3})
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	state, _ := w.AWS.Group("web")
	if failed != 1 || state.Desired != 4 {
		t.Errorf("%d views failed and the desired capacity is %d, want 1 and the maximum of 4: %v", failed, state.Desired, errs)
	}
}
