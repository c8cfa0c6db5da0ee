package asg_test

import (
	"context"
	"fmt"
	"slices"
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
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// asksEC2 has the Cache ask EC2 which instances have ended.
func asksEC2(o *asg.Options) {
	o.LaunchMode, o.Instances = asg.LaunchAuto, o.Launches.EC2.(lookup.InstancesAPI)
}

func TestReplayOfEndedLaunchIsSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Terminate = ms(2000) }, scalingGroup("a", 0, 1, 10)).with(synchronous).started()
		there := w.ids("a")
		w.increase(2)
		launched := slices.DeleteFunc(w.ids("a"), func(id string) bool { return slices.Contains(there, id) })
		w.must(w.cache.Terminate(t.Context(), "a", launched))
		next := w.with(nil).started() // wants the same where the same is there
		next.increasesTo(2, 3)
		next.knows(3, 3)
	})
}

func TestReplayOfTerminatedInstancesIsSkipped(t *testing.T) {
	t.Parallel()
	for _, denied := range []bool{false, true} {
		t.Run(fmt.Sprintf("EC2 denied=%t", denied), bubbled(func(t *testing.T) {
			w := newWorld(t, zonal("a", 0, 1, 10)).with(asksEC2).started()
			w.increase(2)
			there := w.ids("a")[0]
			next := w.with(nil).started()
			next.end("a", there)
			time.Sleep(3 * time.Second) // so that the clocks do not have to agree
			if denied {
				w.aws.Deny("DescribeInstances")
			}
			next.increase(2)
			next.knows(3, 3)
			if !denied {
				next.wantDesired(3)
				return
			}
			time.Sleep(2 * time.Minute) // gone instances have counted for one
			next.refresh()
			next.knows(1, 1)
			next.increasesTo(2, 3)
		}))
	}
}

func TestReplayOfLongGoneInstancesIsSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// AWS lists what it ends for a while
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Terminate = ms(3100) }, zonal("a", 0, 0, 10)).with(asksEC2)
		window := func() time.Time { return time.Now().Truncate(ledger.TokenAge) } // in which AWS repeats answers
		began := window()
		for round := range 3 { // each from nothing, each by a process that has just started
			w.aws.ResetCalls()
			next, stop := w.with(nil).runningUntil()
			next.eventually(func() string { // as the core does: what is missing of three is asked for
				if state, _ := w.aws.Group("a"); len(state.Instances) == 3 {
					return ""
				}
				if missing := 3 - len(next.group("a").Counted()); missing > 0 {
					require.NoErrorf(t, next.cache.Increase(t.Context(), "a", missing), "round %d", round)
				}
				return fmt.Sprintf("round %d: AWS has no three instances, of %d that are believed to come", round, len(next.group("a").Counted()))
			})
			next.eventually(func() string {
				g := next.group("a")
				return cmp.Diff([3]int{3, 3, 3}, [3]int{len(g.Counted()), g.DesiredCapacity, next.desired("a")})
			})
			if got, want := w.aws.Calls()["DescribeInstances"], w.aws.Calls()[launchCall]; got != want && window().Equal(began) {
				t.Errorf("round %d: asked %d times what has ended, want one question for each of %d launches", round, got, want)
			}
			next.end("a")
			stop()
		}
		w.untouched()
	})
}

func TestAnswerCountsDespiteEarlyDeath(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(*testing.T, *world, []string){
		"one is taken back": func(t *testing.T, w *world, ids []string) {
			assert.NoError(t, w.aws.Reclaim(ids[0]))
			time.Sleep(10 * time.Millisecond)
			assert.NoError(t, w.cache.Refresh(t.Context()))
		},
		"a reading lags behind another": func(t *testing.T, w *world, _ []string) {
			assert.NoError(t, w.cache.Refresh(t.Context()))
			w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances, g.DesiredCapacity = nil, aws.Int32(0) }
			assert.NoError(t, w.cache.Refresh(t.Context()))
			w.calls.edit = nil
		},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			w := newWorld(t, divided("a", 0, 0, 40)).with(asksEC2).started()
			w.calls.lostLaunch = func(out *autoscaling.LaunchInstancesOutput) {
				w.calls.lostLaunch = nil
				meanwhile(t, w, out.Instances[0].InstanceIds)
			}
			w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 4))
			assert.Equal(t, 4, w.desired("a"), "desired capacity")
		}))
	}
}

// at is a process that launches synchronously where it can, reads this clock, and may have had a predecessor.
func at(clock clock.WithTicker) func(*asg.Options) {
	return func(o *asg.Options) { o.LaunchMode, o.Clock, o.NoPredecessor = asg.LaunchAuto, clock, false }
}

func TestReplayedFailureIsRetried(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		group fakeaws.AutoScalingGroup
		zone  string
		code  string
	}{
		{"no capacity where no other zone will do", divided("a", 0, 3, 9), "us-west-2b", "InsufficientInstanceCapacity"},
		{"no capacity in the only zone", scalingGroup("a", 0, 1, 9), "", "InsufficientInstanceCapacity"},
		{"a group that was wrong", scalingGroup("a", 0, 1, 9), "", "InvalidKeyPair.NotFound"},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			launch := func(w *world) (calls int, err error) {
				w.aws.ResetCalls()
				if tt.zone == "" {
					err = w.cache.Increase(t.Context(), "a", 1)
				} else {
					err = zoneIncrease(w.cache, t.Context(), "a", tt.zone, 1)
				}
				return w.aws.Calls()[launchCall], err
			}
			now := clockAt(-time.Hour) // an old process, which knows that its failures are new
			w := newWorld(t, tt.group).with(at(now)).started()
			now.SetTime(edge().Add(time.Minute))
			shortage := w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: tt.code})
			calls, err := launch(w)
			require.Truef(t, err != nil && calls == 1, "error %v after %d launches, want one after one", err, calls)
			w.aws.ClearShortages(shortage)
			calls, err = launch(w.with(at(clockAt(170 * time.Second))).started()) // wants the same where the same is there
			assert.Truef(t, err == nil && calls == 2, "error %v after %d launches, want none after two", err, calls)
		}))
	}
}

func TestOldFailuresOfTwoLeadersDelayNoThird(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 9))
	shortage := w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	for _, began := range []time.Duration{time.Minute, 70 * time.Second} {
		w.with(at(clockAt(began))).started().failsToIncrease("a", 1)
	}
	w.aws.ClearShortages(shortage)
	w.with(at(clockAt(time.Minute+200*time.Second))).started().increasesTo(1, 2)
}

func TestAtomicLaunchIgnoresGoneInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newZonalWorld(t, divided("a", 0, 0, 9), divided("b", 0, 0, 9))
		asks := []struct {
			group, zone string
			before, now int
		}{{"a", "us-west-2b", 2, 2}, {"b", "", 1, 3}} // the process before had one of the three
		for _, ask := range asks {
			w.must(w.cache.IncreaseAtomically(t.Context(), ask.group, ask.zone, ask.before))
			w.end(ask.group)
		}
		time.Sleep(3100 * time.Millisecond) // what ended a moment ago is beyond doubt only later
		next := w.with(asksEC2).started()
		for _, ask := range asks {
			err := next.cache.IncreaseAtomically(t.Context(), ask.group, ask.zone, ask.now)
			g := next.group(ask.group)
			state, _ := w.aws.Group(ask.group)
			assert.Truef(t, err == nil && len(g.Counted()) == ask.now && len(state.Instances) == ask.now,
				"group %s, all or nothing: error %v, %d instances are believed in, AWS has %d, want %d", ask.group, err, len(g.Counted()), len(state.Instances), ask.now)
		}
	})
}

func TestReplayEndsNoCoolDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		both := mixing(scalingGroup("a", 0, 0, 9), fakeaws.Override{InstanceType: "m5.large"}, fakeaws.Override{InstanceType: "m5.xlarge"})
		now := clockAt(2 * time.Minute) // no window of tokens has just begun
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Terminate = ms(5000) }, both, scalingGroup("b", 0, 0, 9)).
			with(at(clockAt(time.Minute))).started()
		w.increase(1)
		next := w.with(at(now)).started()
		next.must(next.cache.Terminate(t.Context(), "a", next.ids("a")))
		now.Step(time.Second)
		w.aws.AddShortage(fakeaws.Shortage{Group: "b"})
		next.failsToIncrease("b", 1)
		launches := 0
		next.calls.launching = func(*autoscaling.LaunchInstancesInput) {
			if launches++; launches == 2 { // the first is answered with the instance that is going
				w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "ScalingActivityInProgress"})
			}
		}
		next.failsToIncrease("a", 1)
		require.Equal(t, 2, launches, "launches")
		_, resting := next.cache.CoolDown(next.group("b"))
		assert.True(t, resting, "the type is launched again that had no capacity a moment ago")
	})
}

var began = time.Now()

// edge is a moment at which a window of client tokens ends. The time of a bubble begins at one.
func edge() time.Time {
	if awsclients.InBubble() {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return began.Truncate(ledger.TokenAge)
}

// clockAt reads so much after the edge.
func clockAt(after time.Duration) *clocktesting.FakeClock {
	return clocktesting.NewFakeClock(edge().Add(after))
}

// kill has the process launch, and ends it at the call of that number: before the call reaches AWS, or before its answer comes.
func (w *world) kill(number int, reached bool, launch func(*world) error) {
	w.t.Helper()
	w.expire()
	var calls atomic.Int32 // calls to several zones run side by side
	begun, end := make(chan struct{}), func() { w.calls.neverAnswer, w.calls.neverAsk = true, !reached }
	if number == 1 {
		end()
	}
	w.calls.beforeWrite = func() {
		if int(calls.Add(1)) != number {
			return
		}
		defer close(begun)
		if number > 1 {
			end()
		}
	}
	go func() { _ = launch(w) }()
	<-begun
}

// steps has the time pass that somebody waits for, once ready says so, until done.
func steps(w *world, now *clocktesting.FakeClock, ready func() bool, done <-chan error) error {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case err := <-done:
			return err
		case <-time.After(5 * time.Millisecond):
			if now.HasWaiters() && ready() {
				now.Step(time.Second)
			}
		}
	}
	w.t.Fatal("the launch has not ended after a minute")
	return nil
}

func TestSuccessorLaunchesNothingTwice(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*world) error{
		"anywhere": func(w *world) error { return w.cache.Increase(w.t.Context(), "a", 3) },
		"in a zone": func(w *world) error {
			return zoneIncrease(w.cache, w.t.Context(), "a", "us-west-2b", 3)
		},
		"all or nothing": func(w *world) error {
			return w.cache.IncreaseAtomically(w.t.Context(), "a", "us-west-2b", 3)
		},
	}
	for _, tt := range []struct {
		way               string
		killed, successor time.Duration // after the edge
		reached           bool
	}{
		{way: "anywhere", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true},
		{way: "anywhere", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond},
		{way: "anywhere", killed: 50 * time.Millisecond, successor: 100 * time.Millisecond, reached: true},
		{way: "anywhere", killed: -5 * time.Second, successor: 4 * time.Second, reached: true},
		{way: "anywhere", killed: -2 * time.Minute, successor: -119 * time.Second, reached: true},
		{way: "in a zone", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true},
		{way: "in a zone", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond},
		{way: "all or nothing", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true},
	} {
		t.Run(fmt.Sprintf("%s %s %s reached=%t", tt.way, tt.killed, tt.successor, tt.reached), bubbled(func(t *testing.T) {
			w := newWorldWith(t, func(d *fakeaws.Delays) { d.Synchronous = ms(1000) }, divided("a", 0, 0, 20))
			now := clockAt(tt.successor)
			tokens := func(o *asg.Options) {
				o.TokenTime = func(context.Context) (time.Time, error) { return edge().Add(tt.killed), nil }
			}
			next := w.with(at(now)).with(tokens).started() // sees nothing of the launch yet
			then := clockAt(tt.killed - 5*time.Minute)
			killed := w.with(at(then)).started()
			then.SetTime(edge().Add(tt.killed))
			killed.kill(1, tt.reached, ways[tt.way])
			done := make(chan error, 1)
			go func() { done <- ways[tt.way](next) }()
			over := func() bool {
				state, _ := w.aws.Group("a")
				return !tt.reached || len(state.Instances) == 3
			}
			assert.NoError(t, steps(next, now, over, done))
			w.listed(3)
			w.wantDesired(3)
			next.knows(3, 3)
		}))
	}
}

func TestLaunchesDoNotWaitAtWindowEdge(t *testing.T) {
	t.Parallel()
	now := clockAt(-50 * time.Millisecond)
	w := newWorld(t, scalingGroup("a", 0, 0, 9)).with(at(now)).started()
	now.SetTime(edge().Add(50 * time.Millisecond))
	w.aws.ResetCalls()
	w.increasesTo(3, 3) // want 3 without a wait
	calls := w.aws.Calls()
	assert.Equalf(t, [2]int{1, 1}, [2]int{calls["DescribeAutoScalingGroups"], calls[launchCall]}, "readings and launches in %v", calls)
}

// AWS may carry out a predecessor's raise after the first reading of its successor.
func TestSuccessorRepeatsNoRaise(t *testing.T) {
	t.Parallel()
	for _, mode := range []asg.LaunchMode{asg.LaunchDesiredCapacity, asg.LaunchAuto} {
		t.Run(string(mode), bubbled(func(t *testing.T) {
			now := clockAt(time.Minute)
			w := newWorld(t, scalingGroup("a", 0, 3, 20)).with(at(now)).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
			w.setDesired(5)
			w.increasesTo(2, 5)
			w.increasesTo(2, 7) // the next pods need more
			now.Step(2 * time.Minute)
			w.setDesired(9) // another writer's: a predecessor's would have shown by now
			w.increasesTo(2, 11)
		}))
	}
}
