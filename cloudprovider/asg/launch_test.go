package asg_test

import (
	"errors"
	"fmt"
	"slices"
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

func TestInstancesAreLaunchedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(synchronous).started()
	w.aws.ResetCalls()
	err := w.cache.Increase(t.Context(), "a", 3)
	g := w.group("a")
	require.NoError(t, err)
	assert.Truef(t, len(g.Counted()) == 4 && g.Missing() == 0 && g.DesiredCapacity == 4 && w.desired("a") == 4,
		"%d instances, %d missing, of a desired capacity of %d (AWS %d), want 4, 0, 4", len(g.Counted()), g.Missing(), g.DesiredCapacity, w.desired("a"))
	want := map[string]int{"DescribeAutoScalingGroups": 1, launchCall: 1}
	assert.Empty(t, cmp.Diff(want, w.aws.Calls()), "calls (-want +got)")
	state, _ := w.aws.Group("a")
	for _, i := range state.Instances {
		assert.Truef(t, slices.Contains(w.ids("a"), i.ID), "instance %s of AWS is not known", i.ID)
	}
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
	err := w.cache.Increase(t.Context(), "a", 6)
	g := w.group("a")
	require.Truef(t, err == nil && len(g.Counted()) == 6, "launched %d, error %v, want 6", len(g.Counted()), err)
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
	err := w.cache.Increase(t.Context(), "a", 5)
	var failed *asg.LaunchError
	pool := cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: "on-demand"}
	require.Truef(t, errors.As(err, &failed) && len(failed.Failures) == 1 && failed.Failures[0].Class == awsmessage.NoCapacity && failed.Failures[0].Pool == pool,
		"error = %v, want no capacity in %s", err, pool)
	assert.True(t, w.wakes(), "nobody is told that another group has to help")
	for _, name := range []string{"a", "b"} { // b launches in the same pool
		rest, resting := w.cache.CoolDown(w.group(name))
		assert.Truef(t, resting && rest.Pool == pool && rest.Until.Sub(now.Now()) == 3*time.Minute,
			"group %s rests: %t, %+v, want for three minutes in %s", name, resting, rest, pool)
	}
	w.aws.ResetCalls()
	if err := w.cache.Increase(t.Context(), "b", 5); !errors.As(err, &failed) || w.aws.Calls()[launchCall] != 0 {
		t.Errorf("error = %v after %d calls, want a LaunchError without one", err, w.aws.Calls()[launchCall])
	}
	now.Step(3*time.Minute + time.Second)
	for _, name := range []string{"a", "b"} {
		rest, resting := w.cache.CoolDown(w.group(name))
		assert.Falsef(t, resting, "group %s still rests: %+v", name, rest)
	}
	w.aws.ResetCalls()
	err = w.cache.Increase(t.Context(), "a", 5)
	assert.Error(t, err, "launched where there is no capacity")
	log := w.aws.CallLog()
	assert.Equalf(t, 1, w.aws.Calls()[launchCall], "calls %+v, want one probe", log)
	now.Step(3*time.Minute + time.Second)
	w.aws.ClearShortages(shortage)
	w.aws.ResetCalls()
	err = w.cache.Increase(t.Context(), "a", 5)
	if g := w.group("a"); err != nil || len(g.Counted()) != 5 || w.aws.Calls()[launchCall] != 2 {
		t.Errorf("launched %d by %d calls, error %v, want 5: one as a probe, then the rest", len(g.Counted()), w.aws.Calls()[launchCall], err)
	}
}

func TestRaisedGroups(t *testing.T) {
	t.Parallel()
	half, none := 50, 0
	policy := func(base int, above *int) *fakeaws.MixedInstancesPolicy {
		return &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"},
			Distribution: fakeaws.Distribution{OnDemandBaseCapacity: base, OnDemandPercentageAboveBaseCapacity: above},
			Overrides:    []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m5a.large"}}}
	}
	for _, tt := range []struct {
		name    string
		change  func(*fakeaws.AutoScalingGroup)
		fault   fakeaws.Fault
		raised  bool
		refused bool // the call is tried
	}{
		{name: "launch template"},
		{name: "policy wholly on demand", change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(0, nil) }},
		{name: "policy wholly spot", change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(0, &none) }},
		{name: "on-demand base", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(1, &none) }},
		{name: "half of each", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.MixedInstancesPolicy = nil, policy(0, &half) }},
		{name: "launch configuration", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.LaunchConfiguration = nil, "old" }},
		{name: "warm pool", raised: true, change: func(g *fakeaws.AutoScalingGroup) { g.WarmPool = &fakeaws.WarmPool{Min: 1} }},
		{name: "not supported", raised: true, refused: true, fault: fakeaws.Fault{Code: "UnsupportedOperation"}},
		{name: "not allowed", raised: true, refused: true, fault: fakeaws.Fault{Code: "AccessDenied"}},
		{name: "not known", raised: true, refused: true, fault: fakeaws.Fault{Code: "InvalidAction"}},
		{name: "not known by another's code", raised: true, refused: true, fault: fakeaws.Fault{Code: "UnknownOperation"}},
		{name: "not found", raised: true, refused: true, fault: fakeaws.Fault{Code: "ActionNotFound", Status: 404}},
		{name: "not found, without a code", raised: true, refused: true, fault: fakeaws.Fault{Code: "NotFound", Status: 404, Body: fakeaws.Garbled}},
		{name: "not implemented", raised: true, refused: true, fault: fakeaws.Fault{Code: "NotImplemented", Status: 501}},
		{name: "not implemented, by another's code", raised: true, refused: true, fault: fakeaws.Fault{Code: "NotImplementedError", Status: 501}},
		{name: "a code that nobody knows", raised: true, refused: true, fault: fakeaws.Fault{Code: "Nonsense"}},
		{name: "not valid", raised: true, refused: true, fault: fakeaws.Fault{Code: "ValidationError"}},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			g := scalingGroup("a", 0, 0, 10)
			if tt.change != nil {
				tt.change(&g)
			}
			w := newWorld(t, g).with(synchronous).started()
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
			got := map[string]int{}
			for _, call := range []string{launchCall, desiredCall} {
				if n := w.aws.Calls()[call]; n > 0 {
					got[call] = n
				}
			}
			diff := cmp.Diff(want, got)
			assert.Truef(t, diff == "" && w.desired("a") == 2, "desired capacity %d, calls (-want +got):\n%s", w.desired("a"), diff)
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
		calls := w.aws.Calls()[launchCall]
		w.increase(1)
		again := w.aws.Calls()[launchCall] - calls
		assert.Truef(t, w.desired("a") == 3 && again == 0, "desired capacity %d, %d more launches, want 3, and none for a minute", w.desired("a"), again)
		only := w.with(func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }).started()
		err := only.cache.Increase(t.Context(), "a", 1)
		assert.Truef(t, err != nil && w.desired("a") == 3, "in synchronous mode: error %v, desired capacity %d, want an error and 3", err, w.desired("a"))
	})
}

func TestThrottledAtomicLaunchIsTriedAgainAsOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "Throttling", Status: 400})
		if err := w.cache.IncreaseAtomically(t.Context(), "a", "", 2); err == nil || errors.Is(err, asg.ErrNotAtomic) || w.desired("a") != 0 {
			t.Errorf("error %v, desired capacity %d, want the throttle and 0", err, w.desired("a"))
		}
	})
}

func TestInvalidCredentialsAreNoRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "ExpiredToken", Status: 403, Times: 1})
	assert.Error(t, w.cache.Increase(t.Context(), "a", 1), "an increase with expired credentials succeeds")
	assert.Empty(t, w.cache.Fallbacks(), "fallbacks")
	w.increase(1)
	got := w.aws.Calls()[launchCall]
	assert.Truef(t, got == 2 && w.aws.Calls()[desiredCall] == 0, "%d launches and %d raises, want 2 and none", got, w.aws.Calls()[desiredCall])
}

func TestUnsupportedGroupKeepsOthersSynchronous(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10), scalingGroup("b", 0, 0, 10)).with(synchronous).started()
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Group: "a", Code: "UnsupportedOperation"})
	for _, name := range []string{"a", "b", "a"} {
		w.must(w.cache.Increase(t.Context(), name, 1))
	}
	want := map[string]int{launchCall: 2, desiredCall: 2}
	got := map[string]int{launchCall: w.aws.Calls()[launchCall], desiredCall: w.aws.Calls()[desiredCall]}
	assert.Empty(t, cmp.Diff(want, got), "calls (-want +got)")
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
			err := w.cache.Increase(t.Context(), "a", 2)
			g := w.group("a")
			require.Truef(t, err == nil && len(g.Counted()) == 2, "launched %d, error %v, want 2", len(g.Counted()), err)
			w.awsHas(2, 2)
		}))
	}
}

func TestProcessAfterKilledOneLaunchesNothingTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		delays := quick
		delays.Synchronous = ms(700)
		w := newWorldWith(t, delays, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		next, other := w.with(nil).started(), w.with(nil).started()
		w.kill(1, true, func(w *world) error { return w.cache.Increase(t.Context(), "a", 3) })
		time.Sleep(200 * time.Millisecond) // of the 700 that AWS takes
		// Another number is not launched beside a launch of which nothing is known.
		assert.Error(t, other.cache.Increase(t.Context(), "a", 4), "another number was launched beside a launch of which nothing is known")
		// The same again is the same launch.
		err := next.cache.Increase(t.Context(), "a", 3)
		g := next.group("a")
		assert.Truef(t, err == nil && len(g.Counted()) == 3, "launched %d, error %v, want the 3 that were launched", len(g.Counted()), err)
		w.awsHas(3, 3)
	})
}

func TestUnshownInstancesAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		delays := quick
		delays.Listed = ms(500)
		w := newWorldWith(t, delays, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.increase(2)
		for range 10 {
			w.refresh()
			if g := w.group("a"); len(g.Counted()) != 2 || g.DesiredCapacity != 2 {
				t.Fatalf("%d instances of %d desired, want 2 of 2 in every reading", len(g.Counted()), g.DesiredCapacity)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestAtomicLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zonal("a", 0, 1, 10)).with(synchronous).started()
	err := w.cache.IncreaseAtomically(t.Context(), "a", "", 3)
	g := w.group("a")
	require.Truef(t, err == nil && len(g.Counted()) == 4, "launched %d, error %v, want 4", len(g.Counted()), err)
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large", Available: 2})
	err = w.cache.IncreaseAtomically(t.Context(), "a", "", 3)
	assert.Error(t, err, "no error although AWS had two of three")
	if got := w.desired("a"); got != 4 || w.group("a").DesiredCapacity != 4 {
		t.Errorf("desired capacity is %d (snapshot %d), want 4: two were given back", got, w.group("a").DesiredCapacity)
	}
	var limit *group.LimitError
	err = w.cache.IncreaseAtomically(t.Context(), "a", "", 7)
	assert.Truef(t, errors.As(err, &limit) && w.desired("a") == 4, "error = %v, want a LimitError", err)
	raised := w.with(func(o *asg.Options) { o.LaunchMode = asg.LaunchDesiredCapacity }).started()
	err = raised.cache.IncreaseAtomically(t.Context(), "a", "", 1)
	assert.Truef(t, errors.Is(err, asg.ErrNotAtomic) && w.desired("a") == 4, "error = %v, want ErrNotAtomic", err)
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
	w.calls.beforeWrite = func() {
		assert.NoError(t, w.aws.SetDesired("a", 5))
	}
	w.increase(2)
	got, kills := w.desired("a"), w.kills()
	assert.Truef(t, got == 7 && len(kills) == 0, "desired capacity is %d and Auto Scaling killed %v, want 5 of the other writer and 2 of ours", got, kills)
}

func TestForeignLaunchDuringRaiseIsRestored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 20)).started()
		once := true
		w.calls.beforeWrite = func() {
			if !once {
				return
			}
			once = false
			assert.NoError(t, w.aws.SetDesired("a", 5))
			w.listed(5)
		}
		err := w.cache.Increase(t.Context(), "a", 2)
		g := w.group("a")
		require.NoError(t, err)
		got := w.desired("a")
		assert.Truef(t, got == 7 && g.DesiredCapacity == 7, "desired capacity is %d (returned %d), want 5 of the other writer and 2 of ours", got, g.DesiredCapacity)
	})
}

func TestNextProcessRecognisesLastLaunch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		delays := quick
		delays.Synchronous = ms(700)
		w := newWorldWith(t, delays, scalingGroup("a", 0, 0, 10)).with(synchronous).started()
		w.increase(1)
		next := w.with(nil).started()
		w.kill(1, true, func(w *world) error { return w.cache.Increase(t.Context(), "a", 2) })
		time.Sleep(200 * time.Millisecond) // of the 700 that AWS takes
		err := next.cache.Increase(t.Context(), "a", 2)
		if g := next.group("a"); err != nil || len(g.Counted()) != 3 || w.desired("a") != 3 {
			t.Errorf("there are %d of %d desired, error %v, want the 3 that were launched", len(g.Counted()), w.desired("a"), err)
		}
	})
}

func TestPredecessorsLaunchIsNotRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 10)).with(synchronous).started()
	next := w.with(nil).started()
	w.increase(2) // whose answer comes between the next one's decision and its write
	err := next.cache.Increase(t.Context(), "a", 3)
	if g := next.group("a"); err != nil || len(g.Counted()) != 4 || w.desired("a") != 4 {
		t.Errorf("there are %d of %d desired, error %v, want 4: of the three, two had come", len(g.Counted()), w.desired("a"), err)
	}
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
	err := zoneIncrease(next.cache, t.Context(), "a", "us-west-2b", 4)
	assert.Truef(t, err == nil && next.desired("a") == 4, "%d units are desired, error %v, want the 4 that had come", next.desired("a"), err)
}

func TestDeniedSynchronousLaunchRaisesInstead(t *testing.T) {
	t.Parallel()
	shortage := fakeaws.Shortage{Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. " +
		"User: arn:aws:sts::123456789012:assumed-role/autoscaler/i is not authorized to perform: ec2:RunInstances"}
	w := newWorld(t, zonal("a", 0, 0, 10), scalingGroup("b", 0, 0, 10)).with(synchronous).started()
	w.aws.AddShortage(shortage)
	for _, name := range []string{"a", "b"} {
		err := w.cache.Increase(t.Context(), name, 2)
		assert.Truef(t, err == nil && w.desired(name) == 2, "group %s: %d instances are desired, error %v, want 2", name, w.desired(name), err)
	}
	_, resting := w.cache.CoolDown(w.group("b"))
	assert.False(t, resting, "the group rests, although it can be raised")
	if got := w.cache.Fallbacks(); len(got) != 2 || got[1].Group != "b" || !strings.Contains(got[1].Remedy, `{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"}`) {
		t.Errorf("problems %+v, want the missing statement for each group", got)
	}

	w = newZonalWorld(t, divided("a", 0, 3, 9))
	w.aws.AddShortage(shortage)
	err := zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1)
	assert.ErrorIs(t, err, asg.ErrNotZonal, "error, want one that says that the group is not scaled zone by zone any more")
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
