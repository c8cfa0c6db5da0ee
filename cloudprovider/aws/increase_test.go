package aws_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// increaseAtOnce increases each node group by its count from a goroutine of its own, as the core does, and returns the errors.
func (w world) increaseAtOnce(counts map[string]int) map[string]error {
	var mu sync.Mutex
	var all sync.WaitGroup
	errs := map[string]error{}
	for id, n := range counts {
		all.Go(func() {
			err := w.Grow(id, n)
			mu.Lock()
			defer mu.Unlock()
			errs[id] = err
		})
	}
	all.Wait()
	return errs
}

func TestZoneGroupsGrowInParallel(t *testing.T) {
	g := &gate{asked: make(chan struct{}, 3), open: make(chan struct{})}
	now := clocktesting.NewFakeClock(time.Now())
	w := newAWS(t, atOnce, awsworld.Divided("web", "m5.large", 0, 0, 20)).restartedWith(func(o *asg.Options, p *aws.Options) {
		g.zonally(o, p)
		o.MotionInterval, o.Clock = time.Hour, now
	})
	w.AWS.ResetCalls()
	go g.opensFor(t, 3)
	go func() { // the pause in which one call gathers the zones ends once all of them are asked for
		for open := false; !open; {
			if w.Cache.Snapshot().Group("web").Booked == 6 {
				now.Step(20 * time.Millisecond)
			}
			select {
			case <-g.open:
				open = true
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	for id, err := range w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 1}) {
		assert.NoErrorf(t, err, "%s", id)
	}
	assert.LessOrEqual(t, w.AWS.Calls()["DescribeAutoScalingGroups"], 1, "readings of the group for one scale-up")
	for id, want := range map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3, "web/cn-northwest-1c": 1} {
		assert.Equalf(t, want, w.Target(id), "%s has a target of", id)
	}
}

func TestAViewWithoutAnAnswerHoldsUpNoOther(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("web", "m5.large", 0, 0, 20))
	w.AWS.Inject(fakeaws.Fault{Action: "LaunchInstances", Params: map[string]string{"AvailabilityZones.member.1": "cn-northwest-1a"}, Status: 500, Code: "InternalFailure"})
	began := time.Now()
	errs := w.increaseAtOnce(map[string]int{"web/cn-northwest-1a": 2, "web/cn-northwest-1b": 3})
	assert.LessOrEqual(t, time.Since(began), 15*time.Second, "the scale-up took, for a zone that gives no answer")
	assert.ErrorContains(t, errs["web/cn-northwest-1a"], "not known", "error, want that nothing is known of the launch")
	assert.NoError(t, errs["web/cn-northwest-1b"])
	assert.Equal(t, 3, w.Target("web/cn-northwest-1b"), "instances in the other zone")
	w.NextLoop()
	cooling := func(id string) bool { _, is := w.CoolDown(w.View().Group(id)); return is }
	assert.True(t, cooling("web/cn-northwest-1a") && !cooling("web/cn-northwest-1b"),
		"the zone without an answer is not left alone, or another is")
	assert.Empty(t, w.Events.All(), "events of what will pass, want none")
}

func TestCallThatAWSDoesNotAnswerIsAProblemOnce(t *testing.T) {
	const metric = "asg_autoscaler_node_group_problems"
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
		assert.NoErrorf(t, w.Grow(step.group, 1), "%s", step.group)
		for range 3 {
			w.NextLoop()
		}
		events := w.Events.All()
		require.Len(t, events, len(step.events), "events")
		last := events[len(events)-1]
		for _, part := range []string{step.events[len(step.events)-1], "LaunchInstances", "InternalFailure", "by the desired capacity", "AWS Health Dashboard"} {
			assert.Containsf(t, last, part, "event %q does not mention %q", last, part)
		}
		want := map[string]float64{}
		for name, n := range step.want {
			want[metric+"{node_group="+name+",reason=launch-unanswered}"] = n
		}
		assert.Emptyf(t, cmp.Diff(want, w.gauges(metric)), "metric after %s (-want +got)", step.group)
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
	assert.Equalf(t, 1, failed, "views that failed: %v", errs)
	w.desires("web", 4) // the maximum
}

// fiveGroups are groups that launch synchronously, a to e.
func fiveGroups(t *testing.T, change func(*asg.Options, *aws.Options)) (world, []string) {
	var groups []fakeaws.AutoScalingGroup
	var names []string
	for _, letter := range "abcde" {
		names = append(names, string(letter))
		groups = append(groups, awsworld.Group(string(letter), "m5.large", 0, 0, 9, nil))
	}
	return newAWS(t, atOnce, groups...).restartedWith(change), names
}

func TestSlowLaunchesOfGroupsOverlap(t *testing.T) {
	g := &gate{asked: make(chan struct{}, 5), open: make(chan struct{})}
	w, names := fiveGroups(t, g.zonally)
	go g.opensFor(t, len(names))
	for _, name := range names {
		require.NoError(t, w.NodeGroup(name).IncreaseSize(2))
		assert.Equalf(t, 2, w.Target(name), "%s has a target at once", name)
	}
	require.NoError(t, w.AwaitIncreases(t.Context()))
	w.NextLoop()
	for _, name := range names {
		assert.Equalf(t, [2]int{2, 2}, [2]int{w.PerZone(name)[awsworld.ZoneA], w.Target(name)}, "%s has instances, and a target", name)
	}
}

// The steps are the core's: its clusterstate takes failed instances for a failed scale-up while the target size counts them, and deletes them then.
func TestFailedIncreaseIsShownAndDeleted(t *testing.T) {
	w, _ := fiveGroups(t, zonally)
	w.AWS.AddShortage(fakeaws.Shortage{Group: "a"})
	for len(w.Changed()) > 0 {
		<-w.Changed()
	}
	require.ErrorContains(t, w.Grow("a", 2), "InsufficientInstanceCapacity", "error, want AWS's")
	select {
	case <-w.Changed():
	default:
		t.Error("the failure did not wake the loop")
	}
	w.NextLoop()
	assert.Equal(t, []string{failedIncrease, failedIncrease}, w.states("a"), "instances")
	assert.Equal(t, 2, w.Target("a"), "target")
	nodes := w.Nodes("a")
	for _, n := range nodes {
		assert.Equalf(t, "a", w.owner(n), "the failed instance %s is in", n.Name)
		n.Annotations = map[string]string{cloudprovider.FakeNodeReasonAnnotation: cloudprovider.FakeNodeCreateError}
	}
	w.AWS.ResetCalls()
	assert.NoError(t, w.NodeGroup("a").DeleteNodes(nodes))
	assert.Zero(t, w.Target("a"), "target in the same loop")
	assert.Empty(t, w.states("a"), "instances in the same loop")
	assert.Equal(t, 0, w.AWS.Calls()["SetDesiredCapacity"], "times the desired capacity was set for instances that AWS never accepted")
}

// gate is AWS, where launches are announced and wait to be let through.
type gate struct {
	asg.AutoScalingAPI
	asked, open chan struct{}
}

// zonally puts the gate before AWS, for a Cache that launches synchronously.
func (g *gate) zonally(o *asg.Options, p *aws.Options) {
	zonally(o, p)
	g.AutoScalingAPI, o.AutoScaling = o.AutoScaling, g
}

// opensFor opens the gate once n calls wait at it together.
func (g *gate) opensFor(t *testing.T, n int) {
	t.Helper()
	defer close(g.open)
	for at := range n {
		select {
		case <-g.asked:
		case <-time.After(time.Minute):
			t.Errorf("only %d of %d calls are under way together", at, n)
			return
		}
	}
}

func (g *gate) LaunchInstances(ctx context.Context, in *autoscaling.LaunchInstancesInput, o ...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error) {
	g.asked <- struct{}{}
	<-g.open
	return g.AutoScalingAPI.LaunchInstances(ctx, in, o...)
}

func (g *gate) TerminateInstanceInAutoScalingGroup(ctx context.Context, in *autoscaling.TerminateInstanceInAutoScalingGroupInput,
	o ...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	g.asked <- struct{}{}
	<-g.open
	return g.AutoScalingAPI.TerminateInstanceInAutoScalingGroup(ctx, in, o...)
}

// The core removes unregistered instances group by group, and leaves the other groups to the next loop after an error.
func TestLoopEndsUnregisteredInstancesOfAllGroupsSideBySide(t *testing.T) {
	var groups []fakeaws.AutoScalingGroup
	for at := range 50 {
		groups = append(groups, awsworld.Group(fmt.Sprint("g", at), "m5.large", 0, 1, 5, nil))
	}
	g := &gate{asked: make(chan struct{}, len(groups)), open: make(chan struct{})}
	w := newAWS(t, nil, groups...).restartedWith(func(o *asg.Options, _ *aws.Options) { g.AutoScalingAPI, o.AutoScaling = o.AutoScaling, g })
	w.NextLoop()
	began := time.Now()
	for _, id := range w.IDs() {
		require.NoErrorf(t, w.NodeGroup(id).DeleteNodes(withoutNode(w.Nodes(id)...)), "removal from %s", id)
	}
	assert.Less(t, time.Since(began), 30*time.Second, "the loop took, which waits for two seconds in all, and not for each group")
	g.opensFor(t, len(groups))
	w.waitWhile("an instance counts", func() bool {
		return slices.ContainsFunc(w.IDs(), func(id string) bool { return w.Target(id) != 0 })
	})
}

func TestLoopWaitsForNoLaunch(t *testing.T) {
	g := &gate{asked: make(chan struct{}, 1), open: make(chan struct{})}
	w := newAWS(t, atOnce, awsworld.Group("a", "m5.large", 0, 2, 9, nil)).restartedWith(g.zonally)
	require.NoError(t, w.NodeGroup("a").IncreaseSize(1))
	<-g.asked
	w.NextLoop()
	assert.Empty(t, cmp.Diff([]string{"running", "running", "creating"}, w.states("a")), "instances beside the launch (-want +got)")
	old := withoutNode(w.Nodes("a")[0])
	assert.Error(t, w.NodeGroup("a").DeleteNodes(old), "an unregistered instance was deleted beside the launch")
	assert.NoError(t, w.NodeGroup("a").DecreaseTargetSize(-1))
	close(g.open) // neither has waited for it
	require.NoError(t, w.Outcome(w.NodeGroup("a")))
	w.NextLoop()
	w.desires("a", 3)
	assert.Equal(t, 3, w.Target("a"), "target size")
	assert.NoError(t, w.NodeGroup("a").DeleteNodes(old), "once AWS has answered")
}
