package asg_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	launchCall  = "LaunchInstances"
	desiredCall = "SetDesiredCapacity"
)

// synchronous launches at once where that is possible.
func synchronous(o *asg.Options) { o.LaunchMode = asg.LaunchAuto }

// zonal is a group over three zones.
func zonal(name string, least, desired, most int) fakeaws.AutoScalingGroup {
	g := scalingGroup(name, least, desired, most)
	g.Zones = []string{"us-west-2a", "us-west-2b", "us-west-2c"}
	return g
}

// perZone counts the instances that AWS has, by the last letter of their zone.
func (w *world) perZone(name string) map[string]int {
	state, _ := w.aws.Group(name)
	count := map[string]int{}
	for _, i := range state.Instances {
		count[i.Zone[len(i.Zone)-1:]]++
	}
	return count
}

func TestInstancesAreSpreadOverZones(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n    int
		want map[string]int
	}{
		{1, map[string]int{"a": 1}},
		{2, map[string]int{"a": 1, "b": 1}},
		{7, map[string]int{"a": 3, "b": 2, "c": 2}},
	} {
		w := newWorld(t, zonal("a", 0, 0, 10)).with(synchronous).started()
		w.increase(tt.n)
		assert.Emptyf(t, cmp.Diff(tt.want, w.perZone("a")), "%d instances by zone (-want +got)", tt.n)
	}
	w := newWorld(t, zonal("a", 0, 1, 10)).with(synchronous).started()
	w.increase(5)
	assert.Empty(t, cmp.Diff(map[string]int{"a": 2, "b": 2, "c": 2}, w.perZone("a")), "instances by zone beside one that was there (-want +got)")
}

func TestOtherZoneReplacesMissingCapacity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zonal("a", 0, 0, 20)).with(synchronous).started()
	w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2b", Available: 1})
	w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2c"})
	w.increase(6)
	w.knows(6, 6)
	assert.Empty(t, cmp.Diff(map[string]int{"a": 5, "b": 1}, w.perZone("a")), "instances by zone (-want +got)")
	w.aws.ResetCalls()
	w.increase(3)
	assert.Equal(t, 1, w.aws.Calls()[launchCall], "calls: the zones without capacity are left alone")
}

// A failure that closes no pool says nothing about the other zones.
func TestOtherZonesServeWhereOneFailsForAMoment(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"InternalError", "Unavailable", "RequestLimitExceeded", "NobodyKnowsThis"} {
		t.Run(code, bubbled(func(t *testing.T) {
			w := newWorld(t, zonal("a", 0, 0, 20)).with(synchronous).started()
			time.Sleep(20 * time.Minute) // no failure can be an old one
			w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2a", Code: code})
			w.increasesTo(1, 1)
			w.increasesTo(4, 5)
			assert.Empty(t, cmp.Diff(map[string]int{"b": 3, "c": 2}, w.perZone("a")), "instances by zone (-want +got)")
			assert.Equal(t, 4, w.aws.Calls()[launchCall], "calls: the zone that failed is left alone")
			time.Sleep(time.Minute + time.Second)
			w.aws.ClearShortages()
			w.increasesTo(3, 8)
			assert.Equal(t, 1, w.perZone("a")["a"], "instances in the zone that failed, a minute later: it gets a probe")
			w.aws.AddShortage(fakeaws.Shortage{Code: code})
			var failed *asg.LaunchError
			require.ErrorAs(t, w.cache.Increase(t.Context(), "a", 3), &failed, "every zone fails")
			_, cooling := w.cache.CoolDown(w.group("a"))
			assert.False(t, cooling, "the group is left alone, although the next try may succeed")
		}))
	}
}

// AWS does not document that it names every pool in which it has not launched.
func TestOtherZonesServeWhereAWSNamesOneTypeOfAZone(t *testing.T) {
	t.Parallel()
	types := []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m5a.large"}}
	short := func(w *world) {
		time.Sleep(20 * time.Minute) // no failure can be an old one
		w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2a", InstanceType: "m5.large"})
		w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2a", InstanceType: "m5a.large", Unnamed: true})
	}
	t.Run("one after the other", bubbled(func(t *testing.T) {
		w := newWorld(t, mixing(zonal("a", 0, 0, 20), types...)).with(synchronous).started()
		short(w)
		w.increasesTo(1, 1)
		w.increasesTo(1, 2)
		assert.Empty(t, cmp.Diff(map[string]int{"b": 1, "c": 1}, w.perZone("a")), "instances by zone (-want +got)")
		assert.Equal(t, 3, w.aws.Calls()[launchCall], "calls: the zone is left alone")
	}))
	t.Run("all or none", bubbled(func(t *testing.T) {
		w := newWorld(t, mixing(zonal("a", 0, 0, 20), types...)).with(synchronous).started()
		short(w)
		w.must(w.cache.IncreaseAtomically(t.Context(), "a", "", 4))
		assert.Empty(t, cmp.Diff(map[string]int{"b": 2, "c": 2}, w.perZone("a")), "instances by zone (-want +got)")
	}))
	t.Run("zone by zone", bubbled(func(t *testing.T) {
		w := newZonalWorld(t, mixing(divided("a", 0, 0, 20), types...))
		short(w)
		var failed *asg.LaunchError
		require.ErrorAs(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2a", 1), &failed)
		assert.Equal(t, 1, w.aws.Calls()[launchCall], "calls")
	}))
}

func TestGroupWithoutCapacityCoolsDownThenProbes(t *testing.T) {
	t.Parallel()
	now := clockAt(time.Minute)
	w := newWorld(t, scalingGroup("a", 0, 0, 20), scalingGroup("b", 0, 0, 20)).
		with(func(o *asg.Options) { o.LaunchMode, o.Clock = asg.LaunchAuto, now }).started()
	now.Step(20 * time.Minute) // no failure can be an old one
	shortage := w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	pool := cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: "on-demand"}
	noCapacity(t, w.cache.Increase(t.Context(), "a", 5), pool)
	assert.True(t, w.wakes(), "nobody is told that another group has to help")
	for _, name := range []string{"a", "b"} { // b launches in the same pool
		rest, resting := w.cache.CoolDown(w.group(name))
		assert.Truef(t, resting && rest.Pool == pool && rest.Until.Sub(now.Now()) == 3*time.Minute,
			"group %s rests: %t, %+v, want for three minutes in %s", name, resting, rest, pool)
	}
	w.aws.ResetCalls()
	assert.ErrorAs(t, w.cache.Increase(t.Context(), "b", 5), new(*asg.LaunchError))
	assert.Zero(t, w.aws.Calls()[launchCall], "calls")
	now.Step(3*time.Minute + time.Second)
	for _, name := range []string{"a", "b"} {
		rest, resting := w.cache.CoolDown(w.group(name))
		assert.Falsef(t, resting, "group %s still rests: %+v", name, rest)
	}
	w.aws.ResetCalls()
	w.failsToIncrease("a", 5)
	assert.Equalf(t, 1, w.aws.Calls()[launchCall], "calls %+v, want one probe", w.aws.CallLog())
	now.Step(3*time.Minute + time.Second)
	w.aws.ClearShortages(shortage)
	w.aws.ResetCalls()
	w.increase(5)
	w.knows(5, 5)
	assert.Equal(t, 2, w.aws.Calls()[launchCall], "calls: one is a probe, and one launches the rest")
}

// noCapacity fails unless the error is about want of capacity in the pool alone.
func noCapacity(t *testing.T, err error, pool cooldown.Pool) {
	t.Helper()
	var failed *asg.LaunchError
	require.ErrorAs(t, err, &failed)
	require.Truef(t, len(failed.Failures) == 1 && failed.Failures[0].Class == awsmessage.NoCapacity && failed.Failures[0].Pool == pool,
		"error = %v, want no capacity in %s", err, pool)
}

func TestRaisedGroups(t *testing.T) {
	t.Parallel()
	half, none := 50, 0
	policy := func(base int, above *int) *fakeaws.MixedInstancesPolicy {
		return &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"},
			Distribution: fakeaws.Distribution{OnDemandBaseCapacity: base, OnDemandPercentageAboveBaseCapacity: above},
			Overrides:    []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m5a.large"}}}
	}
	zones := func(strategy string, in ...string) func(*fakeaws.AutoScalingGroup) {
		return func(g *fakeaws.AutoScalingGroup) { g.ZoneDistribution, g.Zones = strategy, in }
	}
	for _, tt := range []struct {
		name    string
		change  func(*fakeaws.AutoScalingGroup)
		fault   fakeaws.Fault
		raised  bool
		refused bool // the call is tried
		unknown bool // AWS does not know it, which is no failure of a launch
	}{
		{name: "launch template"},
		{name: "policy wholly on demand", change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(0, nil) }},
		{name: "policy wholly spot", change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(0, &none) }},
		{name: "on-demand base", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(1, &none) }},
		{name: "half of each", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(0, &half) }},
		{name: "launch configuration", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.LaunchConfiguration = nil, "old" }},
		{name: "warm pool", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.WarmPool = &fakeaws.WarmPool{Min: 1} }},
		{name: "zones by AWS's default", change: zones("balanced-best-effort", "us-west-2a", "us-west-2b")},
		{name: "zones that AWS balances alone", raised: true, change: zones("balanced-only", "us-west-2a", "us-west-2b")},
		{name: "zones by reservations", raised: true, change: zones("reservations-then-balanced", "us-west-2a", "us-west-2b")},
		{name: "one zone, nothing to balance", change: zones("balanced-only", "us-west-2a")},
		{name: "not supported", raised: true, refused: true, fault: fakeaws.Fault{Code: "UnsupportedOperation"}},
		{name: "not allowed", raised: true, refused: true, fault: fakeaws.Fault{Code: "AccessDenied"}},
		{name: "not known", raised: true, refused: true, unknown: true, fault: fakeaws.Fault{Code: "InvalidAction"}},
		{name: "not known by another's code", raised: true, refused: true, unknown: true, fault: fakeaws.Fault{Code: "UnknownOperation"}},
		{name: "not found", raised: true, refused: true, unknown: true, fault: fakeaws.Fault{Code: "ActionNotFound", Status: 404}},
		{name: "not found, without a code", raised: true, refused: true, unknown: true, fault: fakeaws.Fault{Code: "NotFound", Status: 404, Body: fakeaws.Garbled}},
		{name: "not implemented", raised: true, refused: true, unknown: true, fault: fakeaws.Fault{Code: "NotImplemented", Status: 501}},
		{name: "not implemented, by another's code", raised: true, refused: true, unknown: true, fault: fakeaws.Fault{Code: "NotImplementedError", Status: 501}},
		{name: "a code that nobody knows", raised: true, refused: true, fault: fakeaws.Fault{Code: "Nonsense"}},
		{name: "not valid", raised: true, refused: true, fault: fakeaws.Fault{Code: "ValidationError"}},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			g := scalingGroup("a", 0, 0, 10)
			if tt.change != nil {
				tt.change(&g)
			}
			failures := 0
			w := newWorld(t, g).with(func(o *asg.Options) {
				synchronous(o)
				o.Launched = func(l asg.Launch) { failures += len(l.Failures) + min(1, len(l.Refused)) }
			}).started()
			if tt.fault.Code != "" {
				tt.fault.Action = launchCall
				w.aws.Inject(tt.fault)
			}
			for range 2 {
				w.increase(1)
			}
			want := map[string]int{launchCall: 2}
			switch {
			case tt.refused:
				want = map[string]int{launchCall: 1, desiredCall: 2}
			case tt.raised:
				want = map[string]int{desiredCall: 2}
			}
			calls := w.aws.Calls()
			assert.Equal(t, [2]int{want[launchCall], want[desiredCall]}, [2]int{calls[launchCall], calls[desiredCall]}, "launches and raises")
			w.wantDesired(2)
			assert.Equal(t, tt.refused && !tt.unknown, failures > 0, "failures to launch are told")
			only := w.with(func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }).started()
			only.aws.ResetCalls()
			err := only.cache.Increase(t.Context(), "a", 1)
			assert.Truef(t, (err != nil) == tt.raised && only.aws.Calls()[desiredCall] == 0,
				"in synchronous mode: error %v, %d raises, want an error: %t, and none", err, only.aws.Calls()[desiredCall], tt.raised)
		}))
	}
}

func TestThrottledLaunchIsAskedForByDesiredCapacity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "Throttling", Status: 400})
		w.increase(2)
		problems := w.cache.Fallbacks()
		require.Len(t, problems, 1)
		assert.Contains(t, problems[0].Message, "AWS throttles LaunchInstances (Throttling")
		assert.Contains(t, problems[0].Remedy, "after a minute, and look for other callers: aws cloudtrail lookup-events", "the next step, which is not at the AWS Health Dashboard")
		calls := w.aws.Calls()[launchCall]
		w.increasesTo(1, 3)
		assert.Equal(t, calls, w.aws.Calls()[launchCall], "launches, want no more for a minute")
		only := w.with(func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }).started()
		only.failsToIncrease("a", 1)
		w.wantDesired(3)
	})
}

func TestThrottledAtomicLaunchIsTriedAgainAsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "Throttling", Status: 400})
		err := w.cache.IncreaseAtomically(t.Context(), "a", "", 2)
		require.Error(t, err)
		assert.NotErrorIs(t, err, asg.ErrNotAtomic, "want the throttle")
		w.wantDesired(0)
	})
}

func TestInvalidCredentialsAreNoRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "ExpiredToken", Status: 403, Times: 1})
	assert.Error(t, w.cache.Increase(t.Context(), "a", 1), "an increase with expired credentials succeeds")
	assert.Empty(t, w.cache.Fallbacks(), "fallbacks")
	w.increase(1)
	assert.Equal(t, [2]int{2, 0}, [2]int{w.aws.Calls()[launchCall], w.aws.Calls()[desiredCall]}, "launches and raises")
}

func TestUnsupportedGroupKeepsOthersSynchronous(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10), scalingGroup("b", 0, 0, 10)).with(synchronous).started()
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Group: "a", Code: "UnsupportedOperation"})
	for _, name := range []string{"a", "b", "a"} {
		w.must(w.cache.Increase(t.Context(), name, 1))
	}
	assert.Equal(t, [2]int{2, 2}, [2]int{w.aws.Calls()[launchCall], w.aws.Calls()[desiredCall]}, "launches and raises")
}

func TestDeniedLaunchReportsActionAndGroupUntilRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }).started()
	w.aws.Deny(launchCall)
	for try := range 3 {
		err := w.cache.Increase(t.Context(), "a", 1)
		require.Error(t, err, "nothing was refused")
		for _, want := range []string{`"a"`, "autoscaling:LaunchInstances"} {
			assert.ErrorContainsf(t, err, want, "try %d", try)
		}
		assert.Truef(t, try <= 0 || strings.Contains(err.Error(), "--asg-launch-mode=auto"), "try %d: %v, want what else can be done", try, err)
	}
	assert.Equal(t, 1, w.aws.Calls()[launchCall], "times AWS was asked")
}

func TestLaunchWithLostAnswerHappensOnce(t *testing.T) {
	t.Parallel()
	for _, fault := range []fakeaws.Fault{
		{Code: "InternalFailure", Late: true}, {Body: fakeaws.Truncated}, {Body: fakeaws.Garbled}, {Code: "InternalFailure"},
	} {
		t.Run(fmt.Sprintf("%s %s late=%t", fault.Code, fault.Body, fault.Late), bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
			fault.Action, fault.Times = launchCall, 1
			w.aws.Inject(fault)
			w.increase(2)
			w.knows(2, 2)
			w.awsHas(2, 2)
		}))
	}
}

func TestProcessAfterKilledOneLaunchesNothingTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Synchronous = ms(700) }, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		next, other := w.with(nil).started(), w.with(nil).started()
		w.kill(1, true, func(w *world) error { return w.cache.Increase(t.Context(), "a", 3) })
		time.Sleep(200 * time.Millisecond) // of the 700 that AWS takes
		assert.Error(t, other.cache.Increase(t.Context(), "a", 4), "another number was launched beside a launch of which nothing is known")
		next.increase(3) // the same launch
		next.knows(3, 3)
		w.awsHas(3, 3)
	})
}

func TestUnshownInstancesAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Listed = ms(500) }, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.increase(2)
		for range 10 {
			w.refresh()
			w.knows(2, 2)
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestAtomicLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zonal("a", 0, 1, 10)).with(synchronous).started()
	w.must(w.cache.IncreaseAtomically(t.Context(), "a", "", 3))
	w.knows(4, 4)
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large", Available: 2})
	assert.Error(t, w.cache.IncreaseAtomically(t.Context(), "a", "", 3), "no error although AWS had two of three")
	w.agreed(4) // two were given back
	assert.ErrorAs(t, w.cache.IncreaseAtomically(t.Context(), "a", "", 7), new(*group.LimitError))
	raised := w.with(func(o *asg.Options) { o.LaunchMode = asg.LaunchDesiredCapacity }).started()
	assert.ErrorIs(t, raised.cache.IncreaseAtomically(t.Context(), "a", "", 1), asg.ErrNotAtomic)
	w.wantDesired(4)
}

// AWS would take the desired capacity, launch nothing and list no failure.
func TestSuspendedGroupIsNotRaised(t *testing.T) {
	t.Parallel()
	increase := func(w *world) error { return w.cache.Increase(w.t.Context(), "a", 2) }
	for name, fails := range map[string]func(*world) error{
		"Increase":           increase,
		"IncreaseAtomically": func(w *world) error { return w.cache.IncreaseAtomically(w.t.Context(), "a", "", 2) },
		"IncreaseZones":      func(w *world) error { return zoneIncrease(w.cache, w.t.Context(), "a", "us-west-2b", 2) },
		"Increase, suspended since the reading": func(w *world) error {
			w.must(w.aws.Resume("a", "Launch"))
			w.calls.launching = func(*autoscaling.LaunchInstancesInput) { w.must(w.aws.Suspend("a", "Launch")) }
			return increase(w)
		},
	} {
		for _, mode := range []asg.LaunchMode{asg.LaunchDesiredCapacity, asg.LaunchAuto, asg.LaunchSynchronous} {
			if mode != asg.LaunchAuto && strings.Contains(name, "since") {
				continue // there is no second call
			}
			t.Run(name+" "+string(mode), bubbled(func(t *testing.T) {
				w := newWorld(t, divided("a", 0, 3, 9)).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
				w.must(w.aws.Suspend("a", "Launch"))
				err := fails(w)
				require.Error(t, err)
				assert.ErrorContains(t, err, `"a"`)
				assert.ErrorContains(t, err, "aws autoscaling resume-processes --scaling-processes Launch --auto-scaling-group-name a")
				w.untouched()
				w.wantDesired(3)
			}))
		}
	}
}

func TestUnansweredPartOfAtomicLaunchEndsTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, zonal("a", 0, 0, 10)).with(synchronous).started()
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Params: map[string]string{"AvailabilityZones.member.1": "us-west-2b"}, Code: "InternalFailure"})
		assert.ErrorContains(t, w.cache.IncreaseAtomically(t.Context(), "a", "", 3), "2 were terminated again")
		w.wantDesired(0)
	})
}

// In the first minute, growth counts as a previous leader's. Our own increase, for which an atomic one waits, is not.
func TestAtomicLaunchBesideAnIncreaseLaunchesItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).with(func(o *asg.Options) { o.NoPredecessor = false }).started()
		gate := make(chan struct{})
		w.calls.launching = func(*autoscaling.LaunchInstancesInput) { <-gate }
		w.start("a", "", 2)
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- w.cache.IncreaseAtomically(t.Context(), "a", "", 2) }()
		synctest.Wait()
		close(gate)
		require.NoError(t, <-ended)
		w.answered()
		w.wantDesired(4)
	})
}

// AWS does not know an instance yet that it launched a moment ago.
func TestInstanceTooYoungToTerminateStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a", Available: 1})
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: "ValidationError", Message: "Instance Id not found - No managed instance found for instance ID: i-1"})
		err := w.cache.IncreaseAtomically(t.Context(), "a", "", 3)
		assert.ErrorContains(t, err, "AWS launched 1 instances of 3, and 0 were terminated again")
		assert.Equal(t, w.ids("a"), staying(t, err), "instances that stay")
	})
}

func TestForeignRaiseDuringLaunchStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 20)).with(synchronous).started()
	w.calls.beforeWrite = func() { assert.NoError(t, w.aws.SetDesired("a", 5)) }
	w.increasesTo(2, 7) // 5 of the other writer and 2 of ours
}

func TestForeignLaunchDuringRaiseIsRestored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 20)).started()
		w.calls.beforeWrite = func() {
			w.calls.beforeWrite = nil
			assert.NoError(t, w.aws.SetDesired("a", 5))
			w.listed(5)
		}
		w.increase(2)
		assert.Equal(t, [2]int{7, 7}, [2]int{w.desired("a"), w.group("a").DesiredCapacity}, "5 of the other writer and 2 of ours")
	})
}

func TestNextProcessRecognisesLastLaunch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWith(t, func(d *fakeaws.Delays) { d.Synchronous = ms(700) }, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.increase(1)
		next := w.with(nil).started()
		w.kill(1, true, func(w *world) error { return w.cache.Increase(t.Context(), "a", 2) })
		time.Sleep(200 * time.Millisecond) // of the 700 that AWS takes
		next.increasesTo(2, 3)
		next.knows(3, 3)
	})
}

func TestPredecessorsLaunchIsNotRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(synchronous).started()
	next := w.with(nil).started()
	w.increase(2)          // whose answer comes between the next one's decision and its write
	next.increasesTo(3, 4) // of the three, two had come
	next.knows(4, 4)
}

// heavier is a divided group that may have instances which count for four of the others.
func heavier(name string) fakeaws.AutoScalingGroup {
	return mixing(divided(name, 0, 0, 40), fakeaws.Override{InstanceType: "m5.2xlarge", WeightedCapacity: 4}, fakeaws.Override{InstanceType: "m5.large", WeightedCapacity: 1})
}

func TestHeavyInstancesAreFewer(t *testing.T) {
	for name, launch := range map[string]func(*world) error{
		"in a zone":      func(w *world) error { return zoneIncrease(w.cache, w.t.Context(), "a", "us-west-2b", 4) },
		"anywhere":       func(w *world) error { return w.cache.Increase(w.t.Context(), "a", 4) },
		"all or nothing": func(w *world) error { return w.cache.IncreaseAtomically(w.t.Context(), "a", "us-west-2b", 4) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newZonalWorld(t, heavier("a"))
			require.NoError(t, launch(w))
			g := w.group("a")
			// AWS launches the first type of the policy. Spread over three zones, each asks for a part.
			if most := map[bool]int{false: 4, true: 12}[name == "anywhere"]; w.desired("a") > most || w.desired("a") < 4 || g.DesiredCapacity != w.desired("a") {
				t.Errorf("%d units are desired (known %d), want 4 to %d", w.desired("a"), g.DesiredCapacity, most)
			}
		})
	}
}

func TestLaunchWithoutNamedTypesIsNotRepeated(t *testing.T) {
	w := newZonalWorld(t, heavier("a"))
	w.calls.untyped = true
	w.aws.ResetCalls()
	w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 8)) // two heavy ones
	assert.Equal(t, 1, w.aws.Calls()[launchCall], "launches")
	w.wantDesired(8)
}

func TestPredecessorsHeavyInstancesCountByWeight(t *testing.T) {
	w := newZonalWorld(t, heavier("a"))
	next := w.with(nil).started()
	w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 4))
	w.must(zoneIncrease(next.cache, t.Context(), "a", "us-west-2b", 4))
	assert.Equal(t, 4, w.desired("a"), "units that are desired, want the 4 that had come")
}

func TestDeniedSynchronousLaunchRaisesInstead(t *testing.T) {
	t.Parallel()
	shortage := fakeaws.Shortage{Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. " +
		"User: arn:aws:sts::123456789012:assumed-role/autoscaler/i is not authorized to perform: ec2:RunInstances"}
	w := newWorld(t, zonal("a", 0, 0, 10), scalingGroup("b", 0, 0, 10)).with(synchronous).started()
	w.aws.AddShortage(shortage)
	for _, name := range []string{"a", "b"} {
		w.must(w.cache.Increase(t.Context(), name, 2))
		assert.Equalf(t, 2, w.desired(name), "desired in group %s", name)
	}
	_, resting := w.cache.CoolDown(w.group("b"))
	assert.False(t, resting, "the group rests, although it can be raised")
	if got := w.cache.Fallbacks(); len(got) != 2 || got[1].Group != "b" || !strings.Contains(got[1].Remedy, `{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"}`) {
		t.Errorf("problems %+v, want the missing statement for each group", got)
	}

	w = newZonalWorld(t, divided("a", 0, 3, 9))
	w.aws.AddShortage(shortage)
	assert.ErrorIs(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1), asg.ErrNotZonal, "the group is not scaled zone by zone any more")
	w.isDivided(false, "after the refusal")
}

// A further Allow changes nothing.
func TestExplicitDenyOfALaunchIsTheOneToMend(t *testing.T) {
	t.Parallel()
	const deny = "an explicit deny in a service control policy: arn:aws:organizations::123456789012:policy/o-1/service_control_policy/p-1"
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "AccessDenied", Status: 403,
		Message: "User: arn:aws:sts::123456789012:assumed-role/ca/x is not authorized to perform: autoscaling:LaunchInstances with " + deny})
	w.increase(1)
	problems := w.cache.Fallbacks()
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Remedy, "from the explicit deny of autoscaling:LaunchInstances in a service control policy: arn:aws:organizations:")
	assert.NotContains(t, problems[0].Remedy, `"Effect":"Allow"`)
}

// The older call would need the subscription, too, and fail minutes later.
func TestAccountThatMayNotLaunchAtAllIsALaunchFailure(t *testing.T) {
	t.Parallel()
	for code, message := range map[string]string{
		"OptInRequired": "In order to use this AWS Marketplace product you need to accept terms and subscribe.",
		"Blocked":       "This account is currently blocked and not recognized as a valid account.",
	} {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.aws.AddShortage(fakeaws.Shortage{Code: code, Message: message})
		assert.ErrorContains(t, w.cache.Increase(t.Context(), "a", 1), message)
		assert.Emptyf(t, w.cache.Fallbacks(), "%s: fallbacks", code)
		assert.Zerof(t, w.aws.Calls()[desiredCall], "%s: raises of the desired capacity", code)
		p, refused := w.cache.Refused(w.group("a"))
		assert.Truef(t, refused && p.Class == awsmessage.Permission, "%s: cool-down %+v", code, p)
	}
}

// LaunchInstances itself was allowed.
func TestDenialWithoutAnActionNamesTheMissingOne(t *testing.T) {
	t.Parallel()
	for action, denial := range map[string]fakeaws.Shortage{
		"ssm:GetParameters": {Code: "SsmAccessDenied", Message: "Access denied to SSM"},
		"ec2:CreateFleet":   {Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation."},
		"iam:CreateServiceLinkedRole": {Code: "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
			Message: "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances."},
	} {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.aws.AddShortage(denial)
		w.increase(1)
		problems := w.cache.Fallbacks()
		require.Len(t, problems, 1, action)
		assert.Contains(t, problems[0].Remedy, `"Action":"`+action+`"`)
	}
}

func TestEmptyAnswerRaisesWhatHasNotCome(t *testing.T) {
	t.Parallel()
	for name, launches := range map[string]bool{"AWS does nothing": false, "AWS launches": true} {
		t.Run(name, bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(synchronous).started()
			calls := 0
			w.calls.answersEmpty, w.calls.launching = true, func(*autoscaling.LaunchInstancesInput) {
				if calls++; launches {
					w.setDesired(3)
				}
			}
			w.increasesTo(2, 3)
			w.increasesTo(1, 4)
			assert.Equal(t, 1, calls, "launches, want none after the empty answer")
			only := w.with(func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }).started()
			only.calls.answersEmpty = true
			assert.ErrorContains(t, only.cache.Increase(t.Context(), "a", 1), "neither instances nor errors", "in synchronous mode")
			w.wantDesired(4)
		}))
	}
	t.Run("zone by zone", bubbled(func(t *testing.T) {
		w := newZonalWorld(t, divided("a", 0, 3, 9))
		w.calls.answersEmpty = true
		assert.ErrorIs(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1), asg.ErrNotZonal)
		w.isDivided(false, "after the empty answer")
		w.increasesTo(1, 4)
	}))
}
