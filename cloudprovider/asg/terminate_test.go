package asg_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const terminateCall = "TerminateInstanceInAutoScalingGroup"

// ids are the instances of the group, in its order.
func (w *world) ids(name string) []string {
	w.t.Helper()
	var ids []string
	for _, i := range w.group(name).Instances {
		ids = append(ids, i.ID)
	}
	return ids
}

// staying are the IDs that a *TerminationError names, sorted.
func staying(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var partial *asg.TerminationError
	require.Truef(t, errors.As(err, &partial), "error = %v, want a TerminationError", err)
	return slices.Sorted(maps.Keys(partial.Stays))
}

func TestHundredInstancesTerminateByOneCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ instances, calls int }{{1, 1}, {30, 1}, {100, 1}, {250, 3}} {
		w := newWorld(t, scalingGroup("a", 0, tt.instances, 300)).started()
		w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")))
		assert.Equalf(t, [2]int{tt.calls, 0}, [2]int{w.aws.Calls()[terminateCall], w.desired("a")}, "calls, and desired: %d instances", tt.instances)
	}
}

func TestShortWaitDoesNotJoinLongOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 2, 10)).started()
		ids, removed := w.ids("a"), make(chan error)
		go func() { removed <- w.cache.TerminateTogether(t.Context(), "a", ids[:1], false, time.Minute, nil) }()
		synctest.Wait()
		w.must(w.cache.TerminateTogether(t.Context(), "a", ids[1:], false, time.Second, nil))
		assert.Equal(t, 1, w.desired("a"), "desired capacity after the short wait")
		w.must(<-removed)
		assert.Equal(t, 0, w.desired("a"), "desired capacity after the long wait")
	})
}

// Hundreds of instances of one group are interrupted one after the other, and AWS needs longer for a call than until the next one.
func TestTerminationsThatWaitForOthersGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 200, 300)).started()
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Latency: ms(500)})
		began := time.Now()
		var callers sync.WaitGroup
		for at, id := range w.ids("a") {
			callers.Go(func() {
				time.Sleep(time.Duration(at) * 150 * time.Millisecond)
				assert.NoErrorf(t, w.cache.TerminateTogether(t.Context(), "a", []string{id}, false, 100*time.Millisecond, nil), "termination %d", at)
			})
		}
		callers.Go(func() {
			time.Sleep(15 * time.Second)
			asked := time.Now()
			w.increase(1)
			assert.Less(t, time.Since(asked), 1200*time.Millisecond, "an increase waited for more than two calls")
		})
		callers.Wait()
		assert.Less(t, time.Since(began), 33*time.Second, "all terminations together")
		assert.LessOrEqual(t, w.aws.Calls()[terminateCall], 62, "calls, want one each 500 ms")
		assert.Equal(t, 1, w.desired("a"), "desired capacity")
	})
}

func TestTerminateStopsAtMinimum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 2, 4, 10)).started()
	ids := slices.Sorted(slices.Values(w.ids("a")))
	err := w.cache.Terminate(t.Context(), "a", ids[:3])
	var limit *group.LimitError
	diff := cmp.Diff(ids[2:3], staying(t, err))
	assert.Truef(t, diff == "" && errors.As(err, &limit), "error %v, instances that stay (-want +got):\n%s", err, diff)
	assert.Equal(t, 2, w.desired("a"), "desired capacity, want the minimum of 2")
}

func TestGoneInstanceSpoilsNoBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 4, 10)).started()
	ids := w.ids("a")
	w.must(w.aws.Reclaim(ids[1])) // the Cache does not know
	w.waitWhile("AWS still has the reclaimed instance", func() bool { return slices.Contains(w.members("a"), ids[1]) })
	assert.NoError(t, w.cache.Terminate(t.Context(), "a", ids[:3]))
	assert.Equal(t, 2, w.desired("a"), "desired capacity: AWS replaces the reclaimed instance, two of ours went")
	w.aws.ResetCalls()
	w.must(w.cache.Terminate(t.Context(), "a", ids[3:]))
}

func TestWithoutBatchesEachInstanceGetsItsCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 6, 10)).started()
	w.aws.Inject(fakeaws.Fault{Action: terminateCall, Params: map[string]string{"AutoScalingGroupName": "a"}, Code: "ValidationError",
		Message: "1 validation error detected: Value null at 'instanceId' failed to satisfy constraint: Member must not be null"})
	ids := w.ids("a")
	for at, want := range []int{1 + 3, 3} { // the first is found out
		w.aws.ResetCalls()
		w.must(w.cache.Terminate(t.Context(), "a", ids[3*at:3*at+3]))
		assert.Equalf(t, want, w.aws.Calls()[terminateCall], "calls of termination %d of three instances", at+1)
	}
	assert.Equal(t, 0, w.desired("a"), "desired capacity")
}

func TestRefusedInstanceStaysAndIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
		ids := w.ids("a")
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: "Throttling", Times: 1})
		stay := staying(t, w.cache.Terminate(t.Context(), "a", ids))
		assert.Empty(t, cmp.Diff(slices.Sorted(slices.Values(ids)), stay), "throttled: instances that stay (-want +got)")
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Params: map[string]string{"AutoScalingGroupName": "a"}, Code: "ValidationError", Times: 1})
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Params: map[string]string{"InstanceId": ids[1]}, Code: "ValidationError"})
		err := w.cache.Terminate(t.Context(), "a", ids)
		assert.Empty(t, cmp.Diff(ids[1:2], staying(t, err)), "instances that stay (-want +got)")
		w.agreed(1) // two of three went
	})
}

// The core would drain one node after the other for it, and then the first one again.
func TestGroupWhoseTerminationsAreDeniedIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, count := range []int{1, 2} {
			a, b := scalingGroup("a", 0, 4, 10), scalingGroup("b", 0, 4, 10)
			w := newWorld(t, a, b).started()
			alone := func(name string) (cause, remedy string, down bool) {
				p := w.group(name).LeftAlone(time.Now(), true)
				cause, remedy = p.Why(name)
				return cause, remedy, p.Down
			}
			deny := func() string {
				return w.aws.Inject(fakeaws.Fault{Group: "a", Action: terminateCall, Code: "AccessDenied"})
			}
			fault, ids := deny(), w.ids("a")
			assert.Len(t, staying(t, w.cache.Terminate(t.Context(), "a", ids[:count])), count, "stay")
			w.must(w.cache.Terminate(t.Context(), "b", w.ids("b")[:count]))
			cause, remedy, down := alone("a")
			assert.True(t, down)
			assert.Contains(t, cause, "AccessDenied")
			assert.Contains(t, remedy, "autoscaling:"+terminateCall)
			_, _, down = alone("b")
			assert.False(t, down, "another group is left alone, too")

			time.Sleep(12 * time.Minute)
			calls := w.aws.Calls()[terminateCall]
			assert.ErrorContains(t, w.cache.Terminate(t.Context(), "a", ids[:count]), "is paused")
			assert.Equal(t, calls, w.aws.Calls()[terminateCall], "calls, want none within 15 minutes")
			time.Sleep(4 * time.Minute)
			assert.Len(t, staying(t, w.cache.Terminate(t.Context(), "a", ids[:count])), count, "stay after 15 minutes")

			w.must(w.aws.SetTags("a", map[string]*string{"k8s.io/cluster-autoscaler/ours": new("owned")}))
			w.refresh()
			_, _, down = alone("a")
			assert.False(t, down, "it is left alone though its tags have changed")
			assert.Error(t, w.cache.Terminate(t.Context(), "a", ids[:count]))
			w.aws.ClearFaults(fault)
			w.must(w.cache.Replace(t.Context(), "a", ids[:count])) // as an interruption does
			_, _, down = alone("a")
			assert.False(t, down, "it is left alone after a success")
		}
	})
}

// AWS may begin to end an instance, such as an interrupted one, while it refuses or fails our call for it. The end of the instance says nothing of the next call.
func TestInstanceThatAWSEndsMeanwhileProvesNoTermination(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, code := range []string{"AccessDenied", "InternalFailure"} {
			w := newWorld(t, scalingGroup("a", 0, 4, 10)).started()
			w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: code})
			ids := w.ids("a")
			assert.Lenf(t, staying(t, w.cache.Terminate(t.Context(), "a", ids[1:])), 3, "%s: stay", code)
			before := w.group("a")
			require.Truef(t, before.LeftAlone(time.Now(), true).Down || !before.EndFailed.IsZero(), "%s: nothing is noted", code)
			w.calls.afterWrite = sync.OnceFunc(func() { w.must(w.aws.Reclaim(ids[0])) })
			assert.Emptyf(t, staying(t, w.cache.Replace(t.Context(), "a", ids[:1])), "%s: stays though AWS ends it", code)
			after := w.group("a")
			assert.Equalf(t, []any{before.LeftAlone(time.Now(), true).Down, before.EndFailed}, []any{after.LeftAlone(time.Now(), true).Down, after.EndFailed},
				"%s: paused for scale-down, and the failure that is noted", code)
		}
	})
}

// The core would drain the group's nodes in vain, one after the other.
func TestTerminationThatAWSFailsIsNotedForItsGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for code, noted := range map[string]bool{"InternalFailure": true, "ResourceContention": true, "ScalingActivityInProgress": true, "Throttling": true,
			"ExpiredToken": true, "AccessDenied": false, "ValidationError": false} {
			for _, count := range []int{1, 2} {
				w := newWorld(t, scalingGroup("a", 0, 4, 10), scalingGroup("b", 0, 4, 10)).started()
				w.aws.Inject(fakeaws.Fault{Group: "a", Action: terminateCall, Code: code})
				assert.Lenf(t, staying(t, w.cache.Terminate(t.Context(), "a", w.ids("a")[:count])), count, "%s: stay", code)
				w.must(w.cache.Terminate(t.Context(), "b", w.ids("b")[:count]))
				w.refresh()
				assert.Equalf(t, [2]bool{noted, false}, [2]bool{time.Since(w.group("a").EndFailed) < time.Minute, !w.group("b").EndFailed.IsZero()},
					"%s, %d instances: noted for a and b", code, count)
			}
		}
	})
}

func TestTerminationWithoutAReadingIsNotedForItsGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 4, 10)).started()
		time.Sleep(time.Minute)
		w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "ExpiredToken"})
		assert.Error(t, w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]))
		assert.Equal(t, time.Now(), w.group("a").EndFailed)
	})
}

// Each instance has an error of its own, in no order.
func TestTerminationThatAWSFailsForOneOfItsInstancesIsNoted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 10 {
			w := newWorld(t, scalingGroup("a", 0, 2, 10)).started()
			ids := w.ids("a")
			w.aws.Inject(fakeaws.Fault{Action: terminateCall, Params: batchOnly, Code: "ValidationError"})
			w.aws.Inject(fakeaws.Fault{Action: terminateCall, Params: map[string]string{"InstanceId": ids[0]}, Code: "ValidationError"})
			w.aws.Inject(fakeaws.Fault{Action: terminateCall, Params: map[string]string{"InstanceId": ids[1]}, Code: "ExpiredToken"})
			assert.Len(t, staying(t, w.cache.Terminate(t.Context(), "a", ids)), 2, "stay")
			assert.False(t, w.group("a").EndFailed.IsZero(), "no failure is noted")
		}
	})
}

// The loop waits for a moment only, and AWS was not asked.
func TestTerminationThatWaitsForAnotherWriteIsNoFailureOfAWS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 4, 10)).started()
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Times: 1, Latency: ms(3000)})
		var other sync.WaitGroup
		ids := w.ids("a")
		other.Go(func() { w.must(w.cache.Terminate(t.Context(), "a", ids[:1])) })
		synctest.Wait()
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		assert.ErrorContains(t, w.cache.Terminate(ctx, "a", ids[1:2]), "wait for the group lock")
		assert.Zero(t, w.group("a").EndFailed)
		other.Wait()
	})
}

// Clusters share the account's rate, and the call for credentials may fail for a moment. The pods of a node that stays would be evicted a second time.
func TestTerminationOfADrainedNodeThatFailsForAMomentIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, count := range []int{1, 3} {
			for name, tt := range map[string]struct {
				code   string
				fails  time.Duration
				inUse  time.Duration // when pods may come to the first node again, 0 for never
				stops  time.Duration // when the process is to end, 0 for never
				stay   int
				within time.Duration
			}{
				"for a while":    {code: "Throttling", fails: 10 * time.Second, within: 20 * time.Second},
				"no identity":    {code: "ExpiredToken", fails: 10 * time.Second, within: 20 * time.Second},
				"for ever":       {code: "Throttling", fails: time.Hour, stay: count, within: 40 * time.Second},
				"node in use":    {code: "Throttling", fails: 10 * time.Second, inUse: 5 * time.Second, stay: 1, within: 20 * time.Second},
				"process to end": {code: "Throttling", fails: 10 * time.Second, stops: 2 * time.Second, stay: count, within: 15 * time.Second},
			} {
				w := newWorld(t, scalingGroup("a", 0, count, 10)).started()
				w.calls.repeats = true
				w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: tt.code, For: fakeaws.Duration(tt.fails)})
				began, ids := time.Now(), w.ids("a")
				ctx, stop := context.WithCancel(t.Context())
				if tt.stops > 0 {
					time.AfterFunc(tt.stops, stop)
				}
				errs, growth := make([]error, count), time.Duration(0)
				var callers sync.WaitGroup
				for at, id := range ids {
					callers.Go(func() {
						errs[at] = w.cache.TerminateTogether(ctx, "a", []string{id}, false, 200*time.Millisecond, func(id string) error {
							if id == ids[0] && tt.inUse > 0 && time.Since(began) > tt.inUse {
								return errors.New("pods may come to it")
							}
							return nil
						})
					})
				}
				callers.Go(func() {
					time.Sleep(7 * time.Second)
					asked := time.Now()
					w.increase(1)
					growth = time.Since(asked)
				})
				callers.Wait()
				stop()
				took := time.Since(began)
				stay := len(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
				assert.Truef(t, stay == tt.stay && w.desired("a") == stay+1 && took <= tt.within && growth < 8*time.Second,
					"%s, %d instances: %d stay, %d are desired, after %s, and an increase took %s; want %d, %d, at most %s and 8s",
					name, count, stay, w.desired("a"), took, growth, tt.stay, tt.stay+1, tt.within)
				assert.Equalf(t, tt.stay == count, !w.group("a").EndFailed.IsZero(), "%s, %d instances: a failure is noted", name, count)
				w.aws.ClearFaults()
			}
		}
	})
}

// AWS defers a termination to a change of the group that is under way, and says so with status 400. The nodes are drained by then.
func TestTerminationDeferredToAnotherChangeIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, code := range []string{"ScalingActivityInProgress", "ResourceContention"} {
			for _, tt := range []struct{ instances, times, stay int }{{1, 1, 0}, {1, 3, 0}, {3, 1, 0}, {3, 5, 0}, {1, 100, 1}, {3, 100, 3}} {
				w := newWorld(t, scalingGroup("a", 0, tt.instances, 10)).started()
				w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: code, Times: tt.times})
				began := time.Now()
				err := w.cache.Terminate(t.Context(), "a", w.ids("a"))
				took := time.Since(began)
				calls := w.aws.Calls()[terminateCall]
				assert.Truef(t, len(staying(t, err)) == tt.stay && w.desired("a") == tt.stay && took < 15*time.Second && calls <= 7*3, // tries of the SDK
					"%s %d times, %d instances: %v, desired capacity is %d, after %s and %d calls; want %d to stay", code, tt.times, tt.instances, err,
					w.desired("a"), took, calls, tt.stay)
			}
		}
	})
}

func TestTerminationWithLostAnswerIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name  string
			fault fakeaws.Fault
			stay  bool // where it is one: several are tried again
		}{
			{name: "done", fault: fakeaws.Fault{Code: "InternalFailure", Late: true}},
			{name: "answer broken", fault: fakeaws.Fault{Body: fakeaws.Truncated}},
			{name: "not done", fault: fakeaws.Fault{Code: "InternalFailure"}, stay: true},
		} {
			for _, count := range []int{1, 3} {
				w := newWorld(t, scalingGroup("a", 0, count, 10)).started()
				tt.fault.Action, tt.fault.Times = terminateCall, 1
				w.aws.Inject(tt.fault)
				err := w.cache.Terminate(t.Context(), "a", w.ids("a"))
				left := 0
				if tt.stay && count == 1 {
					left = count
				}
				assert.Lenf(t, staying(t, err), left, "%s, %d instances: stay", tt.name, count)
				w.agreed(left)
			}
		}
	})
}

// AWS carries out the first try, and its answer is lost. A reading may be some seconds old, and AWS refuses the next tries.
func TestTerminationThatIsThrottledAfterALostAnswerIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, count := range []int{1, 3} {
			w := newWorld(t, scalingGroup("a", 0, count, 10)).started()
			w.calls.repeats = true
			ids := w.ids("a")
			w.aws.SetStale(fakeaws.StaleReads{Most: fakeaws.Duration(3 * time.Second), Worst: true})
			time.Sleep(10 * time.Second)
			w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: "InternalFailure", Late: true, Times: 1})
			w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: "Throttling"})
			err := w.cache.Terminate(t.Context(), "a", ids)
			assert.Emptyf(t, staying(t, err), "of %d instances: they stay", count)
			assert.Zerof(t, w.desired("a"), "desired capacity of %d", count)
		}
	})
}

func TestTroubledBatchIsRepeatedSoon(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakeaws.Fault{
		"throttled": {Code: "Throttling", Times: 2},
		"hangs":     {Code: "InternalFailure", Latency: fakeaws.Duration(time.Hour), Times: 1},
	} {
		t.Run(name, bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
			w.calls.repeats, fault.Action = true, terminateCall
			w.aws.Inject(fault)
			began := time.Now()
			w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")))
			assert.LessOrEqual(t, time.Since(began), 5*time.Second, "it took")
			w.wantDesired(0)
		}))
	}
}

// AWS refuses the first signature of a client that does not know yet how far this machine's clock is off.
func TestFirstCallByAClockThatIsOff(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call       string
		have, want int
	}{"launch": {launchCall, 0, 3}, "termination": {terminateCall, 3, 0}} {
		t.Run(name, bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, tt.have, 10)).with(synchronous).started()
			w.calls.repeats = true
			w.aws.SetClockSkew(10 * time.Minute)
			w.aws.Inject(fakeaws.Fault{Action: tt.call, Code: "SignatureDoesNotMatch", Status: 403, Times: 1})
			if tt.have == 0 {
				w.increase(tt.want)
			} else {
				w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")))
			}
			w.wantDesired(tt.want)
			assert.Zero(t, w.aws.Calls()[desiredCall], "raises of the desired capacity in place of a launch")
		}))
	}
}

func TestPartialBatchIsCompleted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		stay  int
	}{
		{name: "AWS acts on a part", fault: fakeaws.Fault{Share: 50}, stay: 2},
		{name: "AWS answers for a part", fault: fakeaws.Fault{Answers: 50}},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 4, 10)).started()
			tt.fault.Action, tt.fault.Times = terminateCall, 1
			w.aws.Inject(tt.fault)
			err := w.cache.Terminate(t.Context(), "a", w.ids("a"))
			assert.Len(t, staying(t, err), tt.stay, "stay")
			w.agreed(tt.stay)
		}))
	}
}

func TestIgnoredBatchIsDoneOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 4, 10)).started()
		w.calls.ignores = true
		ids := w.ids("a")
		for _, some := range [][]string{ids[:2], ids[2:]} {
			began := time.Now()
			err := w.cache.Terminate(t.Context(), "a", some)
			assert.Empty(t, staying(t, err), "stay")
			took := time.Since(began)
			assert.Truef(t, took <= time.Second || some[0] != ids[2], "the second termination took %v, want it one by one at once", took)
		}
		assert.Equal(t, 0, w.desired("a"), "desired capacity")
	})
}

// An endpoint says "not found" about an instance that runs.
func TestInstanceThatIsNotFoundAndRunsStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
	w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: "ValidationError", Message: "Instance not found in state InService"})
	assert.Len(t, staying(t, w.cache.Terminate(t.Context(), "a", w.ids("a"))), 1, "stay")
	w.wantDesired(1)
}

func TestStaleReadingProvesNoTerminationUndone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 10)).started()
		readings, old := 0, w.past()
		w.calls.edit = func(g *types.AutoScalingGroup) {
			if readings++; readings <= 2 {
				*g = *old
			}
		}
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Times: 1, Code: "InternalFailure", Late: true})
		w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")))
	})
}

func TestReplaceKeepsDesiredCapacity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 2, 2, 10)).running()
	for n := 1; n <= 2; n++ { // by a call for one, and by a call for several
		ids := w.ids("a")[:n]
		w.must(w.cache.Replace(t.Context(), "a", ids))
		w.agreed(2) // the minimum
		w.waitWhile("they are still there, or not replaced yet", func() bool {
			there := slices.ContainsFunc(w.ids("a"), func(id string) bool { return slices.Contains(ids, id) })
			return there || len(w.group("a").Counted()) != 2
		})
	}
}

func TestInstanceGoneBeforeFirstReadingStopsCounting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(synchronous).started()
	there := w.ids("a")
	w.increase(1)
	launched := slices.DeleteFunc(w.ids("a"), func(id string) bool { return slices.Contains(there, id) })
	w.must(w.cache.Terminate(t.Context(), "a", launched))
	w.listed(1)
	w.refresh()
	assert.Equal(t, [2]int{1, 1}, [2]int{len(w.ids("a")), w.group("a").DesiredCapacity}, "instances and desired capacity")
}

func TestNewInstanceMissingFromStaleReadingSurvives(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 1, 10)).timed()
	there := w.ids("a")
	w.staleAfter(w.oneMore)
	fresh := slices.DeleteFunc(w.ids("a"), func(id string) bool { return id == there[0] })
	w.aws.Inject(fakeaws.Fault{Action: terminateCall, Times: 1, Code: "InternalFailure"})
	ended := make(chan error, 1)
	go func() { ended <- w.cache.Terminate(t.Context(), "a", fresh) }()
	var err error
	w.eventually(func() string {
		select {
		case err = <-ended:
			return ""
		default:
		}
		if now.HasWaiters() {
			now.Step(time.Second)
		}
		return "the termination is under way"
	})
	assert.Empty(t, cmp.Diff(fresh, staying(t, err)), "instances that stay (-want +got)")
	w.agreed(2)
}

// The instance dies before a reading shows it.
func TestDeadArrivalIsForgottenOnceAWSLacksIt(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.LaunchMode = asg.LaunchAuto }).timed()
	w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances = nil }
	w.increase(1)
	w.suspendLaunch()
	w.must(w.aws.Reclaim(w.ids("a")[0]))
	w.listed(0)
	now.Step(25 * time.Second)
	w.refresh()
	require.Equal(t, 1, len(w.group("a").Counted()), "instances count, want the one that a reading may not show yet")
	w.end("a")
	w.refresh()
	assert.Empty(t, w.group("a").Counted(), "instances count, want none")
}
