package asg_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// held is a world that launches synchronously. Launches in the named groups do not reach AWS before release is called.
func held(t *testing.T, names []string, groups ...fakeaws.AutoScalingGroup) (w *world, asked <-chan string, release func()) {
	t.Helper()
	w = newWorld(t, groups...).with(func(o *asg.Options) { o.LaunchMode = asg.LaunchAuto })
	gate, arrived := make(chan struct{}), make(chan string, 100)
	w.calls.launching = func(in *autoscaling.LaunchInstancesInput) {
		arrived <- aws.ToString(in.AutoScalingGroupName)
		if slices.Contains(names, aws.ToString(in.AutoScalingGroupName)) {
			<-gate
		}
	}
	return w, arrived, func() { close(gate) }
}

// start begins an increase of the group.
func (w *world) start(name, zone string, n int) {
	w.t.Helper()
	w.must(w.cache.StartIncrease(w.t.Context(), name, zone, n))
}

// answered waits until no increase is under way.
func (w *world) answered() {
	w.t.Helper()
	w.must(w.cache.AwaitIncreases(w.t.Context()))
}

// wantCounted checks the group in the Snapshot: its desired capacity, and how much of it is booked and failed.
func (w *world) wantCounted(name string, desired, booked, failed int) {
	w.t.Helper()
	g := w.group(name)
	got, want := fmt.Sprint(g.DesiredCapacity, g.Booked, g.FailedInstances()), fmt.Sprint(desired, booked, failed)
	assert.Truef(w.t, got == want, "desired, booked and failed are %s, want %s", got, want)
}

func TestIncreaseUnderWayCountsFromTheStart(t *testing.T) {
	t.Parallel()
	w, asked, release := held(t, []string{"a"}, scalingGroup("a", 0, 1, 10))
	w.running()
	w.start("a", "", 2)
	w.wantCounted("a", 3, 2, 0)
	<-asked
	w.refresh()
	w.wantCounted("a", 3, 2, 0)
	g := w.group("a")
	assert.Equal(t, [3]int{2, 3, 0}, [3]int{g.Missing(), g.TargetInstances(), g.Withdrawable()}, "missing, target and withdrawable")
	release()
	w.answered()
	w.wantCounted("a", 3, 0, 0)
	w.wantDesired(3)
	w.knows(3, 3)
}

func TestBurstInManyGroupsReadsThemTogether(t *testing.T) {
	for mode, most := range map[asg.LaunchMode]int{asg.LaunchAuto: 5, asg.LaunchDesiredCapacity: 12} { // which also reads after its writes
		config := usual()
		for at := range 250 {
			config.AutoScalingGroups = append(config.AutoScalingGroups, scalingGroup(fmt.Sprint("g", at), 0, 0, 10))
		}
		inBubble(config, func(o *asg.Options) { o.LaunchMode, o.MotionInterval, o.NoPredecessor = mode, time.Hour, true }, func(w *world) {
			w.aws.ResetCalls()
			for at := range 250 {
				w.start(fmt.Sprint("g", at), "", 1)
			}
			w.answered()
			assert.LessOrEqualf(t, w.aws.Calls()[readCall], most, "readings in mode %v", mode)
			for at := range 250 {
				assert.Equal(t, 1, w.desired(fmt.Sprint("g", at)), "desired capacity")
			}
		})(t)
	}
}

// One of the groups that are read together has no sizes, and AWS does not answer for the caller whose context ends.
func TestReadingsTogetherFailAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 10), scalingGroup("b", 0, 1, 10), scalingGroup("c", 0, 1, 10)).started()
		w.calls.edit = func(g *types.AutoScalingGroup) {
			if *g.AutoScalingGroupName == "b" {
				g.DesiredCapacity = nil
			}
		}
		time.Sleep(time.Second)
		ended, end := context.WithCancel(t.Context())
		defer end()
		var callers sync.WaitGroup
		for at, name := range []string{"c", "b", "a"} { // alone, and two together
			callers.Go(func() {
				time.Sleep(time.Duration(at) * time.Millisecond)
				ctx := t.Context()
				if name == "b" {
					ctx = ended
					time.AfterFunc(10*time.Millisecond, end)
				}
				g, err := w.cache.Reread(ctx, name)
				assert.Truef(t, name == "b" && err != nil || name != "b" && err == nil && time.Since(g.ReadAt) < time.Second, "reading of %s: %v", name, err)
			})
		}
		callers.Wait()
		assert.Equal(t, 1+2, w.aws.Calls()[readCall], "calls, with the first reading of all")
	})
}

func TestIncreasesOfOneGroupAreMadeTogether(t *testing.T) {
	t.Parallel()
	w, asked, release := held(t, []string{"a"}, scalingGroup("a", 0, 0, 10))
	w.running()
	w.start("a", "", 2)
	<-asked
	w.start("a", "", 1)
	w.start("a", "", 3)
	w.wantCounted("a", 6, 6, 0)
	release()
	w.answered()
	w.wantCounted("a", 6, 0, 0)
	w.wantDesired(6)
	assert.Equal(t, 2, w.aws.Calls()[launchCall], "launches")
}

func TestHangingLaunchDelaysNoOtherGroup(t *testing.T) {
	t.Parallel()
	w, asked, release := held(t, []string{"bad"}, scalingGroup("bad", 0, 0, 10), scalingGroup("good", 0, 0, 10), scalingGroup("fine", 0, 0, 10))
	defer func() { release(); w.answered() }()
	w.started()
	w.start("bad", "", 1)
	require.Equal(t, "bad", <-asked, "the first launch is in")
	w.start("good", "", 2)
	w.start("fine", "", 3)
	w.eventually(func() string {
		good, fine := w.group("good"), w.group("fine")
		return cmp.Diff([3]int{2, 3, 0}, [3]int{len(good.Counted()), len(fine.Counted()), good.Booked + fine.Booked})
	})
	w.wantCounted("bad", 1, 1, 0)
	assert.True(t, w.wakes(), "the answers did not wake the core")
}

func TestIncreasesUnderWayShareTheMaximum(t *testing.T) {
	t.Parallel()
	w, _, release := held(t, []string{"a"}, scalingGroup("a", 0, 1, 5))
	w.started()
	w.start("a", "", 3)
	w.start("a", "", 3)
	w.wantCounted("a", 5, 4, 0)
	assert.ErrorAs(t, w.cache.StartIncrease(t.Context(), "a", "", 1), new(*group.LimitError), "the group is full")
	release()
	w.answered()
	w.wantDesired(5)
}

func TestFailedIncreaseShowsInOneLoop(t *testing.T) {
	t.Parallel()
	w, asked, release := held(t, []string{"a"}, scalingGroup("a", 0, 1, 10))
	w.started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Available: 1})
	w.start("a", "", 1)
	<-asked
	w.start("a", "", 2)
	release()
	w.answered()
	assert.True(t, w.wakes(), "the failure did not wake the core")
	for loop, failed := range []int{2, 2, 0} { // the first one is under way when the failure comes
		if loop > 0 {
			w.cache.BeginLoop()
		}
		w.wantCounted("a", 2+failed, 0, failed)
	}
	w.wantDesired(2)
}

func TestDismissedFailureCountsNoLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
	w.aws.Deny("SetDesiredCapacity")
	w.start("a", "", 3)
	w.answered()
	w.wantCounted("a", 4, 0, 3)
	failed := w.group("a").Failed
	require.Truef(t, len(failed) == 1 && strings.Contains(failed[0].Err.Error(), "SetDesiredCapacity"),
		"failures are %+v, want AWS's refusal", failed)
	w.cache.DismissFailed("a", failed[0].ID)
	w.wantCounted("a", 1, 0, 0)
	w.start("a", "", 1)
	w.answered()
	again := w.group("a").Failed
	assert.Truef(t, len(again) == 1 && again[0].ID != failed[0].ID, "failures are %+v, want another one than before", again)
}

func TestWritesBesideIncreaseWaitForItsAnswer(t *testing.T) {
	t.Parallel()
	w, asked, release := held(t, []string{"a"}, scalingGroup("a", 0, 2, 10))
	w.running()
	victim := w.group("a").Instances[0].ID
	w.start("a", "", 2)
	<-asked
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	taken, err := w.cache.Withdraw(soon, "a", 2)
	assert.Zero(t, taken, "withdrawn of what AWS has not accepted")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	ended := make(chan error, 1)
	go func() { ended <- w.cache.Terminate(t.Context(), "a", []string{victim}) }()
	release()
	assert.NoError(t, <-ended)
	w.answered()
	w.wantCounted("a", 3, 0, 0)
	w.wantDesired(3)
}

func TestEndingProcessFinishesOnlyTheCallUnderWay(t *testing.T) {
	t.Parallel()
	w, asked, release := held(t, []string{"a"}, scalingGroup("a", 0, 0, 10))
	_, stop := w.runningUntil()
	w.start("a", "", 1)
	<-asked
	w.start("a", "", 3)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	w.waitWhile("the Cache takes more increases", func() bool { err := w.cache.StartIncrease(t.Context(), "a", "", 1); return err == nil })
	release()
	<-stopped
	w.wantDesired(1)
}

func TestZonesUnderWayShareOneReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newZonalWorld(t, divided("a", 0, 3, 12))
		w.aws.ResetCalls()
		w.start("a", "us-west-2a", 2)
		w.start("a", "us-west-2b", 1)
		booked := map[string]int{"a": 3, "b": 2, "c": 1}
		assert.Equal(t, booked, w.sizes(), "sizes")
		assert.Equal(t, 2, w.view("a").Booked, "booked in a")
		w.answered()
		assert.Empty(t, cmp.Diff(booked, w.sizes()), "sizes after the answer (-want +got)")
		assert.Empty(t, cmp.Diff(map[string]int{"DescribeAutoScalingGroups": 1, launchCall: 2}, w.aws.Calls()), "calls (-want +got)")
		w.wantCounted("a", 6, 0, 0)
	})
}

// AWS shows the new desired capacity of a launch that it has not answered, and lists its instances later.
func TestUnlistedLaunchCountsOnceInItsZone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, asked, release := held(t, []string{"a"}, divided("a", 0, 3, 12))
		var grown atomic.Int32
		w.calls.edit = func(g *types.AutoScalingGroup) { g.DesiredCapacity = aws.Int32(*g.DesiredCapacity + grown.Load()) }
		w.running()
		w.start("a", "us-west-2a", 2)
		w.start("a", "us-west-2b", 1)
		<-asked
		<-asked
		for n := range int32(4) {
			grown.Store(n)
			w.refresh()
			assert.Emptyf(t, cmp.Diff(map[string]int{"a": 3, "b": 2, "c": 1}, w.sizes()), "sizes after the desired capacity grew by %d (-want +got)", n)
			w.wantCounted("a", 6, 3, 0)
		}
		grown.Store(5)
		w.refresh()
		w.wantCounted("a", 8, 3, 0) // another writer wants two more
		grown.Store(0)
		release()
		w.answered()
	})
}

// AWS shows the new desired capacity of a launch that fails then.
func TestFailedLaunchThatAReadingHasShownIsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Unlisted = ms(400) }, scalingGroup("a", 0, 1, 10)).with(synchronous).started()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
		w.start("a", "", 2)
		time.Sleep(time.Duration(quick.Synchronous) + 100*time.Millisecond)
		require.Equal(t, int32(3), *w.past().DesiredCapacity, "desired capacity that AWS shows amid the launch")
		w.refresh()
		w.answered()
		w.wantCounted("a", 3, 0, 2)
		w.cache.DismissFailed("a", w.group("a").Failed[0].ID)
		time.Sleep(time.Second)
		w.refresh()
		w.knows(1, 1)
	})
}

// AWS carries out a launch whose answer is lost, and denies its repetition.
func TestDeniedRepetitionCountsWhatWasLaunched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newZonalWorld(t, divided("a", 0, 3, 12))
		w.calls.lostLaunch = func(*autoscaling.LaunchInstancesOutput) { w.aws.Deny(launchCall) }
		w.start("a", "us-west-2a", 2)
		w.answered()
		w.wantCounted("a", 5, 0, 0)
		w.wantDesired(5)
	})
}

func TestFailureUnderWayShowsInItsZone(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 3, 12))
	w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2b"})
	w.start("a", "us-west-2a", 1)
	w.start("a", "us-west-2b", 2)
	w.answered()
	if failed := w.view("b").Failed; len(failed) != 1 || failed[0].Instances != 2 || len(w.view("a").Failed)+len(w.view("c").Failed) > 0 {
		t.Errorf("failures in b: %+v, want one of 2 instances, and none elsewhere", failed)
	}
	assert.Empty(t, cmp.Diff(map[string]int{"a": 2, "b": 3, "c": 1}, w.sizes()), "sizes (-want +got)")
	w.wantDesired(4)
}

// A group is deleted while an increase for it is under way, and another one gets its name.
func TestIncreaseEndsWithItsGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.RefreshInterval = time.Hour })
	w, stop := w.runningUntil()
	w.calls.edit = func(g *types.AutoScalingGroup) { // from the reading that the increase makes
		g.AutoScalingGroupARN, g.CreatedTime = aws.String("arn:aws:autoscaling:another"), aws.Time(g.CreatedTime.Add(time.Minute))
	}
	w.must(w.cache.StartIncrease(t.Context(), "a", "", 3))
	w.waitWhile("the increase has not read the group", func() bool { calls := w.aws.Calls()["DescribeAutoScalingGroups"]; return calls < 2 })
	stop() // awaits writes
	w.wantDesired(0)
	assert.Zero(t, w.group("a").Booked, "booked in the new group")
	assert.Empty(t, w.group("a").Failed, "failed in the new group")
}
