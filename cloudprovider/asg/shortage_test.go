package asg_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const activitiesCall = "DescribeScalingActivities"

// cools says that the group "a" does not cool down, or nothing.
func (w *world) cools() string {
	_, cooling := w.cache.CoolDown(w.group("a"))
	return map[bool]string{false: "the group does not cool down"}[cooling]
}

// stepped has the Cache launch in the mode, by a clock that within steps.
func stepped(mode asg.LaunchMode, now *clocktesting.FakeClock) func(*asg.Options) {
	return func(o *asg.Options) { o.LaunchMode, o.Clock, o.MotionInterval = mode, now, 50*time.Millisecond }
}

// within moves the clock until ok returns "", by no more than most.
func (w *world) within(now *clocktesting.FakeClock, most time.Duration, ok func() string) {
	w.t.Helper()
	end, patience := now.Now().Add(most), time.Now().Add(20*time.Second) // a busy machine takes longer for what is under way
	for wrong := ok(); wrong != ""; wrong = ok() {
		switch {
		case !now.Now().After(end):
			now.Step(100 * time.Millisecond)
		case time.Now().After(patience):
			w.t.Fatalf("still not after %s: %s", most, wrong)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// counting returns what is wrong unless the group "a" is taken for one of so many nodes, with so many instances.
func (w *world) counting(target, instances int) func() string {
	return func() string {
		if g := w.group("a"); g.TargetInstances() != target || len(g.Counted()) != instances {
			return fmt.Sprintf("a target of %d with %d instances, want %d with %d", g.TargetInstances(), len(g.Counted()), target, instances)
		}
		return ""
	}
}

// deadLaunch has an instance of ours in group g die with the code, which AWS does not launch again.
func deadLaunch(t *testing.T, mode asg.LaunchMode, g fakeaws.AutoScalingGroup, code, message string) (*world, *clocktesting.FakeClock) {
	t.Helper()
	now := clockAt(time.Minute)
	w := newWorld(t, g).with(stepped(mode, now)).running()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Dies: ms(100), NoRetry: true, Code: code, Message: message})
	w.increase(1)
	w.within(now, 30*time.Second, func() string {
		if g := w.group("a"); len(g.Counted()) > 0 || g.Failure == nil && g.Overdue == 0 {
			return fmt.Sprintf("%d instances, failure %v and %d overdue, want a launch that failed", len(g.Counted()), g.Failure, g.Overdue)
		}
		return ""
	})
	return w, now
}

func TestDyingLaunchIsOverdue(t *testing.T) {
	t.Parallel()
	t.Run("raised", bubbled(func(t *testing.T) {
		w, _ := deadLaunch(t, asg.LaunchDesiredCapacity, scalingGroup("a", 0, 0, 10), "", "")
		assert.Equal(t, 1, w.group("a").Withdrawable(), "withdrawable, want the one that died")
	}))
	t.Run("launched", bubbled(func(t *testing.T) {
		w, _ := deadLaunch(t, asg.LaunchAuto, scalingGroup("a", 0, 0, 10), "", "")
		assert.Equal(t, 0, w.group("a").TargetInstances(), "a target")
		_, resting := w.cache.CoolDown(w.group("a"))
		assert.True(t, resting, "the group is not left alone, and the core would launch there again at once")
	}))
}

// The volume's key speaks only after AWS has accepted the launch.
func TestOnlyAnInstanceInServiceEndsTheProblemOfDeadOnes(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w, now := deadLaunch(t, asg.LaunchAuto, scalingGroup("a", 0, 0, 10), "Client.InternalError", "Client error on launch")
		refused := func() bool {
			_, refused := w.cache.Refused(w.group("a"))
			return refused
		}
		w.aws.ClearShortages()
		now.Step(15*time.Minute + time.Second)
		w.refresh()
		w.increase(2) // one is the overdue
		assert.True(t, refused(), "with a launch that AWS accepted")
		w.waitWhile("it is refused with an instance in service", func() bool {
			w.refresh()
			return refused()
		})
	})(t)
}

// AWS launches another instance at once, so that hardly a reading shows one missing.
func TestSuccessiveDyingLaunchesAreNoticed(t *testing.T) {
	t.Parallel()
	now := clockAt(time.Minute)
	w := newWorldWith(t, func(d *fakeaws.Delays) { d.InService = ms(500) }, scalingGroup("a", 0, 0, 10)).
		with(stepped(asg.LaunchAuto, now)).running()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Dies: ms(300)})
	w.increase(1)
	w.within(now, time.Minute, w.cools)
	w.within(now, time.Minute, func() string {
		if g := w.group("a"); g.Missing() == 0 || g.Overdue == 0 {
			return fmt.Sprintf("%d missing and %d overdue, want none to be counted on", g.Missing(), g.Overdue)
		}
		return ""
	})
	assert.Equal(t, 1, w.desired("a"), "desired capacity")
}

// Nobody completes the hook, and AWS launches another instance for each that it gives up.
func TestLaunchesThatAHookAbandonsAreNoticed(t *testing.T) {
	t.Parallel()
	for _, mode := range []asg.LaunchMode{asg.LaunchDesiredCapacity, asg.LaunchAuto} {
		t.Run(string(mode), func(t *testing.T) {
			now, g := clockAt(time.Minute), scalingGroup("a", 0, 0, 10)
			g.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "bake", Transition: "launching", HeartbeatTimeout: ms(300)}}
			w := newWorld(t, g).with(stepped(mode, now)).running()
			w.increase(1)
			w.within(now, time.Minute, w.cools)
			cooling, _ := w.cache.CoolDown(w.group("a"))
			assert.Truef(t, cooling.Class == awsmessage.Configuration && strings.Contains(cooling.Message, "Heartbeat Timeout"), "cool-down %+v, want the hook's", cooling)
		})
	}
}

// AWS tries one zone after the other, and says in the details of each try which one it was.
func TestSpotShortageClosesTheZonesThatAWSHasTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spot := mixedGroup("a", 0)
		spot.Zones = []string{"us-west-2a", "us-west-2b"}
		other := mixedGroup("other", 0)
		other.Zones = []string{"us-west-2c"}
		w := newWorld(t, spot, other).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
		w.increase(1)
		w.eventually(w.cools)
		_, cooling := w.cache.CoolDown(w.group("other"))
		assert.False(t, cooling, "a group in another zone is left alone")
	})
}

func TestDyingInstancesDoNotAddUp(t *testing.T) {
	t.Parallel()
	for code, message := range map[string]string{
		"Client.InternalError":                "Client error on launch",
		"Client.VolumeLimitExceeded":          "Volume limit exceeded",
		"Server.InsufficientInstanceCapacity": "Insufficient capacity to satisfy instance request",
	} {
		for name, increase := range map[string]func(*world, int) error{
			"whole":  func(w *world, n int) error { return w.cache.Increase(w.t.Context(), "a", n) },
			"atomic": func(w *world, n int) error { return w.cache.IncreaseAtomically(w.t.Context(), "a", "", n) },
			"atomic in a zone": func(w *world, n int) error {
				return w.cache.IncreaseAtomically(w.t.Context(), "a", "us-west-2a", n)
			},
			"zones": func(w *world, n int) error {
				return zoneIncrease(w.cache, w.t.Context(), "a", "us-west-2a", n)
			},
		} {
			t.Run(name+" "+code, bubbled(func(t *testing.T) {
				w, now := deadLaunch(t, asg.LaunchAuto, divided("a", 0, 0, 10), code, message)
				now.Step(16 * time.Minute) // the group is left alone no longer
				w.aws.ResetCalls()
				w.must(increase(w, 1))
				assert.Equal(t, 1, w.group("a").TargetInstances(), "target, want the instance that AWS still has to launch")
				assert.Equal(t, 0, w.aws.Calls()[launchCall], "launches")
				w.must(increase(w, 2))
				w.wantDesired(3) // 2 more
			}))
		}
	}
}

// EC2 refused another writer's instances. A launch of ours may find capacity where AWS's next attempt does not look.
func TestRefusedInstancesAreAskedForInFull(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		now := clockAt(time.Minute)
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(stepped(asg.LaunchAuto, now)).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a", NoRetry: true})
		w.setDesired(2)
		w.refresh()
		w.within(now, time.Minute, w.counting(0, 0))
		now.Step(16 * time.Minute)
		w.aws.ClearShortages()
		w.increasesTo(1, 3)
	})(t)
}

func TestIrreplaceableInstanceIsOverdue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := clockAt(time.Minute)
		w := newWorld(t, scalingGroup("a", 0, 3, 10)).with(at(now)).running()
		w.eventuallyInService("a", 3)
		w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
		w.must(w.aws.Reclaim(w.ids("a")[0]))
		w.eventually(func() string {
			w.refresh()
			return w.counting(3, 2)()
		})
		w.within(now, 20*time.Second, w.counting(2, 2))
		w.agreed(3)           // nobody asked for less
		w.eventually(w.cools) // the reading shows in the group a moment before
		w.aws.ResetCalls()
		for range 600 {
			now.Step(time.Second)
			time.Sleep(time.Millisecond)
		}
		assert.Equal(t, 0, w.aws.Calls()[activitiesCall], "times the activities were read in ten minutes although the reason is known")
		w.aws.ClearShortages()
		w.within(now, 5*time.Minute, w.counting(3, 3))
	})
}

func TestFailuresOfShortage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		failed   types.Activity
		began    time.Duration // to when it is missing
		ended    time.Duration
		want     int // overdue
		wantRest bool
	}{
		{name: "before", failed: failedLaunch("There is no capacity"), began: -time.Minute, ended: -50 * time.Second},
		{name: "begun before and ended since", failed: failedLaunch("Client.InternalError: Client error on launch"), began: -time.Minute, ended: 5 * time.Second, want: 2, wantRest: true},
		{name: "since", failed: failedLaunch("Insufficient capacity."), began: 5 * time.Second, ended: 5 * time.Second, want: 2, wantRest: true},
		{name: "of a kind that nobody knows", failed: failedLaunch("The moon is in the wrong phase."), began: 5 * time.Second, ended: 5 * time.Second, want: 2, wantRest: true},
		{name: "that passes by itself", failed: failedLaunch("An internal error has occurred"), began: 5 * time.Second, ended: 5 * time.Second},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			now := clocktesting.NewFakeClock(time.Now())
			w := newWorldWith(t, func(d *fakeaws.Delays) { d.Listed = fakeaws.Duration(time.Hour) }, scalingGroup("a", 0, 0, 9)).
				with(stepped(asg.LaunchDesiredCapacity, now))
			tt.failed.StartTime, tt.failed.EndTime = aws.Time(time.Now().Add(tt.began)), aws.Time(time.Now().Add(tt.ended))
			w.calls.inProgress = []types.Activity{tt.failed}
			w.running()
			w.setDesired(2) // somebody else's
			w.refresh()
			w.within(now, time.Minute, func() string {
				if w.aws.Calls()[activitiesCall] < 3 && w.group("a").Overdue == 0 {
					return "AWS has not been asked three times"
				}
				return ""
			})
			_, resting := w.cache.CoolDown(w.group("a"))
			assert.Equal(t, tt.want, w.group("a").Overdue, "overdue of 2")
			assert.Equal(t, tt.wantRest, resting, "the group is left alone")
		}))
	}
}

// The looks that succeeded before say nothing of how long to wait.
func TestExpiredCredentialsPostponeALookByAMinuteAtMost(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Listed = fakeaws.Duration(time.Hour) }, scalingGroup("a", 0, 0, 9)).running()
		w.setDesired(2) // somebody else's
		looks := func() int { return w.aws.Calls()[activitiesCall] }
		until := func(n int) {
			for looks() < n {
				time.Sleep(time.Second)
			}
		}
		until(5)
		w.aws.Inject(fakeaws.Fault{Action: activitiesCall, Code: "ExpiredToken", Times: 1})
		until(6)
		time.Sleep(time.Minute + time.Second)
		assert.Greater(t, looks(), 6, "looks a minute after one with credentials that had just expired")
	})(t)
}

func failedLaunch(message string) types.Activity {
	return types.Activity{StatusCode: types.ScalingActivityStatusCodeFailed, Description: aws.String("Launching a new EC2 instance"), StatusMessage: aws.String(message)}
}

// AWS lists the activities in progress before all others.
func TestFailureIsSeenBehindLaunchesInProgress(t *testing.T) {
	t.Parallel()
	for _, starting := range []int{25, 120} { // AWS lists up to 100 activities a page
		t.Run(fmt.Sprintf("%d launches", starting), bubbled(func(t *testing.T) {
			g := scalingGroup("a", 0, 0, 200)
			g.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "bake", Transition: "launching", HeartbeatTimeout: fakeaws.Duration(time.Hour)}}
			w := newWorld(t, g).running()
			w.setDesired(starting)
			w.listed(starting)
			w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
			w.increase(1)
			w.waitWhile("the failed launch is not known", func() bool { return w.group("a").Failure == nil })
		}))
	}
}

func TestShortGroupsAreLookedAtInTurn(t *testing.T) {
	t.Parallel()
	const groups = 50
	var all []fakeaws.AutoScalingGroup
	for at := range groups {
		all = append(all, scalingGroup(fmt.Sprintf("g%02d", at), 0, 1, 9))
	}
	w := newWorld(t, all...)
	w.aws.AddShortage(fakeaws.Shortage{})
	for _, g := range all {
		w.must(w.aws.SetDesired(g.Name, 2))
	}
	w.started()
	for round, want := range []int{20, 40, 50, 50} {
		asg.ReadFailures(w.cache, t.Context())
		assert.Equalf(t, want, w.aws.Calls()[activitiesCall], "calls after %d rounds", round+1)
	}
}
