package asg_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

var began = time.Now()

// edge is a moment at which both windows of client tokens end: ten minutes for a launch, two for one past an old failure. The time of a bubble begins
// at one.
func edge() time.Time {
	if isBubble() {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return began.Truncate(10 * time.Minute)
}

// clockAt reads so much after the edge.
func clockAt(after time.Duration) *clocktesting.FakeClock {
	return clocktesting.NewFakeClock(edge().Add(after))
}

// slowly is a group in an AWS whose launches take a while.
func slowly(t *testing.T, g fakeaws.AutoScalingGroup) *world {
	t.Helper()
	delays := quick
	delays.Synchronous = ms(1000)
	return newWorldOf(t, fakeaws.Config{Delays: delays, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large")},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{g}}, discovered)
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
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case err := <-done:
			return err
		case <-time.After(5 * time.Millisecond):
			if now.HasWaiters() && ready() {
				now.Step(time.Second)
			}
		}
	}
	w.t.Fatal("the launch has not ended after 20 s")
	return nil
}

func TestSuccessorLaunchesNothingTwice(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*world) error{
		"anywhere": func(w *world) error { _, err := w.cache.Increase(w.t.Context(), "a", 3); return err },
		"in a zone": func(w *world) error {
			_, err := zoneIncrease(w.cache, w.t.Context(), "a", "us-west-2b", 3)
			return err
		},
		"all or nothing": func(w *world) error {
			_, err := w.cache.IncreaseAtomically(w.t.Context(), "a", "us-west-2b", 3)
			return err
		},
	}
	for _, tt := range []struct {
		way               string
		killed, successor time.Duration // after the edge
		reached, forgets  bool
	}{
		{way: "anywhere", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true},
		{way: "anywhere", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true, forgets: true},
		{way: "anywhere", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond},
		{way: "anywhere", killed: 50 * time.Millisecond, successor: 100 * time.Millisecond, reached: true},
		{way: "anywhere", killed: -5 * time.Second, successor: 4 * time.Second, reached: true},
		{way: "anywhere", killed: -2 * time.Minute, successor: -119 * time.Second, reached: true},
		{way: "in a zone", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true},
		{way: "in a zone", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond},
		{way: "all or nothing", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true},
		{way: "all or nothing", killed: -50 * time.Millisecond, successor: 50 * time.Millisecond, reached: true, forgets: true},
	} {
		t.Run(fmt.Sprintf("%s %s %s reached=%t forgets=%t", tt.way, tt.killed, tt.successor, tt.reached, tt.forgets), bubbled(func(t *testing.T) {
			w := slowly(t, divided("a", 0, 0, 20))
			now := clockAt(tt.successor)
			next := w.with(at(now)).started() // sees nothing of the launch yet
			then := clockAt(tt.killed - 5*time.Minute)
			killed := w.with(at(then)).started()
			then.SetTime(edge().Add(tt.killed))
			killed.kill(1, tt.reached, ways[tt.way])
			done := make(chan error, 1)
			go func() { done <- ways[tt.way](next) }()
			over := func() bool { // a call is over before the time that the successor waits for
				state, _ := w.aws.Group("a")
				if tt.reached && len(state.Instances) < 3 {
					return false
				}
				if tt.forgets {
					w.aws.ForgetTokens()
				}
				return true
			}
			if err := steps(next, now, over, done); err != nil {
				t.Error(err)
			}
			w.eventually(func() string {
				if state, _ := w.aws.Group("a"); len(state.Instances) != 3 || state.Desired != 3 {
					return fmt.Sprintf("AWS has %d instances of %d desired, want 3", len(state.Instances), state.Desired)
				}
				return ""
			})
			if g := next.group("a"); len(g.Counted()) != 3 || g.DesiredCapacity != 3 {
				t.Errorf("%d instances are known of %d desired, want 3", len(g.Counted()), g.DesiredCapacity)
			}
		}))
	}
}

func TestSuccessorRetriesOldFailureOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := slowly(t, divided("a", 0, 3, 20))
		launch := func(w *world) error {
			_, err := zoneIncrease(w.cache, w.t.Context(), "a", "us-west-2b", 2)
			return err
		}
		shortage := w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2b"})
		if launch(w.with(at(clockAt(90*time.Second))).started()) == nil {
			t.Fatal("a zone without capacity has launched")
		}
		w.aws.ClearShortages(shortage)
		now := clockAt(4*time.Minute + 50*time.Millisecond)
		next := w.with(at(now)).started() // sees nothing of the launch yet
		w.with(at(clockAt(4*time.Minute-50*time.Millisecond))).started().kill(2, true, launch)
		done := make(chan error, 1)
		go func() { done <- launch(next) }()
		over := func() bool { state, _ := w.aws.Group("a"); return len(state.Instances) == 5 }
		if err := steps(next, now, over, done); err != nil || w.perZone("a")["b"] != 3 || w.desired("a") != 5 {
			t.Errorf("instances by zone %v of %d desired, error %v, want two more in b", w.perZone("a"), w.desired("a"), err)
		}
	})
}

func TestReplacementWhileWaitingIsNoPredecessorsLaunch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := clockAt(50 * time.Millisecond)
		w := newWorld(t, scalingGroup("a", 0, 1, 9)).with(at(now)).started()
		there := w.ids("a")[0]
		done := make(chan error, 1)
		go func() { _, err := w.cache.Increase(t.Context(), "a", 2); done <- err }()
		reclaim := sync.OnceFunc(func() {
			if err := w.aws.Reclaim(there); err != nil {
				t.Error(err)
			}
		})
		replaced := func() bool {
			reclaim()
			state, _ := w.aws.Group("a")
			return len(state.Instances) == 1 && state.Instances[0].ID != there
		}
		if err := steps(w, now, replaced, done); err != nil || w.desired("a") != 3 {
			t.Errorf("%d instances are desired, error %v, want the one that was replaced and 2 of ours", w.desired("a"), err)
		}
	})
}

func TestLaunchesDoNotWaitAtWindowEdge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		began, launches time.Duration
		noPredecessor   bool
	}{
		"an older process":               {-2 * time.Minute, 50 * time.Millisecond, false},
		"the predecessor is long gone":   {-11 * time.Second, 50 * time.Millisecond, false},
		"a process that begins later on": {11 * time.Second, 11 * time.Second, false},
		"no predecessor at the edge":     {-50 * time.Millisecond, 50 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			now := clockAt(tt.began)
			w := newWorld(t, scalingGroup("a", 0, 0, 9)).with(at(now)).with(func(o *asg.Options) { o.NoPredecessor = tt.noPredecessor }).started()
			now.SetTime(edge().Add(tt.launches))
			w.aws.ResetCalls()
			if _, err := w.cache.Increase(t.Context(), "a", 3); err != nil || w.desired("a") != 3 {
				t.Errorf("%d instances are desired, error %v, want 3 without a wait", w.desired("a"), err)
			}
			if calls := w.aws.Calls(); calls["DescribeAutoScalingGroups"] != 1 || calls[launchCall] != 1 {
				t.Errorf("calls %v, want one reading and one launch", calls)
			}
		})
	}
}

func TestOldFailureIsBelievedUntilWindowEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 9))
	shortage := w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	if _, err := w.with(at(clockAt(11*time.Second))).started().cache.Increase(t.Context(), "a", 1); err == nil {
		t.Fatal("a group without capacity has launched")
	}
	w.aws.ClearShortages(shortage)
	now := clockAt(90 * time.Second)
	next := w.with(at(now)).started()
	if _, err := next.cache.Increase(t.Context(), "a", 1); err == nil || w.desired("a") != 0 {
		t.Fatalf("%d are desired, error %v, want AWS to repeat both failures", w.desired("a"), err)
	}
	if _, resting := next.cache.CoolDown(next.group("a")); !resting {
		t.Error("the group does not rest")
	}
	now.SetTime(edge().Add(2 * time.Minute))
	if rests, resting := next.cache.CoolDown(next.group("a")); resting {
		t.Errorf("the group rests until %v, want no longer than AWS may repeat an old failure", rests.Until.Sub(edge()))
	}
	if _, err := next.cache.Increase(t.Context(), "a", 1); err != nil || w.desired("a") != 1 {
		t.Errorf("%d are desired, error %v, want 1", w.desired("a"), err)
	}
}
