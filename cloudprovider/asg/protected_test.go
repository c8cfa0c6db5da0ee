package asg_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// protected is a group "a" of four instances that AWS does not end by its own choice, and that somebody has set to desired since.
func protected(t *testing.T, desired int) *world {
	t.Helper()
	g := scalingGroup("a", 0, 4, 20)
	g.ProtectNewInstances = true
	w := newWorld(t, g)
	w.setDesired(desired)
	return w.started()
}

func TestProtectedInstancesBeyondDesiredCapacityCanGo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name               string
		desired, end, left int // left of the desired capacity
	}{
		{name: "one of them", desired: 1, end: 1, left: 1},
		{name: "all of them", desired: 2, end: 2, left: 2},
		{name: "others with them", desired: 2, end: 3, left: 1},
		{name: "none is desired", desired: 0, end: 4, left: 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := protected(t, tt.desired)
			g := w.group("a")
			assert.Equal(t, [3]int{4, 0, 0}, [3]int{g.TargetInstances(), g.MinInstances(), g.Excess()}, "target, minimum, and excess that AWS would end")
			w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")[:tt.end]))
			assert.Equal(t, 4-tt.end, w.group("a").TargetInstances(), "target afterwards")
			w.listed(4 - tt.end)
			w.wantDesired(tt.left)
		})
	}
}

// Others fill the place of an instance that goes with the desired capacity unchanged, and AWS launches none. The log does not say that it does.
func TestKeptInstancesAreInPlaceOfAReplacement(t *testing.T) {
	t.Parallel()
	w := protected(t, 2)
	ctx, said := logged(t, 1)
	w.must(w.cache.Replace(ctx, "a", w.ids("a")[:1]))
	w.listed(3)
	w.wantDesired(2)
	assert.Contains(t, said(), "desiredCapacityStays=true", "log")
}

func TestDeferredProtectedInstancesAreNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := protected(t, 2)
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: "ScalingActivityInProgress"})
		assert.Len(t, staying(t, w.cache.Terminate(t.Context(), "a", w.ids("a"))), 4, "instances that stay")
	})
}

// AWS defers the end of the first two until a moment has passed. Meanwhile one of the others is needed.
func TestRestOfTerminationIsDecidedAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := protected(t, 2)
		ids, began := slices.Sorted(slices.Values(w.ids("a"))), time.Now()
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Code: "ScalingActivityInProgress", For: fakeaws.Duration(3 * time.Second)})
		err := w.cache.TerminateTogether(t.Context(), "a", ids, false, 0, func(id string) error {
			if time.Since(began) >= time.Second && id == ids[3] {
				return errors.New("it is needed")
			}
			return nil
		})
		assert.Equal(t, ids[3:], staying(t, err), "instances that stay")
		w.listed(1)
		w.wantDesired(1)
	})
}

// The maximum of AWS does not matter to a termination.
func TestLoweredMaximumKeepsNoProtectedInstance(t *testing.T) {
	t.Parallel()
	w := protected(t, 4)
	w.must(w.aws.SetLimits("a", 0, 0))
	w = w.with(nil).started()
	assert.Equal(t, 4, w.group("a").TargetInstances(), "target")
	w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")))
	w.listed(0)
	w.wantDesired(0)
}

// The desired capacity is raised by no more than a part of a heavy instance, and so stays below the maximum.
func TestHeavyProtectedInstancesCanGo(t *testing.T) {
	t.Parallel()
	g := mixing(scalingGroup("a", 0, 12, 20), fakeaws.Override{InstanceType: "m5.large", WeightedCapacity: 4})
	g.ProtectNewInstances = true
	w := newWorld(t, g)
	w.setDesired(2)
	w.must(w.aws.SetLimits("a", 0, 6))
	w.started()
	assert.Equal(t, [2]int{3, 1}, [2]int{w.group("a").TargetInstances(), w.group("a").MinInstances()}, "target and minimum")
	for left := range 3 {
		w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]))
		w.listed(2 - left)
		w.refresh()
	}
	w.wantDesired(0)
}

// No more instances are promised than a termination ends: the part of a heavy one beyond the desired capacity cannot go with the part below it.
func TestHeavyProtectedInstancesGoAsPromised(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ least, desired, want int }{
		{0, 6, 1}, {0, 5, 0}, {0, 9, 0}, {2, 6, 2}, {2, 3, 1}, {5, 6, 2},
	} {
		t.Run(fmt.Sprint(tt.desired, " desired of at least ", tt.least), func(t *testing.T) {
			t.Parallel()
			g := mixing(scalingGroup("a", tt.least, 12, 20), fakeaws.Override{InstanceType: "m5.large", WeightedCapacity: 4})
			g.ProtectNewInstances = true
			w := newWorld(t, g)
			w.setDesired(tt.desired)
			w.started()
			assert.Equal(t, tt.want, w.group("a").MinInstances(), "fewest instances")
			_ = w.cache.Terminate(t.Context(), "a", w.ids("a"))
			w.listed(tt.want)
		})
	}
}

// The desired capacity covers two instances of 4 so that they can go, and not the one of 2 that AWS keeps beyond it.
func TestProtectedInstancesAreNoLostUpdate(t *testing.T) {
	t.Parallel()
	g := weighted(2, 4)
	g.ProtectNewInstances = true
	w := newWorld(t, g)
	w.eventuallyInService("a", 1)
	light := w.members("a")[0]
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.setDesired(10)
	w.eventuallyInService("a", 3)
	w.setDesired(5)
	w.started()
	w.must(w.cache.Terminate(t.Context(), "a", slices.DeleteFunc(w.ids("a"), func(id string) bool { return id == light })))
	w.listed(1)
	w.wantDesired(0)
}

func TestMinimumOfFlagKeepsProtectedInstances(t *testing.T) {
	t.Parallel()
	named, err := group.ParseNamed("3:20:a")
	require.NoError(t, err)
	w := protected(t, 1).with(func(o *asg.Options) { o.Discovery = ownership.Discovery{Named: []group.Named{named}} }).started()
	err = w.cache.Terminate(t.Context(), "a", w.ids("a"))
	assert.Len(t, staying(t, err), 3, "instances that stay")
	w.listed(3)
	w.wantDesired(1)
}

func TestIncreaseBesideProtectedInstancesLaunches(t *testing.T) {
	t.Parallel()
	for _, mode := range []asg.LaunchMode{asg.LaunchAuto, asg.LaunchDesiredCapacity} {
		t.Run(string(mode), bubbled(func(t *testing.T) {
			w := protected(t, 1).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
			assert.Equal(t, 4, w.group("a").TargetInstances(), "target before")
			w.start("a", "", 2)
			assert.Equal(t, 6, w.group("a").TargetInstances(), "target while AWS is being asked")
			w.answered()
			assert.Equal(t, 6, w.group("a").TargetInstances(), "target")
			w.eventuallyInService("a", 6)
			w.refresh()
			assert.Equal(t, 6, w.group("a").TargetInstances(), "target in the end")
			assert.Empty(t, w.kills(), "AWS ended")
		}))
	}
}

// The zone of an instance cannot be chosen by the desired capacity.
func TestLaunchInZoneBesideProtectedInstancesStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := divided("a", 0, 3, 10)
		g.ProtectNewInstances = true
		w := newZonalWorld(t, g)
		w.setDesired(1)
		w.aMinuteLater()
		w.isDivided(true, "after somebody lowered the desired capacity")
		for range 2 {
			w.start("a", "us-west-2b", 2)
			w.answered()
		}
		w.eventuallyInService("a", 7)
		assert.Equal(t, map[string]int{"a": 1, "b": 5, "c": 1}, w.perZone("a"), "instances by zone")
		w.wantDesired(7)
		assert.Empty(t, w.kills(), "AWS ended")
	})
}

func TestLaunchOnReadingAheadBesideProtectedInstancesStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := protected(t, 1).with(synchronous)
		_, stop := w.runningUntil()
		defer stop()
		w.ahead(1)
		w.increase(2)
		w.eventuallyInService("a", 6)
		w.wantDesired(6)
	})
}

// A new leader does not take the raise to the protected instances for a launch that the one before it asked for.
func TestNewLeaderLaunchesBesideProtectedInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := protected(t, 1).with(func(o *asg.Options) { o.LaunchMode, o.NoPredecessor = asg.LaunchAuto, false }).started()
		w.start("a", "", 2)
		w.answered()
		w.wantDesired(6)
	})
}

func TestFailedIncreaseBesideProtectedInstancesCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := protected(t, 1).with(func(o *asg.Options) { o.LaunchMode = asg.LaunchAuto }).started()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
		w.start("a", "", 2)
		w.answered()
		w.wantCounted("a", 6, 0, 2)
	})
}

func TestNoRoomKeepsDesiredCapacityBelowProtectedInstances(t *testing.T) {
	t.Parallel()
	named, err := group.ParseNamed("0:4:a")
	require.NoError(t, err)
	w := protected(t, 1).with(func(o *asg.Options) {
		o.LaunchMode, o.Discovery = asg.LaunchAuto, ownership.Discovery{Named: []group.Named{named}}
	}).started()
	w.failsToIncrease("a", 1)
	w.wantDesired(1)
}

// AWS itself ends old instances there once it has launched others, whether they are protected or not.
func TestInstancesThatAWSMovesAreNoSurplus(t *testing.T) {
	t.Parallel()
	w := protected(t, 2)
	for name, change := range map[string]func(*group.Group){
		"an instance refresh":          func(g *group.Group) { g.Operation.Text = "an instance refresh runs" },
		"a policy that launches first": func(g *group.Group) { g.Maintenance.MaxHealthyPercent = 110 },
		"Capacity Rebalancing":         func(g *group.Group) { g.CapacityRebalance = true },
		"instances that are not protected yet": func(g *group.Group) {
			g.Instances = slices.Clone(g.Instances)
			for at := range 2 {
				g.Instances[at].Lifecycle = "Pending:Wait"
			}
		},
		"instances that are protected in part": func(g *group.Group) {
			g.Instances = slices.Clone(g.Instances)
			for at := range 2 {
				g.Instances[at].Protected = false
			}
		},
	} {
		g := *w.group("a")
		change(&g)
		assert.Equal(t, [2]int{2, 2}, [2]int{g.TargetInstances(), g.Excess()}, fmt.Sprint(name, ": target and excess"))
	}
}
