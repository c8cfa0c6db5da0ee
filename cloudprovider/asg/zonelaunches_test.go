package asg_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// untouched fails if the desired capacity was ever set, or an instance was ended by AWS's own choice.
func (w *world) untouched() {
	w.t.Helper()
	n, kills := w.aws.Calls()[desiredCall], w.kills()
	assert.Truef(w.t, n <= 0 && len(kills) == 0, "the desired capacity was set %d times for a zone, and AWS ended %v", n, kills)
}

// view is the zonal view of the group a in the zone with the letter.
func (w *world) view(letter string) *group.Group {
	w.t.Helper()
	views, _, problems := w.cache.NodeGroups(w.group("a"))
	at := slices.IndexFunc(views, func(v *group.Group) bool { return v.Zone == "us-west-2"+letter })
	require.Truef(w.t, at >= 0, "the group has no view in %s: %+v", letter, problems)
	return views[at]
}

// sizes are the targets of the views of the group a, by the last letter of their zone.
func (w *world) sizes() map[string]int {
	w.t.Helper()
	views, _, _ := w.cache.NodeGroups(w.group("a"))
	sizes := map[string]int{}
	for _, v := range views {
		sizes[v.Zone[max(0, len(v.Zone)-1):]] = v.TargetInstances()
	}
	return sizes
}

func TestInstancesLaunchInNamedZone(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 3, 150))
	w.aws.ResetCalls()
	for _, more := range []struct {
		zone string
		n    int
		want map[string]int
	}{
		{"us-west-2c", 4, map[string]int{"a": 1, "b": 1, "c": 5}},
		{"us-west-2a", 1, map[string]int{"a": 2, "b": 1, "c": 5}},
		{"us-west-2c", 101, map[string]int{"a": 2, "b": 1, "c": 106}},
	} {
		w.must(zoneIncrease(w.cache, t.Context(), "a", more.zone, more.n))
		assert.Emptyf(t, cmp.Diff(more.want, w.perZone("a")), "instances by zone after %d more in %s (-want +got)", more.n, more.zone)
		assert.Emptyf(t, cmp.Diff(more.want, w.sizes()), "views after %d more in %s (-want +got)", more.n, more.zone)
		assert.Equal(t, [2]int{0, w.desired("a")}, [2]int{w.group("a").Missing(), w.group("a").DesiredCapacity}, "missing and desired")
	}
	assert.Empty(t, cmp.Diff(map[string]int{"DescribeAutoScalingGroups": 3, launchCall: 4}, w.aws.Calls()), "calls (-want +got)")
}

func TestZonesShareTheRoomOfTheirGroup(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 3, 7))
	errs := w.cache.IncreaseZones(t.Context(), "a", map[string]int{"us-west-2a": 3, "us-west-2b": 3, "us-west-2c": 1})
	var limit *group.LimitError
	assert.Truef(t, len(errs) == 1 && errors.As(errs["us-west-2c"], &limit) && limit.LimitIsMost && limit.Limit == 7 && w.desired("a") == 7,
		"%d are desired, errors %v, want the maximum of 7, and a LimitError in c", w.desired("a"), errs)
	w.untouched()
}

func TestDeniedZonalLaunchMakesGroupWhole(t *testing.T) {
	t.Parallel()
	for _, mode := range []asg.LaunchMode{asg.LaunchAuto, asg.LaunchSynchronous} {
		for name, launch := range map[string]func(*world) error{
			"IncreaseZones": func(w *world) error {
				return zoneIncrease(w.cache, w.t.Context(), "a", "us-west-2b", 2)
			},
			"IncreaseAtomically": func(w *world) error {
				return w.cache.IncreaseAtomically(w.t.Context(), "a", "us-west-2b", 2)
			},
		} {
			for _, code := range []string{"AccessDenied", "InvalidAction", "ValidationError"} {
				t.Run(string(mode)+" "+name+" "+code, bubbled(func(t *testing.T) {
					w := newWorld(t, divided("a", 0, 3, 9)).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
					w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: code})
					w.wakes()
					err := launch(w)
					assert.Truef(t, errors.Is(err, asg.ErrNotZonal) && strings.Contains(err.Error(), "us-west-2b") && strings.Contains(err.Error(), `"a"`),
						"error = %v, want ErrNotZonal with group and zone", err)
					assert.True(t, w.wakes(), "nobody is told that the group is another")
					w.isDivided(false, "after the refusal")
					assert.Equal(t, [2]int{3, 1}, [2]int{w.desired("a"), w.perZone("a")["b"]}, "desired, and instances in the zone")
					assert.ErrorIs(t, launch(w), asg.ErrNotZonal, "again")
					assert.Equal(t, 1, w.aws.Calls()[launchCall], "calls")
					w.untouched()
					for range 3 { // as long as it is denied or unknown, no launch in a zone fails
						time.Sleep(16 * time.Minute)
						w.isDivided(code == "ValidationError", "16 minutes later")
						if mode == asg.LaunchAuto && code != "ValidationError" {
							w.must(w.cache.Increase(w.t.Context(), "a", 1))
							w.isDivided(false, "after a launch that tried the call again")
						}
					}
				}))
			}
		}
	}
}

func TestFullOrGoneGroupKeepsZoneGroups(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		meanwhile func(w *world) error
	}{
		{name: "others have asked for the rest", meanwhile: func(w *world) error { return w.aws.SetDesired("a", 4) }},
		{name: "the maximum is lower", meanwhile: func(w *world) error { return w.aws.SetLimits("a", 0, 2) }},
		{name: "others have asked for the rest, and readings are throttled", meanwhile: func(w *world) error {
			w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "Throttling", Times: 1})
			return w.aws.SetDesired("a", 4)
		}},
		{name: "the group is gone, and is back before it is read", meanwhile: func(w *world) error {
			w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "ValidationError", Message: "AutoScalingGroup name not found - AutoScalingGroup: a not found", Times: 1})
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newZonalWorld(t, divided("a", 0, 2, 4))
			w.calls.beforeWrite = sync.OnceFunc(func() { assert.NoError(t, tt.meanwhile(w)) })
			assert.Error(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2c", 1), "the launch succeeded")
			w.isDivided(true, "after the refusal")
			w.must(w.aws.SetLimits("a", 0, 9))
			assert.NoError(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2c", 1), "with room again")
		})
	}
}

func TestGroupChangedBeforeLaunchGetsNoZonalLaunch(t *testing.T) {
	t.Parallel()
	half := 50
	false_ := "false"
	for name, change := range map[string]func(*fakeaws.Server) error{
		"AZRebalance resumed": func(aws *fakeaws.Server) error { return aws.Resume("a", "AZRebalance") },
		"tag changed":         func(aws *fakeaws.Server) error { return aws.SetTags("a", map[string]*string{asg.TagZonal: &false_}) },
		"tag removed":         func(aws *fakeaws.Server) error { return aws.SetTags("a", map[string]*string{asg.TagZonal: nil}) },
		"one zone left": func(aws *fakeaws.Server) error {
			return aws.EditGroup("a", fakeaws.GroupEdit{Zones: []string{"us-west-2b"}})
		},
		"policy that mixes": func(aws *fakeaws.Server) error {
			return aws.EditGroup("a", fakeaws.GroupEdit{MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{
				LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"},
				Distribution:   fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: &half}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newZonalWorld(t, divided("a", 0, 3, 9))
			w.must(change(w.aws)) // the Cache does not know
			w.isDivided(true, "by the reading before")
			w.aws.ResetCalls()
			assert.ErrorIs(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1), asg.ErrNotZonal)
			assert.True(t, w.wakes(), "nobody is told that the group is another")
			assert.ErrorIs(t, w.cache.IncreaseAtomically(t.Context(), "a", "us-west-2b", 1), asg.ErrNotZonal)
			assert.True(t, w.wakes(), "nobody is told that the group is another")
			assert.Equal(t, [2]int{0, 3}, [2]int{w.aws.Calls()[launchCall], w.desired("a")}, "launches and desired capacity")
			w.untouched()
			w.isDivided(false, "by the reading for the launch")
			w.increase(1) // as one group it goes on
			assert.Equal(t, 4, w.group("a").DesiredCapacity, "desired capacity as one group")
		})
	}
}

func TestRemovedZoneGetsNoLaunch(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 3, 9))
	w.must(w.aws.EditGroup("a", fakeaws.GroupEdit{Zones: []string{"us-west-2a", "us-west-2b"}}))
	for _, zone := range []string{"us-west-2c", "us-west-2d"} { // one in which it has an instance, and one that it never had
		assert.ErrorIsf(t, zoneIncrease(w.cache, t.Context(), "a", zone, 1), asg.ErrNotZonal, "a launch in %s", zone)
		assert.ErrorIsf(t, w.cache.IncreaseAtomically(t.Context(), "a", zone, 1), asg.ErrNotZonal, "all or nothing in %s", zone)
	}
	v := w.view("c")
	assert.Equal(t, [3]int{1, 1, 1}, [3]int{v.TargetInstances(), v.MaxInstances(), v.MostInstances()}, "target and limits of the view of the zone")
	assert.Equal(t, [2]int{0, 3}, [2]int{w.aws.Calls()[launchCall], w.desired("a")}, "launches and desired capacity")
	w.untouched()
}

func TestZoneLimitsHoldForOneZone(t *testing.T) {
	t.Parallel()
	config := having(divided("a", 0, 3, 9))
	discovery, err := ownership.ParseDiscovery([]string{"0:3:a/us-west-2b", "2:9:a/us-west-2c"}, []string{"asg:tag=" + discoveryTag})
	require.NoError(t, err)
	w := newWorldOf(t, config, discovery).with(synchronous).started()
	for letter, want := range map[string][3]int{"a": {0, 4, 7}, "b": {0, 3, 3}, "c": {2, 2, 7}} { // of 9, six are left: 4, 3 and 2 more
		v := w.view(letter)
		assert.Truef(t, v.MinInstances() == want[0] && v.MostInstances() == want[2],
			"%s has limits of %d and %d, want %v", v.ID(), v.MinInstances(), v.MostInstances(), want)
	}
	w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 5))
	require.Equal(t, 5, w.group("a").DesiredCapacity, "desired capacity, want two more")
	err = zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1)
	var limit *group.LimitError
	assert.Truef(t, errors.As(err, &limit) && *limit == (group.LimitError{Group: "a/us-west-2b", Desired: 4, Limit: 3, LimitIsMost: true}),
		"error = %v, want a LimitError of 4 over 3 of the view", err)
	assert.ErrorAs(t, w.cache.IncreaseAtomically(t.Context(), "a", "us-west-2b", 1), &limit, "all or nothing")
	w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2c", 9))
	assert.Empty(t, cmp.Diff(map[string]int{"a": 1, "b": 3, "c": 5}, w.perZone("a")), "instances by zone (-want +got)")
	assert.ErrorAs(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2c", 1), &limit, "beyond the maximum of the group")
	want := []group.Limit{{Size: 9, Needs: 10}, {Flag: "0:3:a/us-west-2b", Size: 3, Needs: 4}}
	assert.Empty(t, cmp.Diff(want, w.view("b").AtMax(w.group("a"))), "what keeps the view from growing (-want +got)")
	w.untouched()
}

func TestReachedLimitsNameTheirSettings(t *testing.T) {
	t.Parallel()
	config := having(scalingGroup("free", 0, 1, 5), scalingGroup("flag", 0, 2, 5), scalingGroup("both", 1, 2, 2), managed("managed", 1, 1, 1))
	discovery, err := ownership.ParseDiscovery([]string{"2:2:flag", "2:2:both"}, []string{"asg:tag=" + discoveryTag})
	require.NoError(t, err)
	w := newWorldOf(t, config, discovery).started()
	for name, want := range map[string][2][]group.Limit{
		"free":    {},
		"flag":    {{{Flag: "2:2:flag", Size: 2, Needs: 1}}, {{Flag: "2:2:flag", Size: 2, Needs: 3}}},
		"both":    {{{Flag: "2:2:both", Size: 2, Needs: 1}}, {{Size: 2, Needs: 3}, {Flag: "2:2:both", Size: 2, Needs: 3}}},
		"managed": {{{Size: 1, Needs: 0}}, {{Size: 1, Needs: 2}}},
	} {
		g := w.group(name)
		assert.Emptyf(t, cmp.Diff(want, [2][]group.Limit{g.AtMin(g), g.AtMax(g)}), "%s, at its minimum and its maximum (-want +got)", name)
		if n := g.ManagedNodegroup(); (n.Cluster == "prod" && n.Name == "workers") != (name == "managed") {
			t.Errorf("%s is of the managed node group %q of cluster %q", name, n.Name, n.Cluster)
		}
	}
}

func TestZoneLimitsSelectGroup(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, having(divided("a", 0, 3, 9), divided("b", 0, 3, 9)), named(t, "0:2:a/us-west-2b")).with(synchronous).started()
	require.Equal(t, []string{"a"}, names(w.cache.Snapshot()), "groups")
	w.isDivided(true, "named by one of its zones")
	assert.Equal(t, [2]int{2, 7}, [2]int{w.view("b").MostInstances(), w.view("c").MostInstances()}, "most in b, and in c all that is left")
}

func TestZoneWithoutCapacityCoolsDownAlone(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 0, 20))
	w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2b"})
	w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2c", Available: 1})
	w.wakes()
	pool := cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2b", CapacityType: "on-demand"}
	noCapacity(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 2), pool)
	assert.True(t, w.wakes(), "nobody is told that another zone has to help")
	w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2c", 3)) // which has one
	w.knows(1, 1)
	for letter, want := range map[string]bool{"a": false, "b": true, "c": true} {
		if rest, rests := w.cache.CoolDown(w.view(letter)); rests != want || rests && rest.Zone != "us-west-2"+letter {
			t.Errorf("%s rests: %t (%+v), want %t", letter, rests, rest, want)
		}
	}
	_, rests := w.cache.CoolDown(w.group("a"))
	assert.False(t, rests, "the whole group rests")
	w.aws.ResetCalls()
	var failed *asg.LaunchError
	require.ErrorAs(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 2), &failed)
	assert.Equal(t, pool, failed.Failures[0].Pool, "pool that is left alone")
	assert.Len(t, w.aws.Calls(), 1, "calls, want a reading alone")
	assert.NoError(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2a", 2), "in another zone")
	assert.Empty(t, cmp.Diff(map[string]int{"a": 2, "c": 1}, w.perZone("a")), "instances by zone (-want +got)")
	w.untouched()
}

func TestAtomicLaunchInZone(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 0, 20))
	w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2b", Available: 1})
	assert.Error(t, w.cache.IncreaseAtomically(t.Context(), "a", "us-west-2b", 2), "no error although the zone had one of two")
	assert.Equal(t, 0, w.desired("a"), "desired capacity: one was given back")
	w.must(w.cache.IncreaseAtomically(t.Context(), "a", "us-west-2c", 2))
	w.knows(2, 2)
	assert.Equal(t, 2, w.perZone("a")["c"], "instances in c")
	w.untouched()
}

func TestProcessChangeOfFormLosesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		next func(*asg.Options)
		want map[string]int
	}{
		{"as views again", nil, map[string]int{"a": 1, "b": 3, "c": 1}},
		{"as one group", func(o *asg.Options) { o.ZonalGroups = asg.ZonalOff }, map[string]int{"": 5}},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			w := newWorldWith(t, func(d *fakeaws.Delays) { d.Synchronous = ms(500) }, divided("a", 0, 3, 9)).with(synchronous).started()
			w.kill(1, true, func(w *world) error { return zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 2) })
			time.Sleep(100 * time.Millisecond) // of the 500 that AWS takes: then the process is killed
			next := w.with(tt.next).started()
			if tt.next == nil {
				w.must(zoneIncrease(next.cache, t.Context(), "a", "us-west-2b", 2))
				next.knows(5, 5) // with the two that were launched before
			}
			next.eventually(func() string {
				next.refresh()
				return cmp.Diff(tt.want, next.sizes())
			})
			w.awsHas(5, 5)
			w.untouched()
		}))
	}
}

func TestGroupRequestIsWithdrawableThroughZoneGroups(t *testing.T) {
	t.Parallel()
	whole := divided("a", 1, 3, 9)
	whole.SuspendedProcesses = nil
	w := newWorld(t, whole)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	next := w.with(synchronous).started()
	next.calls.between.Store(true)
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "UnsupportedOperation", Times: 1})
	next.increase(4)
	w.must(w.aws.Suspend("a", "AZRebalance"))
	next.refresh()
	next.isDivided(true, "with AZRebalance suspended")
	assert.Empty(t, cmp.Diff(map[string]int{"a": 3, "b": 2, "c": 2}, next.sizes()), "targets (-want +got)")
	withdrawable := func() (sum int) {
		views, _, _ := next.cache.NodeGroups(next.group("a"))
		for _, v := range views {
			sum += v.Withdrawable()
		}
		return sum
	}
	assert.Equal(t, 4, withdrawable(), "can be withdrawn through the views")
	taken, err := next.cache.Withdraw(t.Context(), "a", next.view("a").Withdrawable())
	assert.Truef(t, err == nil && taken == 2, "withdrew %d, %v, want what was missing in a", taken, err)
	assert.Equal(t, [2]int{2, 5}, [2]int{withdrawable(), w.desired("a")}, "can be withdrawn after that, and desired")
	w.must(w.aws.Resume("a", "AZRebalance"))
	next.refresh()
	next.isDivided(false, "with AZRebalance resumed")
	taken, err = next.cache.Withdraw(t.Context(), "a", 9)
	assert.Truef(t, err == nil && taken == 2 && next.group("a").DesiredCapacity == 3, "as one group: withdrew %d, %v, want the other 2", taken, err)
	assert.Empty(t, w.kills(), "AWS ended")
}

func TestPredecessorsLaunchCountsInItsZone(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]map[string]int{
		"us-west-2b": {"a": 1, "b": 4, "c": 1}, // of three, two had come
		"us-west-2c": {"a": 1, "b": 3, "c": 4},
	} {
		w := newZonalWorld(t, divided("a", 0, 3, 20))
		next := w.with(nil).started()
		w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 2)) // between the next one's decision and its write
		next.must(zoneIncrease(next.cache, t.Context(), "a", zone, 3))
		assert.Emptyf(t, cmp.Diff(want, w.perZone("a")), "three in %s, instances by zone (-want +got)", zone)
	}
}

func TestZonalLaunchWaitsForShortTrouble(t *testing.T) {
	t.Parallel()
	for _, fault := range []fakeaws.Fault{
		{Code: "ResourceContention", Status: 500, For: ms(5500)}, // AWS is at the launch in another zone
		{Code: "Throttling", Times: 1},
	} {
		test := func(t *testing.T) {
			w := newZonalWorld(t, divided("a", 0, 3, 9))
			fault.Action, fault.Params = launchCall, map[string]string{"AvailabilityZones.member.1": "us-west-2b"}
			w.aws.Inject(fault)
			errs := w.cache.IncreaseZones(t.Context(), "a", map[string]int{"us-west-2a": 1, "us-west-2b": 1})
			if _, resting := w.cache.CoolDown(w.view("b")); len(errs) > 0 || resting || w.perZone("a")["b"] != 2 {
				t.Errorf("errors %v, b rests: %v, instances by zone %v, want another in b", errs, resting, w.perZone("a"))
			}
		}
		if fault.For > 0 { // the SDK's pace after a throttled call needs time that passes
			test = bubbled(test)
		}
		t.Run(fault.Code, test)
	}
}

// An endpoint other than AWS's may answer a call that it does not know with a fault. Pods may need one zone, so that no second one is asked.
func TestGroupIsWholeWhereNoLaunchWasEverAnswered(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprintf("answered before %t", known), bubbled(func(t *testing.T) {
			w := newZonalWorld(t, divided("a", 0, 0, 9))
			if known {
				w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2a", 1))
			}
			before := w.desired("a")
			w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InternalFailure"})
			err := w.cache.IncreaseZones(t.Context(), "a", map[string]int{"us-west-2b": 1})["us-west-2b"]
			groups, _, _ := w.cache.NodeGroups(w.group("a"))
			assert.Equal(t, [3]any{true, !known, !known}, [3]any{err != nil, errors.Is(err, asg.ErrNotZonal), len(groups) == 1}, "error %v, and the group is whole", err)
			if !known {
				w.increasesTo(1, before+1)
			}
		}))
	}
}

// AWS has answered in the zone that is left alone, so that one more zone without an answer is the only one.
func TestZoneThatFailedForAMomentIsNotSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := divided("a", 0, 0, 9)
		delete(g.Tags, asg.TagZonal)
		w := newZonalWorld(t, g)
		w.aws.AddShortage(fakeaws.Shortage{Zone: "us-west-2a", Code: "InternalError"})
		w.increase(1)
		w.cache.NeedZones(t.Context(), "a")
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Params: map[string]string{"AvailabilityZones.member.1": "us-west-2c"}, Code: "InternalFailure"})
		require.Error(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2c", 1))
		w.isDivided(true, "with one silent zone")
		for letter, want := range map[string]bool{"a": true, "b": false, "c": true} {
			_, cooling := w.cache.CoolDown(w.view(letter))
			assert.Equalf(t, want, cooling, "zone %s is left alone", letter)
		}
		w.untouched()
	})
}

func TestNotFoundErrorMayConcernOtherObjects(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 3, 9))
	w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InvalidSubnetID.NotFound", Message: "The subnet ID 'subnet-1' does not exist", Status: 400})
	assert.ErrorIs(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1), asg.ErrNotZonal)
	w.isDivided(false, "after the refusal")
}

func TestRefusalEndsWithSuspendedProcess(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 3, 9))
	fault := w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "ValidationError", Message: "The Launch process of the AutoScalingGroup is suspended", Status: 400})
	require.Error(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1), "before a reading has shown it")
	w.aws.ClearFaults(fault)
	for _, change := range []func(string, ...string) error{w.aws.Suspend, w.aws.Resume} {
		require.NoError(t, change("a", "Launch"))
		w.refresh()
	}
	w.isDivided(true, "after the process was resumed")
}
