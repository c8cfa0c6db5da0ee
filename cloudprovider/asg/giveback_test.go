package asg_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// comingWorld has a group "a" in which AWS takes an hour to launch an instance.
func comingWorld(t *testing.T, g fakeaws.AutoScalingGroup) (*world, *clocktesting.FakeClock) {
	t.Helper()
	now := clocktesting.NewFakeClock(time.Now())
	delays := quick
	delays.Listed = fakeaws.Duration(time.Hour)
	w := newWorldWith(t, delays, g).with(func(o *asg.Options) { o.Clock = now })
	return w.started(), now
}

// suspendLaunch keeps AWS from beginning a launch.
func (w *world) suspendLaunch() {
	w.t.Helper()
	w.must(w.aws.Suspend("a", "Launch"))
}

// wantGivenBack gives back up to n instances, and checks how many AWS desires and ended.
func (w *world) wantGivenBack(n, want, desired int) {
	w.t.Helper()
	given, _, err := w.cache.GiveBack(w.t.Context(), "a", n)
	assert.Truef(w.t, err == nil && given == want, "gave back %d of %d, error %v, want %d", given, n, err, want)
	assert.Equal(w.t, desired, w.desired("a"), "AWS has a desired capacity")
	kills := w.kills()
	assert.Truef(w.t, len(kills) == 0, "AWS ended %v", kills)
}

func TestOnlyLaunchesNotBegunAreGivenBack(t *testing.T) {
	t.Parallel()
	w, now := comingWorld(t, scalingGroup("a", 0, 1, 10))
	w.increase(2) // AWS begins to launch them
	w.suspendLaunch()
	w.increase(3)
	w.wantGivenBack(5, 0, 6) // AWS may be about to begin
	now.Step(20 * time.Second)
	w.wantGivenBack(1, 1, 5)
	w.wantGivenBack(4, 0, 5) // the write is a moment old
	now.Step(20 * time.Second)
	w.wantGivenBack(4, 2, 3)
	assert.Equal(t, 3, w.group("a").TargetInstances(), "the target, want the instance and the two that AWS launches")
	now.Step(20 * time.Second)
	w.wantGivenBack(4, 0, 3)
}

func TestGivenBackInstancesAreNotLaunchedLater(t *testing.T) {
	t.Parallel()
	now := clocktesting.NewFakeClock(time.Now())
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(func(o *asg.Options) { o.Clock = now }).started()
	w.suspendLaunch()
	w.increase(3)
	now.Step(20 * time.Second)
	w.wantGivenBack(2, 2, 2)
	w.must(w.aws.Resume("a", "Launch"))
	w.eventuallyInService("a", 2)
	now.Step(20 * time.Second)
	w.wantGivenBack(2, 0, 2)
}

// A reading of the group may be older than a launch that has ended.
func TestBegunLaunchesByTheirState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status      types.ScalingActivityStatusCode
		description string
		ended       bool
		given       int // of two
	}{
		{status: types.ScalingActivityStatusCodeWaitingForInstanceId, description: "Launching a new EC2 instance", given: 1},
		{status: types.ScalingActivityStatusCodePendingSpotBidPlacement, description: "Launching a new EC2 instance", given: 1},
		{status: types.ScalingActivityStatusCodeWaitingForSpotInstanceId, description: "Launching a new EC2 instance", given: 1},
		{status: types.ScalingActivityStatusCodePreInService, description: "Launching a new EC2 instance: i-unlisted", given: 1},
		{status: types.ScalingActivityStatusCodeSuccessful, description: "Launching a new EC2 instance: i-unlisted", ended: true, given: 1},
		{status: types.ScalingActivityStatusCodeFailed, description: "Launching a new EC2 instance.  Status Reason: none left", ended: true, given: 2},
		{status: types.ScalingActivityStatusCodeCancelled, description: "Launching a new EC2 instance: i-unlisted", ended: true, given: 2},
		{status: types.ScalingActivityStatusCodeInProgress, description: "Terminating EC2 instance: i-unlisted", given: 2},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.description), bubbled(func(t *testing.T) {
			w, now := comingWorld(t, scalingGroup("a", 0, 1, 10))
			w.suspendLaunch()
			w.increase(2)
			now.Step(20 * time.Second)
			ended := time.Now().Add(-10 * time.Second)
			w.calls.inProgress = &types.Activity{StatusCode: tt.status, Description: &tt.description, StartTime: aws.Time(ended)}
			if tt.ended {
				w.calls.inProgress.EndTime = aws.Time(ended)
			}
			w.wantGivenBack(2, tt.given, 3-tt.given)
		}))
	}
}

func TestListedLaunchCountsOnce(t *testing.T) {
	t.Parallel()
	now := clocktesting.NewFakeClock(time.Now())
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.Clock = now }).started()
	w.increase(2)
	w.eventuallyInService("a", 2)
	w.suspendLaunch()
	w.increase(2)
	now.Step(20 * time.Second)
	w.wantGivenBack(9, 2, 2)
}

// The group counts 2 or 3 for an instance. Nobody knows which one AWS is launching.
func TestBegunLaunchMayBringTheGreatestWeight(t *testing.T) {
	t.Parallel()
	w, now := comingWorld(t, weighted(0, 3))
	w.increase(1)
	w.suspendLaunch()
	w.increase(3)
	now.Step(20 * time.Second)
	w.wantGivenBack(9, 2, 4) // of 8, of which 3 may come
}

func TestGivingBackLeavesMinimumAndOthersRequests(t *testing.T) {
	t.Parallel()
	w, now := comingWorld(t, scalingGroup("a", 0, 0, 10))
	w.suspendLaunch()
	w.increase(3)
	w.must(w.aws.SetLimits("a", 1, 10))
	now.Step(20 * time.Second)
	w.wantGivenBack(3, 2, 1)
	w.increase(1)
	w.setDesired(4)
	now.Step(2 * time.Minute)
	w.wantGivenBack(3, 0, 4)
}

func TestNothingIsGivenBackInTheDark(t *testing.T) {
	t.Parallel()
	w, now := comingWorld(t, scalingGroup("a", 0, 0, 10))
	w.suspendLaunch()
	w.increase(2)
	now.Step(20 * time.Second)
	w.aws.Deny("DescribeScalingActivities")
	if given, _, err := w.cache.GiveBack(t.Context(), "a", 2); given != 0 || err == nil || w.desired("a") != 2 {
		t.Errorf("gave back %d, error %v, desired capacity %d, want an error and all of the 2", given, err, w.desired("a"))
	}
}

func TestGivingBackRunsBesideTheLoop(t *testing.T) {
	t.Parallel()
	now, gaveBack := clocktesting.NewFakeClock(time.Now()), make(chan string, 1)
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(func(o *asg.Options) {
		o.Clock, o.GaveBack = now, func(group string, instances int) { gaveBack <- fmt.Sprint(group, " ", instances) }
	}).started()
	w.suspendLaunch()
	w.increase(2)
	now.Step(20 * time.Second)
	w.cache.StartGiveBack(t.Context(), "a", 2)
	assert.Equal(t, "a 2", <-gaveBack, "gave back, want a 2")
	<-w.cache.Changed()
	assert.Equal(t, 1, w.group("a").TargetInstances(), "the core sees a target")
}
