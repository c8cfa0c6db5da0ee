package asg_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// A reading can be older than our last write, and older than the reading before it.

// readingLag is how old a reading can be.
const readingLag = time.Minute

// timed is the world after the first reading, with a clock that stands still.
func (w *world) timed() (*world, *clocktesting.FakeClock) {
	w.t.Helper()
	now := clocktesting.NewFakeClock(time.Now())
	return w.with(func(o *asg.Options) { o.Clock = now }).started(), now
}

// timedWithoutCapacity has a group "a" with so many instances, for which AWS has no more capacity, and a clock that the test moves.
func timedWithoutCapacity(t *testing.T, desired int) (*world, *clocktesting.FakeClock) {
	t.Helper()
	w, now := newWorld(t, scalingGroup("a", 0, desired, 10)).timed()
	w.calls.between.Store(true)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	return w, now
}

// staleAfter makes the change, and then has every reading show the group "a" as it was before.
func (w *world) staleAfter(change func()) {
	w.t.Helper()
	old := w.past()
	change()
	w.calls.old = old
}

// oneMore has the group "a" get another instance, which a reading shows.
func (w *world) oneMore() {
	w.t.Helper()
	w.increase(1)
	w.eventuallyInService("a", w.desired("a"))
	w.refresh()
}

func (w *world) wantDesired(want int) {
	w.t.Helper()
	got, kills := w.desired("a"), w.kills()
	assert.Truef(w.t, got == want && len(kills) == 0, "desired capacity is %d and Auto Scaling ended %v, want %d and none", got, kills, want)
}

func TestStaleReadingNeverLowersIncrease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 5, 50)).started()
	w.calls.old = w.past()
	w.increase(4)
	w.increase(1)
	w.eventuallyInService("a", 10)
	w.wantDesired(10)
	w.calls.old = nil
	w.refresh()
	w.increasesTo(1, 11)
}

func TestOutOfOrderReadingNeverLowersIncrease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 5, 50)).started()
	w.staleAfter(func() {
		w.setDesired(9)
		w.eventuallyInService("a", 9)
		w.refresh()
	})
	w.increasesTo(1, 10)
}

// Readings that miss an instance and state the desired capacity without it may be older than the instance.
func TestReadingWithoutYoungInstanceLowersNothing(t *testing.T) {
	t.Parallel()
	for name, young := range map[string]func(*world, *clocktesting.FakeClock){
		"that a reading showed": func(w *world, now *clocktesting.FakeClock) {
			w.started()
			now.Step(2 * readingLag)
			w.refresh()
			w.staleAfter(w.oneMore)
		},
		"of a time before ours": func(w *world, _ *clocktesting.FakeClock) {
			w.staleAfter(func() {
				w.setDesired(4)
				w.eventuallyInService("a", 4)
				w.started()
			})
		},
		"that no reading showed": func(w *world, now *clocktesting.FakeClock) {
			w.started()
			now.Step(2 * readingLag)
			w.refresh()
			w.staleAfter(func() {
				w.increase(1)
				w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = g.Instances[:3] }
				w.refresh()
				w.calls.edit = nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := clocktesting.NewFakeClock(time.Now())
			w := newWorld(t, scalingGroup("a", 0, 3, 10)).with(synchronous).with(func(o *asg.Options) { o.Clock = now })
			young(w, now)
			for range 2 {
				now.Step(readingLag / 3)
				w.refresh()
			}
			assert.Equal(t, 4, w.group("a").DesiredCapacity, "desired capacity")
		})
	}
}

func TestStaleReadingKeepsTheRequest(t *testing.T) {
	t.Parallel()
	w := withoutCapacity(t, 0)
	w.calls.old = w.past()
	w.increase(3)
	w.refresh()
	g := w.group("a")
	assert.Equal(t, [3]int{3, 3, 3}, [3]int{g.DesiredCapacity, g.Requested, g.Withdrawable()}, "desired, requested and withdrawable")
	w.calls.old = nil
	w.withdraws(3, 3, 0)
}

func TestUnansweredRequestSurvivesStaleReadings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 2, 10)).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.calls.old, w.calls.loseAnswer = w.past(), true
	assert.Error(t, w.cache.Increase(t.Context(), "a", 3), "no error although neither the answer nor a reading shows the write")
	w.calls.loseAnswer = false
	w.increase(1) // of it nobody knows whether it is one more, and less than the first would end instances
	w.wantDesired(5)
	w.calls.old = nil
	w.refresh()
	g := w.group("a")
	assert.Truef(t, g.Requested == 3 && g.Withdrawable() == 3, "%d requested and %d withdrawable, want 3 of each", g.Requested, g.Withdrawable())
}

func TestDeathWhileStartingReopensRequest(t *testing.T) {
	w, now := timedWithoutCapacity(t, 0)
	w.increase(1)
	for _, want := range []struct {
		requested int
		instances []types.Instance
	}{{0, []types.Instance{member("i-1", "Pending")}}, {1, []types.Instance{member("i-1", "Terminating")}}, {1, nil}, {0, []types.Instance{member("i-2", "InService")}}, {0, nil}} {
		w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = want.instances }
		now.Step(2 * time.Second)
		w.refresh()
		assert.Equalf(t, want.requested, w.group("a").Requested, "requested with the instances %v", w.ids("a"))
	}
}

func member(id, state string) types.Instance {
	return types.Instance{InstanceId: aws.String(id), InstanceType: aws.String("m5.large"), AvailabilityZone: aws.String("us-west-2a"),
		LifecycleState: types.LifecycleState(state)}
}

func TestWithdrawalKeepsInstancesMissingFromStaleReading(t *testing.T) {
	t.Parallel()
	// until then they are still ours to withdraw
	w, now := newWorldWith(t, func(d *fakeaws.Delays) { d.InService = ms(20000) }, scalingGroup("a", 0, 1, 10)).timed()
	w.calls.between.Store(true)
	old := w.past()
	old.DesiredCapacity = aws.Int32(5)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Available: 2})
	w.increase(4)
	w.waitWhile("the two that there are have not come", func() bool { w.refresh(); return len(w.group("a").Counted()) != 3 })
	now.Step(time.Second)
	w.calls.old = old
	w.withdraw(4)
	w.wantDesired(3)
}

func TestTerminationReachesInstanceMissingFromStaleReading(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 1, 10)).timed()
	w.staleAfter(w.oneMore)
	ids := w.ids("a")
	now.Step(3 * time.Second)
	w.must(w.cache.Terminate(t.Context(), "a", ids[1:]))
	w.wantDesired(1)
	w.calls.old = nil
	w.refresh()
	w.increasesTo(1, 2)
}

func TestStaleReadingRepeatsNoTermination(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 3, 10)).timed()
	ids := w.ids("a")
	w.staleAfter(func() {
		w.must(w.cache.Terminate(t.Context(), "a", ids[:1]))
		w.refresh() // it shows the instance on its way out
	})
	for range 2 {
		now.Step(3 * time.Second)
		w.must(w.cache.Terminate(t.Context(), "a", ids[:1]))
	}
	assert.Equal(t, 1, w.aws.Calls()[terminateCall], "times the instance was terminated")
	g := w.group("a")
	assert.Truef(t, g.DesiredCapacity == 2 && len(g.Counted()) == 2 && g.Missing() == 0, "%d of %d desired, want 2 of 2", len(g.Counted()), g.DesiredCapacity)
	w.increasesTo(1, 3)
}

// The reading may as well be fresh, and show what another writer has just asked for.
func TestStaleIncreaseAfterWithdrawalLowersNothing(t *testing.T) {
	w := short(t)
	w.refresh()
	w.staleAfter(func() { w.withdraw(2) })
	w.increasesTo(1, 5)
	assert.Equal(t, 1, w.group("a").Withdrawable(), "withdrawable")
}

func TestForeignLoweringCountsAfterOneMinute(t *testing.T) {
	w, now := timedWithoutCapacity(t, 3)
	w.increase(2)
	w.setDesired(3)
	for _, want := range []int{5, 5, 3} {
		w.refresh()
		assert.Equal(t, want, w.group("a").DesiredCapacity, "desired capacity")
		now.Step(30 * time.Second)
	}
	w.increasesTo(1, 4)
}

func TestWithdrawalNeverRaisesForeignLowering(t *testing.T) {
	w, _ := timedWithoutCapacity(t, 3)
	w.increase(2)
	w.must(w.aws.Suspend("a", "Terminate"))
	w.setDesired(1)
	w.withdraws(1, 0, 1)
}

func TestLoweringThatTerminatesCountsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(d *fakeaws.Delays) { d.Terminate = ms(20000) }, scalingGroup("a", 0, 3, 10)).running()
	w.setDesired(2)
	w.refresh()
	assert.Equal(t, 2, w.group("a").DesiredCapacity, "desired capacity: the reading shows an instance leave")
}

// The SDK repeats a termination whose answer was lost. AWS has carried out the first call, and refuses the second one.
func TestRepeatedTerminationCountsAtOnce(t *testing.T) {
	t.Parallel()
	gone := fakeaws.Fault{Code: "ValidationError", Message: "Instance Id not found - No managed instance found for instance ID: i-0", Times: 1}
	underWay := fakeaws.Fault{Code: "ScalingActivityInProgress", Times: 1}
	for _, tt := range []struct {
		name   string
		second fakeaws.Fault
		known  time.Duration
		read   bool // between the two calls, when the instance is gone
	}{
		{"the instance is gone", gone, 2 * readingLag, false},
		{"the first is under way", underWay, 2 * readingLag, false},
		{"the instance is gone, right after the start", gone, 0, false},
		{"the first is under way, right after the start", underWay, 0, false},
		{"a reading lacks the instance before the answer", gone, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, now := newWorld(t, scalingGroup("a", 0, 3, 10)).timed()
			ids := w.ids("a")
			now.Step(tt.known)
			w.refresh()
			w.increase(1)
			w.eventuallyInService("a", 4)
			w.refresh()
			w.aws.ResetCalls()
			w.aws.Inject(fakeaws.Fault{Action: terminateCall, Times: 1, Code: "InternalFailure", Late: true})
			w.calls.beforeRepeat = func() {
				if tt.read {
					w.listed(3)
					w.refresh()
				}
				tt.second.Action = terminateCall
				w.aws.Inject(tt.second)
			}
			w.must(w.cache.Terminate(t.Context(), "a", ids[:1]))
			w.listed(3)
			w.refresh()
			assert.Equal(t, [2]int{3, 2}, [2]int{w.group("a").DesiredCapacity, w.aws.Calls()[terminateCall]}, "desired capacity, and calls")
		})
	}
}

func TestStatesInsideGroupCount(t *testing.T) {
	outside := []string{"Terminating", "Terminated", "Detaching", "Detached", "EnteringStandby", "Standby", "Warmed:"}
	for _, state := range append(types.LifecycleState("").Values(), "", "SomethingNew:Wait") {
		want := !slices.ContainsFunc(outside, func(prefix string) bool { return strings.HasPrefix(string(state), prefix) })
		assert.Equalf(t, want, group.Lifecycle(state).Counts(), "%q counts", state)
	}
}

func TestRootVolumeReplacementCountsAsPresent(t *testing.T) {
	t.Parallel()
	for _, state := range []types.LifecycleState{"ReplacingRootVolume", "ReplacingRootVolume:Wait", "ReplacingRootVolume:Proceed", "RootVolumeReplaced"} {
		now := clocktesting.NewFakeClock(time.Now())
		w := newWorld(t, scalingGroup("a", 0, 3, 10)).with(func(o *asg.Options) { o.Clock = now })
		w.calls.edit = func(g *types.AutoScalingGroup) {
			g.Instances[2].LifecycleState, g.Instances[2].ImageId = state, aws.String("ami-2")
		}
		assert.Equalf(t, "ami-2", w.started().group("a").Instances[2].ImageID, "image in state %s", state)
		now.Step(16 * time.Minute)
		w.withdraws(1, 0, 3)
	}
}

// tagged sets the tag that selects the group "a", or takes it away, and reads.
func (w *world) tagged(on bool) {
	w.t.Helper()
	tag := aws.String("true")
	if !on {
		tag = nil
	}
	w.must(w.aws.SetTags("a", map[string]*string{discoveryTag: tag}))
	w.refresh()
}

func TestReturnedGroupKeepsForeignShortage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 2, 10)).started()
	w.aws.AddShortage(fakeaws.Shortage{})
	w.setDesired(7)
	w.refresh()
	w.tagged(false)
	w.tagged(true)
	w.withdraws(5, 0, 7)
}

func TestLaterGroupKeepsForeignShortage(t *testing.T) {
	t.Parallel()
	late := scalingGroup("a", 0, 2, 10)
	late.Tags = nil
	w := newWorld(t, late, scalingGroup("b", 0, 0, 1)).started()
	w.calls.between.Store(true)
	w.aws.AddShortage(fakeaws.Shortage{})
	w.setDesired(7)
	w.tagged(true)
	w.increase(1)
	w.withdraws(6, 1, 7)
}

func TestReturnedGroupKeepsOurRequest(t *testing.T) {
	w := short(t)
	w.tagged(false)
	assert.Error(t, w.cache.Increase(t.Context(), "a", 1), "no error although the group is not selected")
	w.tagged(true)
	w.withdraws(2, 2, 3)
}

func TestRecreatedGroupHasNoRequest(t *testing.T) {
	w := short(t)
	w.tagged(false)
	w.calls.edit = func(g *types.AutoScalingGroup) {
		g.AutoScalingGroupARN, g.CreatedTime = aws.String("arn:aws:autoscaling:another"), aws.Time(g.CreatedTime.Add(time.Minute))
	}
	w.tagged(true)
	w.withdraws(2, 0, 5)
}

func TestRecreatedGroupStartsAfresh(t *testing.T) {
	w := short(t)
	w.calls.edit = func(g *types.AutoScalingGroup) {
		g.AutoScalingGroupARN, g.DesiredCapacity = aws.String("arn:aws:autoscaling:another"), aws.Int32(1)
		g.CreatedTime = aws.Time(g.CreatedTime.Add(time.Minute))
	}
	for range 2 { // the second reading is from before the group was recreated
		w.refresh()
		got := w.group("a")
		assert.Truef(t, got.DesiredCapacity == 1 && got.Requested == 0, "desired capacity is %d with %d requested, want the new group's 1 and none", got.DesiredCapacity, got.Requested)
		w.calls.edit = nil
	}
}

// Endpoints other than AWS lack the ARN or the time of creation, or make it up anew in each answer.
func TestGroupIsTheSameByARNOrTime(t *testing.T) {
	t.Parallel()
	answers := 0
	for name, edit := range map[string]func(*types.AutoScalingGroup){
		"time made up": func(g *types.AutoScalingGroup) {
			g.CreatedTime = aws.Time(g.CreatedTime.Add(time.Duration(answers) * time.Second))
		},
		"ARN made up": func(g *types.AutoScalingGroup) { g.AutoScalingGroupARN = aws.String(fmt.Sprint("arn:", answers)) },
		"no ARN":      func(g *types.AutoScalingGroup) { g.AutoScalingGroupARN = nil },
		"no time":     func(g *types.AutoScalingGroup) { g.CreatedTime = nil },
		"neither":     func(g *types.AutoScalingGroup) { g.AutoScalingGroupARN, g.CreatedTime = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := withoutCapacity(t, 3)
			w.calls.edit = func(g *types.AutoScalingGroup) { answers++; edit(g) }
			w.increase(2)
			for range 2 {
				w.refresh()
			}
			assert.Equal(t, 2, w.group("a").Requested, "instances requested by us after two readings")
		})
	}
	for name, lack := range map[string]func(*types.AutoScalingGroup){
		"no ARN":  func(g *types.AutoScalingGroup) { g.AutoScalingGroupARN = nil },
		"no time": func(g *types.AutoScalingGroup) { g.CreatedTime = nil },
	} {
		t.Run(name+" of a recreated group", func(t *testing.T) {
			w := withoutCapacity(t, 3).with(nil)
			w.calls.between.Store(true)
			w.calls.edit = lack
			w.started().increase(2)
			w.calls.edit = func(g *types.AutoScalingGroup) {
				g.AutoScalingGroupARN, g.CreatedTime = aws.String("arn:aws:autoscaling:another"), aws.Time(g.CreatedTime.Add(time.Minute))
				lack(g)
			}
			w.refresh()
			assert.Zero(t, w.group("a").Requested, "instances requested of the group before")
		})
	}
}

func TestForeignReturnToEarlierCapacityStays(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 10, 20)).timed()
	for _, then := range []struct {
		after   time.Duration
		desired int
	}{{2 * readingLag, 5}, {readingLag / 2, 10}} {
		now.Step(then.after)
		w.setDesired(then.desired)
		w.eventuallyInService("a", then.desired)
		w.refresh()
	}
	w.increase(1)
	assert.GreaterOrEqual(t, w.desired("a"), 10, "desired capacity, want at least the 10 of the other writer")
}

func TestWithdrawalWaitsForDoubtfulForeignWrite(t *testing.T) {
	w, _ := timedWithoutCapacity(t, 3)
	w.increase(5)
	taken, err := w.cache.Withdraw(t.Context(), "a", 3)
	require.Truef(t, taken == 3 && err == nil, "withdrew %d, error %v, want 3", taken, err)
	w.setDesired(8)
	w.withdraws(2, 0, 8)
}

func TestStandbyInstanceMakesNoReadingNewest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
	old := w.past()
	old.DesiredCapacity, old.Instances[0].LifecycleState = aws.Int32(2), "Standby"
	w.calls.old = old // the instance has come back since
	w.increasesTo(1, 4)
}

func TestRaiseRemembersStartingInstances(t *testing.T) {
	w, now := timedWithoutCapacity(t, 0)
	w.increase(1)
	w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = []types.Instance{member("i-1", "Pending")} }
	now.Step(2 * time.Second)
	w.increase(1)
	w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = []types.Instance{member("i-1", "Terminating")} }
	now.Step(2 * time.Second)
	w.refresh()
	assert.Equal(t, 2, w.group("a").Requested, "requested after the one that was starting died")
}

// withdraw takes back what it can of n, and returns how many that were.
func (w *world) withdraw(n int) int {
	w.t.Helper()
	w.calls.between.Store(true)
	taken, err := w.cache.Withdraw(w.t.Context(), "a", n)
	require.NoError(w.t, err)
	return taken
}

func TestForeignLoweringEndsForeignRaise(t *testing.T) {
	t.Parallel()
	// readings show the instance that another's lowering ends
	w := newWorldWith(t, func(d *fakeaws.Delays) { d.Terminate = ms(20000) }, scalingGroup("a", 0, 3, 10)).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	for _, desired := range []int{8, 2} {
		w.setDesired(desired)
		w.waitWhile("the reading does not count", func() bool { w.refresh(); return w.group("a").DesiredCapacity != desired })
	}
	w.increase(2)
	assert.Equal(t, 2, w.withdraw(2), "withdrew of our 2")
	assert.Equal(t, 2, w.desired("a"), "desired capacity, want the other's 2")
}

func TestTerminationLowersForeignFloor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
	w.setDesired(5)
	w.eventuallyInService("a", 5)
	w.refresh()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]))
	w.listed(4)
	w.increase(1)
	assert.Equal(t, 1, w.withdraw(1), "withdrew of our 1")
	assert.Equal(t, 4, w.desired("a"), "desired capacity, want the 4 that are left of the other's 5")
}

func TestLostInstanceBlocksNoWithdrawal(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 0, 10)).timed()
	w.increase(2)
	w.eventuallyInService("a", 2)
	w.refresh()
	now.Step(2 * readingLag)
	w.setDesired(1)
	w.listed(1)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.increase(1)
	taken := w.withdraw(1)
	assert.Truef(t, taken == 1 && w.desired("a") == 1, "withdrew %d of our 1, desired capacity is %d, want the other's 1", taken, w.desired("a"))
}

func TestWithdrawalHappensOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.must(w.aws.Reclaim(w.ids("a")[0])) // AWS wants another in its place
	w.waitWhile("the reclaimed instance is there", func() bool { w.refresh(); return w.group("a").Missing() != 1 })
	w.increase(1)
	for _, want := range []int{1, 0} {
		assert.Equal(t, want, w.withdraw(1), "withdrew")
	}
	w.wantDesired(3)
}

func TestShownTerminationLowersKnownCapacity(t *testing.T) {
	w, _ := timedWithoutCapacity(t, 3)
	w.staleAfter(func() {})
	w.increase(1) // no reading shows it yet
	w.calls.old = nil
	w.calls.afterWrite = w.refresh
	w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]))
	w.calls.afterWrite = nil
	w.increasesTo(1, 4)
}
