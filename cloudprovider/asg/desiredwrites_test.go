package asg_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestIncreaseCountsFromForeignCapacity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
	w.setDesired(4) // the Cache does not know
	w.increase(2)
	w.agreed(6) // 4 of the other writer and 2 of ours
}

func TestIncreaseStopsAtMaximum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
	w.must(w.aws.SetLimits("a", 0, 3)) // the Cache does not know
	w.increase(5)
	w.agreed(3)
	w.aws.ResetCalls()
	err := w.cache.Increase(t.Context(), "a", 1)
	var limit *group.LimitError
	assert.Truef(t, errors.As(err, &limit) && limit.Desired == 4 && limit.Limit == 3, "error = %v, want a LimitError of 4 over 3", err)
	assert.Zero(t, w.aws.Calls()[desiredCall], "writes")
	w.wantDesired(3)
}

func TestGarbledAnswerIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
	w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Body: fakeaws.Garbled, Times: 2})
	w.increasesTo(1, 2)
}

func TestWeightedIncreaseAsksForWholeInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weighted(0, 4)).running()
	w.increasesTo(3, 6) // in units: three instances of the smallest weight
	w.eventuallyInService("a", 3)
	w.eventually(func() string {
		g := w.group("a")
		return cmp.Diff([3]int{3, 0, 3}, [3]int{g.TargetInstances(), g.Missing(), len(g.Counted())})
	})
	assert.Equal(t, 10, w.group("a").MaxInstances(), "most instances of the group: 20 units of 2")
}

func TestReadingBegunBeforeWriteDoesNotUndoIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
		// The next reading sees the old desired capacity and arrives after the write.
		w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Times: 1, Latency: ms(300)})
		var reading sync.WaitGroup
		reading.Go(func() { assert.NoError(t, w.cache.Refresh(t.Context()), "slow reading") })
		synctest.Wait()
		w.increase(2)
		reading.Wait()
		assert.Equal(t, 3, w.group("a").DesiredCapacity, "after an old reading the snapshot shows a desired capacity, want the written 3")
	})
}

func TestTerminateLowersDesiredCapacityByInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 1, 4, 10)).started()
	members := w.group("a").Instances
	ids := []string{members[1].ID, members[2].ID}
	w.must(w.cache.Terminate(t.Context(), "a", ids))
	w.agreed(2)
	w.must(w.cache.Terminate(t.Context(), "a", ids)) // the core asks again before AWS is done: nothing more may go
	w.eventually(func() string { return cmp.Diff([]string{members[0].ID, members[3].ID}, w.members("a")) })
	w.wantDesired(2)
}

func TestWithdrawTakesBackOnlyOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).running()
	w.calls.between.Store(true)
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.setDesired(3) // two that another asked for
	w.refresh()
	w.increase(2)
	w.withdraws(9, 2, 3)
	w.agreed(3)
}

// AWS failed to launch in one zone, and has begun to launch in the other.
func TestWithdrawalKeepsLaunchesBegunSince(t *testing.T) {
	t.Parallel()
	began := aws.Time(time.Now().Add(time.Minute))                               // after the reading, however slow the machine is
	old := types.Activity{StatusCode: types.ScalingActivityStatusCodeSuccessful, // other endpoints may leave its end out
		Description: aws.String("Launching a new EC2 instance: i-9"), StartTime: aws.Time(time.Now().Add(-time.Hour))}
	for _, tt := range []struct {
		name     string
		activity types.Activity
		code     string // with which AWS answers
		taken    int    // of two
	}{
		{name: "none", taken: 2},
		{name: "a launch", activity: types.Activity{Description: aws.String("Launching a new EC2 instance"), StartTime: aws.Time(time.Now())}, taken: 1},
		{name: "a launch without a description", activity: types.Activity{StartTime: aws.Time(time.Now())}, taken: 1},
		{name: "a known instance", activity: types.Activity{Description: aws.String("Launching a new EC2 instance: i-1"), StartTime: aws.Time(time.Now().Add(-time.Hour))}, taken: 1},
		{name: "an old wait", activity: types.Activity{Description: aws.String("Launching a new EC2 instance"), StartTime: aws.Time(time.Now().Add(-time.Minute))}, taken: 2},
		{name: "a wait for a spot instance", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeWaitingForSpotInstanceId,
			Description: aws.String("Launching a new EC2 instance"), StartTime: began}, taken: 1},
		{name: "a launch that ended", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeSuccessful,
			Description: aws.String("Launching a new EC2 instance: i-2"), StartTime: began, EndTime: began}, taken: 1},
		{name: "a launch that ended, of which the reading is too old to show the instance", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeSuccessful,
			Description: aws.String("Launching a new EC2 instance: i-2"), StartTime: aws.Time(time.Now().Add(-10 * time.Second)), EndTime: aws.Time(time.Now())}, taken: 1},
		{name: "an instance that was launched and has left", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeSuccessful,
			Description: aws.String("Launching a new EC2 instance: i-2"), StartTime: aws.Time(time.Now().Add(-2 * time.Minute)), EndTime: aws.Time(time.Now())}, taken: 2},
		{name: "a failed launch", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeFailed,
			Description: aws.String("Launching a new EC2 instance.  Status Reason: none left"),
			StartTime:   began, EndTime: began}, taken: 2},
		{name: "a cancelled launch", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeCancelled,
			Description: aws.String("Launching a new EC2 instance: i-2"), StartTime: began, EndTime: began}, taken: 2},
		{name: "a termination", activity: types.Activity{Description: aws.String("Terminating EC2 instance: i-2"), StartTime: began}, taken: 2},
		{name: "an instance that is back from standby", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeSuccessful,
			Description: aws.String("Moving EC2 instance out of Standby: i-3"), StartTime: began, EndTime: began}, taken: 1},
		{name: "an attached instance", activity: types.Activity{StatusCode: types.ScalingActivityStatusCodeSuccessful,
			Description: aws.String("Attaching an existing EC2 instance: i-2"), StartTime: began, EndTime: began}, taken: 1},
		{name: "an instance that moves to standby", activity: types.Activity{Description: aws.String("Moving EC2 instance to Standby: i-3"), StartTime: began}, taken: 2},
		{name: "denied", code: "AccessDenied", taken: 2},
		{name: "refused without a code", code: "UnknownError", taken: 2},
	} {
		for _, ahead := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute} { // our clock
			t.Run(fmt.Sprint(tt.name, " ", ahead), func(t *testing.T) {
				w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(func(o *asg.Options) {
					if ahead != 0 {
						o.Clock = clocktesting.NewFakeClock(time.Now().Add(ahead))
					}
				})
				w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = append(g.Instances, member("i-3", "Standby")) }
				w.started().suspendLaunch()
				w.increase(2)
				w.calls.inProgress = []types.Activity{old}
				if tt.activity.StartTime != nil {
					w.calls.inProgress = append(w.calls.inProgress, tt.activity)
				}
				if tt.code != "" {
					w.aws.Inject(fakeaws.Fault{Action: activitiesCall, Code: tt.code})
				}
				assert.Equal(t, tt.taken, w.withdraw(2), "withdrawn of 2")
				assert.Equal(t, 3-tt.taken, w.desired("a"), "desired capacity")
			})
		}
	}
}

func TestWithdrawStopsAtPresentInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).running()
	w.calls.between.Store(true)
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large", Available: 3})
	w.increase(5)
	w.eventuallyInService("a", 3)
	// The Cache may not have seen them yet, but the write reads for itself.
	w.withdraw(5)
	assert.Equal(t, 3, w.desired("a"), "desired capacity: as many as run")
	time.Sleep(100 * time.Millisecond)
	assert.Empty(t, w.kills(), "Auto Scaling killed")
}

func TestFailedLaunchIsReportedUntilRequestEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).running()
		shortage := w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
		w.increase(1)
		w.waitWhile("no want of capacity is known", func() bool {
			f := w.group("a").Failure
			return f == nil || f.Code != "InsufficientInstanceCapacity"
		})
		w.aws.ClearShortages(shortage)
		w.eventuallyInService("a", 1)
		w.waitWhile("a failure or a request is left", func() bool { g := w.group("a"); return g.Failure != nil || g.Requested != 0 })
	})
}

// AWS answers the tries as the faults say.
func TestRepeatedRaiseReportsOpenOutcome(t *testing.T) {
	t.Parallel()
	const fault, throttle, denied = "InternalFailure", "Throttling", "AccessDenied"
	for _, tt := range []struct {
		name    string
		faults  []string
		changed int    // the try after which another writer lowers the desired capacity, 0 for none
		want    string // error code, or empty
		tries   int
	}{
		{"repeated", []string{fault, throttle}, 0, "", 3},
		{"open, and not repeated", []string{fault}, 1, fault, 1},
		{"refused, and not repeated", []string{throttle}, 1, throttle, 1},
		{"open, refused, and not repeated", []string{fault, throttle}, 2, fault, 2},
		{"open, then refused", []string{fault, denied}, 0, fault, 2},
		{"open, then refused until the end", []string{fault, throttle, throttle, throttle, throttle}, 0, fault, 3},
		{"refused", []string{denied}, 0, denied, 1},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w, tries := newWorld(t, scalingGroup("a", 0, 3, 10)).started(), 0
			w.calls.repeats = true
			w.calls.beforeWrite = func() {
				if tries++; tries <= len(tt.faults) {
					w.aws.Inject(fakeaws.Fault{Action: desiredCall, Code: tt.faults[tries-1], Times: 1})
				}
			}
			w.calls.afterWrite = func() {
				if tries == tt.changed {
					w.setDesired(1)
				}
			}
			err := w.cache.Increase(t.Context(), "a", 1)
			got := awsclient.Code(err)
			assert.Truef(t, got == tt.want && tries == tt.tries, "error %v after %d tries, want %q after %d", err, tries, tt.want, tt.tries)
			refused := tt.want == throttle || tt.want == denied
			assert.Equalf(t, refused, awsclient.IsRefused(err), "error %v counts as refused", err)
		}))
	}
}

func TestWriteWithoutCredentialsLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
	w.calls.noIdentity = true
	require.Error(t, w.cache.Increase(t.Context(), "a", 5))
	w.calls.noIdentity = false
	w.increasesTo(1, 2)
}

func TestWriteUnderWayOutlivesRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).started()
		w.aws.Inject(fakeaws.Fault{Action: "SetDesiredCapacity", Latency: ms(300)})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = w.cache.Run(ctx) }()
		written := make(chan error, 1)
		go func() { written <- w.cache.Increase(ctx, "a", 2) }()
		time.Sleep(100 * time.Millisecond) // AWS has the write, and does not answer yet
		stopped := time.Now()
		stop()
		<-ended
		assert.GreaterOrEqual(t, time.Since(stopped), 200*time.Millisecond, "after its end Run has waited for the write for")
		assert.Equal(t, 2, w.desired("a"), "desired capacity")
		assert.NoError(t, <-written, "the write ended with")
		w.failsToIncrease("a", 1) // after the end
		w.wantDesired(2)
	})
}

// Run under the race detector: one Cache refreshed, written to and read at once.
func TestReadersWritersAndRefreshesDoNotRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 1000), scalingGroup("b", 0, 5, 1000), scalingGroup("c", 0, 0, 10)).running()
	var all sync.WaitGroup
	repeat := func(do func(i int) error) {
		all.Go(func() {
			for i := range 20 {
				assert.NoError(t, do(i))
			}
		})
	}
	ctx := context.WithoutCancel(t.Context())
	repeat(func(int) error { return w.cache.Refresh(ctx) })
	repeat(func(int) error { return w.cache.Increase(ctx, "a", 1) })
	repeat(func(int) error { return w.cache.Increase(ctx, "a", 2) })
	repeat(func(int) error { _, err := w.cache.Withdraw(ctx, "c", 1); return err })
	repeat(func(i int) error {
		if members := w.group("b").Counted(); i%5 == 0 && len(members) > 0 {
			return w.cache.Terminate(ctx, "b", []string{members[0].ID})
		}
		return nil
	})
	repeat(func(int) error {
		for _, g := range w.cache.Snapshot().Groups() {
			_ = g.TargetInstances() + len(g.Tags) + len(g.Instances)
		}
		return nil
	})
	all.Wait()
	assert.Equal(t, 60, w.desired("a"), "desired capacity after 20 raises by 1 and 20 by 2")
	got, kills := w.desired("b"), w.kills()
	assert.Truef(t, got == 1 && len(kills) == 0, "desired capacity is %d and Auto Scaling killed %v, want 1 and none", got, kills)
}

func TestFailedWithdrawalIsRetried(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		call, code string
		pause      time.Duration
	}{
		{desiredCall, "InternalFailure", time.Minute}, // after a throttled call, the SDK's limiter keeps a bubble busy for ever
		{desiredCall, "ScalingActivityInProgress", time.Minute},
		{desiredCall, "ExpiredToken", time.Minute},
		{desiredCall, "InvalidClientTokenId", time.Minute},
		{desiredCall, "AccessDenied", 10 * time.Minute},
		{activitiesCall, "InternalFailure", time.Minute},
		{"DescribeAutoScalingGroups", "InternalFailure", time.Minute},
	} {
		t.Run(tt.call+" "+tt.code, bubbled(func(t *testing.T) {
			now := clockAt(time.Minute)
			w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(stepped(asg.LaunchDesiredCapacity, now)).running()
			w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
			w.increase(3)
			shown := func(target, withdrawable int) func() string {
				return func() string {
					if g := w.group("a"); g.TargetInstances() != target || g.Withdrawable() != withdrawable || withdrawable > 0 && g.Failure == nil {
						return fmt.Sprintf("a target of %d, %d to withdraw and failure %v, want %d and %d", g.TargetInstances(), g.Withdrawable(), g.Failure, target, withdrawable)
					}
					return ""
				}
			}
			w.within(now, time.Minute, shown(4, 3))
			w.aws.Inject(fakeaws.Fault{Action: tt.call, Code: tt.code})
			_, err := w.cache.Withdraw(t.Context(), "a", 3)
			require.Error(t, err, "nothing was refused")
			assert.Empty(t, shown(1, 0)(), "just after the failure")
			now.Step(5 * time.Second)
			w.aws.ClearFaults()
			w.refresh()
			assert.Empty(t, shown(1, 0)(), "a moment later")
			now.Step(tt.pause)
			w.within(now, 10*time.Second, shown(4, 3))
			w.calls.between.Store(true)
			w.withdraws(3, 3, 1)
		}))
	}
}

// Bounds on what a write lowers, raises and waits for.

func TestWithdrawalStopsAtMemberWeight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weighted(0, 3)).started()
	w.calls.between.Store(true)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.increase(3)
	heavy := member("i-1", "InService")
	heavy.WeightedCapacity = aws.String("3")
	w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = []types.Instance{heavy} }
	w.withdraw(3)
	w.wantDesired(3)
	for _, e := range w.aws.Events() { // not for a moment either
		assert.Truef(t, e.Kind != fakeaws.DesiredChanged || e.To >= 3, "the desired capacity went from %d to %d, below the weight of the member", e.From, e.To)
	}
}

func TestTerminationRereadsStaleGroup(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 1, 10)).timed()
	w.setDesired(2)
	w.eventuallyInService("a", 2)
	state, _ := w.aws.Group("a")
	now.Step(3 * time.Second)
	w.must(w.cache.Terminate(t.Context(), "a", []string{state.Instances[1].ID}))
	w.wantDesired(1)
}

func TestIncreaseKeepsEarlierExcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10))
	w.calls.edit = func(g *types.AutoScalingGroup) {
		g.Instances = append(g.Instances, member("i-1", "InService"), member("i-2", "InService")) // while AWS moves instances between zones
	}
	w.started().increase(1)
	asg.ReadMoving(w.cache, t.Context())
	w.wantDesired(4)
}

func TestMinimumSizeIsNeverOverdue(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 0, 10)).timed()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.must(w.aws.SetLimits("a", 2, 10))
	w.setDesired(3) // one of the three is not the minimum size's
	w.refresh()
	now.Step(6 * time.Minute)
	w.refresh()
	assert.Equal(t, 1, w.group("a").Overdue, "overdue")
}

// silent is an Auto Scaling that stops answering.
type silent struct {
	asg.AutoScalingAPI
	readings int // that it answers
}

func (s *silent) DescribeAutoScalingGroups(ctx context.Context, _ *autoscaling.DescribeAutoScalingGroupsInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	if s.readings--; s.readings < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []types.AutoScalingGroup{{AutoScalingGroupName: aws.String("a"),
		MinSize: aws.Int32(0), MaxSize: aws.Int32(10), DesiredCapacity: aws.Int32(0)}}}, nil
}

func (s *silent) SetDesiredCapacity(ctx context.Context, _ *autoscaling.SetDesiredCapacityInput, _ ...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestUnansweredWriteEndsAtItsDeadline(t *testing.T) {
	for _, tt := range []struct {
		name             string
		readings, writes int
		most             time.Duration
	}{
		{"reading", 1, 1, 30 * time.Second},
		{"lock of the group", 100, 3, 90 * time.Second}, // for the lock and for the write itself
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			cache := asg.NewCache(asg.Options{AutoScaling: &silent{readings: tt.readings}, Clock: clock.RealClock{}, LaunchMode: asg.LaunchDesiredCapacity,
				Discovery: discovered})
			require.NoError(t, cache.Refresh(t.Context()))
			for at := range tt.writes {
				go func() {
					time.Sleep(time.Duration(at) * time.Second)
					began := time.Now()
					assert.Error(t, cache.Increase(t.Context(), "a", 1))
					assert.LessOrEqual(t, time.Since(began), tt.most, "the write took")
				}()
			}
			time.Sleep(5 * time.Minute)
		}))
	}
}

func TestReadingWithoutSizesIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10), scalingGroup("b", 0, 1, 10)).started()
	w.calls.edit = func(g *types.AutoScalingGroup) {
		if *g.AutoScalingGroupName == "a" {
			g.DesiredCapacity = nil
		}
	}
	w.setDesired(4)
	w.refresh()
	assert.Equal(t, [2]int{3, 1}, [2]int{w.group("a").DesiredCapacity, w.group("b").DesiredCapacity}, "desired capacities")
	_, err := w.cache.Reread(t.Context(), "a")
	assert.Error(t, err, "a reading without the desired capacity counts")
	taken, err := w.cache.Withdraw(t.Context(), "a", 1)
	assert.Error(t, err)
	assert.Equal(t, [2]int{0, 4}, [2]int{taken, w.desired("a")}, "withdrawn, and desired capacity")
}

func TestInstancesWithoutWeightHaveThatOfTheirType(t *testing.T) {
	t.Parallel()
	for _, weight := range []*string{nil, aws.String("")} {
		w := newWorld(t, weighted(8, 4)).started()
		w.calls.edit = func(g *types.AutoScalingGroup) {
			for at := range g.Instances {
				g.Instances[at].WeightedCapacity = weight
			}
		}
		w.refresh()
		now := w.group("a")
		assert.GreaterOrEqual(t, now.CountedCapacity(), 8, "the instances count for")
		assert.Zero(t, now.Missing(), "missing")
	}
}

// AWS may count such an instance for the rest of the desired capacity.
func TestNothingIsTakenBackWhileTypesAreUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weighted(0, 4)).started()
	w.suspendLaunch()
	w.increase(4)
	w.calls.edit = func(g *types.AutoScalingGroup) {
		heavy := member("i-1", "InService")
		heavy.InstanceType, heavy.WeightedCapacity = nil, nil
		g.SuspendedProcesses, g.Instances = nil, []types.Instance{heavy}
	}
	w.withdraws(4, 0, 8)
}
