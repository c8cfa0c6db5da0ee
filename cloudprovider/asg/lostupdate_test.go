package asg_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// short is the world of one group "a" that has three instances and wants two more of ours, for which there is no capacity.
func short(t *testing.T) *world {
	t.Helper()
	w := withoutCapacity(t, 3)
	w.increase(2)
	return w
}

func TestWithdrawalKeepsForeignCapacity(t *testing.T) {
	w := short(t)
	w.setDesired(8)
	w.withdraws(2, 0, 8)
	w.increase(1)
	w.withdraws(3, 1, 8)
}

// Somebody raises the group, and a reading shows it, while a withdrawal asks which launches AWS has begun.
func TestWithdrawalPlansFromTheNewestReading(t *testing.T) {
	w := short(t)
	w.calls.activities = func(string) bool {
		w.setDesired(8)
		w.refresh()
		return false
	}
	w.withdraws(2, 0, 8)
}

func TestWithdrawalWithLostAnswerIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := short(t)
		w.calls.loseAnswer = true
		w.withdraws(2, 2, 3)
		w.agreed(3)
	})
}

func TestForeignLoweringAfterWriteStays(t *testing.T) {
	w := short(t)
	w.withdraw(2)
	w.must(w.aws.Suspend("a", "Terminate"))
	w.setDesired(1)
	asg.ReadMoving(w.cache, t.Context())
	assert.Equal(t, 1, w.desired("a"), "desired capacity, want the 1 of the other writer")
	w.setDesired(3)
	w.calls.afterWrite = func() {
		w.calls.afterWrite = nil
		assert.NoError(t, w.aws.SetDesired("a", 2))
	}
	w.increasesTo(1, 2) // want the 2 that another set right after us
}

// Another raised the group before our withdrawal, an instance came for that, and a third writer lowered it after us.
func TestForeignLoweringAmidArrivalsStays(t *testing.T) {
	w := short(t)
	w.calls.afterWrite = func() {
		w.calls.afterWrite = nil
		w.aws.ClearShortages()
		w.must(w.aws.Suspend("a", "Terminate"))
		arrive(t, w, 1)
		w.setDesired(2)
	}
	w.withdraw(2)
	assert.Equal(t, 2, w.desired("a"), "desired capacity, want the 2 of the last writer")
}

// The look after our withdrawal shows what another had set right before it, so that is known to be wanted.
func TestForeignRaiseShownByAnOldReadingIsRestored(t *testing.T) {
	w := short(t)
	w.must(w.aws.Suspend("a", "Terminate"))
	w.calls.beforeWrite = func() {
		w.calls.beforeWrite = nil
		w.aws.ClearShortages()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a", Available: 1})
		w.setDesired(8)
		w.eventuallyInService("a", 4)
		old := w.past()
		w.calls.afterWrite = func() { w.calls.afterWrite, w.calls.old = nil, old }
	}
	w.withdraw(2)
	require.Equal(t, 3, w.desired("a"), "desired capacity, want the 3 that we set without knowing of the other")
	w.calls.old = nil
	asg.ReadMoving(w.cache, t.Context())
	assert.Equal(t, 8, w.desired("a"), "desired capacity, want the 8 of the other writer again")
}

func TestLateArrivalsAfterTwoWritesAreKept(t *testing.T) {
	t.Parallel()
	w := short(t)
	w.withdraw(2)
	w.aws.ClearShortages()
	w.must(w.aws.Suspend("a", "Terminate"))
	arrive(t, w, 1)
	w.increase(1) // the one that has arrived is no excess that was always there
	arrive(t, w, 1)
	asg.ReadMoving(w.cache, t.Context())
	assert.Equal(t, 5, w.desired("a"), "desired capacity: two have arrived")
}

func TestReadingWithOldMaximumLowersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 7)).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.increase(2)
	w.withdraw(2)
	w.aws.ClearShortages()
	w.must(w.aws.Suspend("a", "Terminate"))
	arrive(t, w, 1)
	w.staleAfter(func() {
		w.must(w.aws.SetLimits("a", 0, 20))
		w.setDesired(9)
		w.refresh()
	})
	asg.ReadMoving(w.cache, t.Context())
	assert.Equal(t, 9, w.desired("a"), "desired capacity, want the 9 of the other writer")
}

// withinNextWrite has AWS do something to the group "a" until it is done, before we get the answer to our next write.
func (w *world) withinNextWrite(kind fakeaws.DeedKind, done func(instances, terminating int) bool) {
	w.calls.afterWrite = func() {
		w.calls.afterWrite = nil
		assert.NoError(w.t, w.aws.Do(fakeaws.Deed{Kind: kind, Group: "a"}))
		w.waitWhile(fmt.Sprintf("AWS has not done its %s", kind), func() bool {
			state, _ := w.aws.Group("a")
			states := map[string]int{}
			for _, i := range state.Instances {
				states[i.State]++
			}
			return !done(len(state.Instances), states["Terminating"])
		})
	}
}

func TestReplacedInstanceIsNotLaunchedForAnother(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(d *fakeaws.Delays) { d.Terminate = ms(60_000) }, scalingGroup("a", 0, 3, 10)).started()
	w.withinNextWrite(fakeaws.Refresh, func(instances, terminating int) bool { return terminating > 0 && instances-terminating == 4 })
	w.increasesTo(1, 4) // want the 4 that were asked for: AWS replaced an instance meanwhile
}

// launchesFirst is a group whose refreshes launch before they terminate.
func launchesFirst(desired int) fakeaws.AutoScalingGroup {
	g := scalingGroup("a", 0, desired, 10)
	g.MaintenancePolicy = &fakeaws.MaintenancePolicy{MinHealthy: 100, MaxHealthy: 200}
	return g
}

func TestInstanceLaunchedBeforeTheOldOneEndsIsNotLaunchedForAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, launchesFirst(3)).started()
	w.withinNextWrite(fakeaws.Refresh, func(instances, terminating int) bool { return terminating == 0 && instances == 5 })
	w.increase(1)
	assert.Equal(t, 4, w.desired("a"), "desired capacity, want the 4 that were asked for: AWS replaces an instance")
}

func TestInstancesLaunchedBeforeTheOldOnesEndAreNotRestored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, launchesFirst(3)).started()
		w.increase(1)
		w.eventuallyInService("a", 4)
		old := w.ids("a")
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Refresh, Group: "a"}))
		w.waitWhile("AWS has not replaced all", func() bool {
			w.refresh()
			asg.ReadMoving(w.cache, t.Context())
			return slices.ContainsFunc(w.ids("a"), func(id string) bool { return slices.Contains(old, id) })
		})
		assert.Equal(t, 4, w.desired("a"), "desired capacity, want the 4 that were asked for")
	})
}

// The instances that another writer asked for while AWS replaced a dead one are no replacements.
func TestForeignRaiseBesideAReplacementIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
	w.calls.beforeWrite = func() {
		w.calls.beforeWrite = nil
		w.must(w.aws.Reclaim(w.ids("a")[0]))
		w.eventuallyInService("a", 3)
		w.setDesired(6)
		w.eventuallyInService("a", 6)
		w.must(w.aws.Suspend("a", "Terminate"))
	}
	w.increase(1)
	assert.Equal(t, 7, w.desired("a"), "desired capacity, want ours above the other's 6")
}

func TestReplacesByRealCauses(t *testing.T) {
	const difference = "At 2021-01-11T00:35:53Z an instance was started in response to a difference between desired and actual capacity, increasing the capacity from 0 to 1."
	for _, tt := range []struct {
		cause string
		want  bool
	}{
		{"At 2023-07-09T00:46:17Z availability zones had 4 1 instances respectively. An instance was launched to aid in balancing the group's zones.", true},
		{"At 2026-09-23T18:46:00Z an instance was launched in response to an instance refresh.", true},
		{"At 2024-01-21T05:27:09Z an instance was launched in response to an unhealthy instance needing to be replaced.", true},
		{"At 2024-01-21T05:27:08Z an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.", true},
		{"At 2012-07-01T11:52:51Z instances were launched to balance instances in zones us-east-1d with other zones resulting in more than desired number of instances in the group. " +
			"At 2012-07-01T11:55:33Z an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from 4 to 3.", true},
		{difference, false},
		{"At 2021-01-11T00:35:53Z an instance was started in response to a difference between desired and actual capacity.", false},
		{"At 2021-01-11T00:35:52Z a user request created an AutoScalingGroup changing the desired capacity from 0 to 1.  " + difference, false},
		{"At 2021-01-11T00:35:52Z a monitor alarm a in state ALARM triggered policy balance changing the desired capacity from 0 to 1.  " + difference, false},
		{"At 2021-01-11T00:35:52Z instance i-1 was taken out of service in response to a user request, shrinking the capacity from 4 to 3.", false},
		{"", false},
	} {
		assert.Equal(t, tt.want, asg.Replaces(types.Activity{Cause: &tt.cause}), tt.cause)
	}
}

func TestMovedInstanceIsNotLaunchedForAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 4, 10)).started()
	w.must(w.aws.EditGroup("a", fakeaws.GroupEdit{Zones: []string{"us-west-2a", "us-west-2b"}}))
	w.withinNextWrite(fakeaws.Rebalance, func(instances, _ int) bool { return instances == 6 })
	w.increasesTo(1, 5) // want the 5 that were asked for: AWS moved an instance meanwhile
}

// A call whose answer is lost is repeated with the value from before.
func TestRepeatedWriteKeepsForeignCapacity(t *testing.T) {
	t.Parallel()
	lost, fault, throttled := fakeaws.Fault{Code: "InternalFailure", Late: true}, fakeaws.Fault{Code: "InternalFailure"}, fakeaws.Fault{Code: "Throttling"}
	for _, tt := range []struct {
		name   string
		fault  fakeaws.Fault // of the first attempt
		others int           // desired capacity that another sets after the first attempt, 0 for none
		want   int
		fails  bool
	}{
		{"answer lost, and another raised", lost, 6, 6, false},
		{"answer lost, and another lowered", lost, 1, 1, true},
		{"answer lost", lost, 0, 4, false},
		{"not carried out", fault, 0, 4, false},
		{"throttled, and another raised", throttled, 6, 6, true},
		{"throttled", throttled, 0, 4, false},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
			tt.fault.Action, tt.fault.Times = "SetDesiredCapacity", 1
			w.aws.Inject(tt.fault)
			w.calls.repeats = true
			w.calls.beforeWrite = func() {
				w.calls.beforeRead = func() { // between the attempts
					w.calls.beforeRead = nil
					if tt.others > 0 {
						assert.NoError(t, w.aws.SetDesired("a", tt.others))
					}
				}
			}
			err := w.cache.Increase(t.Context(), "a", 1)
			assert.Equalf(t, tt.fails, err != nil, "error %v", err)
			assert.Equal(t, tt.want, w.desired("a"), "desired capacity")
		}))
	}
}

// arrive has n more instances come up in the group "a" than are desired.
func arrive(t *testing.T, w *world, n int) {
	t.Helper()
	state, _ := w.aws.Group("a")
	w.setDesired(state.Desired + n)
	w.eventuallyInService("a", len(state.Instances)+n)
	w.setDesired(state.Desired)
	time.Sleep(10 * time.Millisecond)
}

func TestMovedInstancesAreNotRestored(t *testing.T) {
	t.Parallel()
	t.Run("while it moves them", bubbled(func(t *testing.T) { movesInstances(t, newWorld(t, scalingGroup("a", 0, 4, 10))) }))
	t.Run("moved once AWS says why", bubbled(func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 4, 10))
		w.calls.activities = func(string) bool {
			w.listed(5)
			return false
		}
		movesInstances(t, w)
	}))
}

func movesInstances(t *testing.T, w *world) {
	t.Helper()
	w.started()
	w.eventuallyInService("a", 4)
	w.increase(1)
	w.eventuallyInService("a", 5)
	// A zone is added. AWS launches there, and ends nothing before the new instance is in service.
	w.must(w.aws.EditGroup("a", fakeaws.GroupEdit{Zones: []string{"us-west-2a", "us-west-2b"}}))
	w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Rebalance, Group: "a"}))
	w.eventually(func() string {
		w.refresh()
		asg.ReadMoving(w.cache, t.Context())
		return cmp.Diff(map[string]int{"a": 3, "b": 2}, w.perZone("a"))
	})
	assert.Equal(t, 5, w.desired("a"), "desired capacity, want the 5 that were asked for")
}

// AWS moves an instance between two raises of ours. The second one counts the instance as excess that came after the first.
func TestInstanceMovedBetweenTwoRaisesIsNotRestored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// AWS ends no other instance before
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.InService = ms(60_000) }, scalingGroup("a", 0, 3, 10)).started()
		w.increase(2)
		time.Sleep(4 * time.Second)
		w.must(w.aws.EditGroup("a", fakeaws.GroupEdit{Zones: []string{"us-west-2a", "us-west-2b"}}))
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Rebalance, Group: "a"}))
		w.listed(6)
		time.Sleep(10 * time.Second)
		w.increase(1)
		w.calls.edit = func(g *types.AutoScalingGroup) { // AWS launches it beside the other, which the emulator does not
			more := g.Instances[0]
			more.InstanceId = aws.String("i-more")
			g.Instances = append(g.Instances, more)
		}
		asg.ReadMoving(w.cache, t.Context())
		assert.Equal(t, 6, w.desired("a"), "desired capacity, want the 6 that were asked for")
	})
}
