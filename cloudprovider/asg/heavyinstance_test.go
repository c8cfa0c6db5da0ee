package asg_test

import (
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// oneHeavy is a group that counts vCPUs, two and more by its requirements, with one instance of 16. AWS launched it for a desired capacity of 2.
func oneHeavy(t *testing.T) *world {
	t.Helper()
	w := hardware(t, "vcpu", 1, "m5.4xlarge").with(func(o *asg.Options) { o.LaunchMode = asg.LaunchDesiredCapacity }).started()
	w.increase(1)
	w.eventuallyInService("a", 1)
	w.refresh()
	require.Equal(t, 2, w.desired("a"), "desired capacity")
	return w
}

func TestHeavyInstanceCanGo(t *testing.T) {
	for _, tt := range []struct{ name, flag, schedule string }{
		{name: "below all limits"},
		{name: "above the maximum of a flag", flag: "0:8:a"},
		{name: "while a schedule allows none", schedule: "any any any any any for=1h max=0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := oneHeavy(t)
			if tt.schedule != "" {
				w.must(w.aws.SetTags("a", map[string]*string{group.TagSchedule + "always": &tt.schedule}))
			}
			w = w.with(func(o *asg.Options) {
				if tt.flag != "" {
					named, err := group.ParseNamed(tt.flag)
					w.must(err)
					o.Discovery = ownership.Discovery{Named: []group.Named{named}}
				}
			}).started()
			g := w.group("a")
			assert.Equal(t, 0, g.MinInstances(), "fewest instances of the group, want none")
			assert.Empty(t, g.AtMin(g), "limits keep the instance, want none")
			w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")))
			w.listed(0)
			w.wantDesired(0)
		})
	}
}

// A heavy instance above AWS's maximum size cannot go: AWS takes no desired capacity that covers it.
func TestHeavyInstanceStaysForTheLimits(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][2]int{"its minimum": {2, 1000}, "above the maximum": {0, 8}} {
		w := oneHeavy(t)
		w.must(w.aws.SetLimits("a", limits[0], limits[1]))
		w.refresh()
		assert.Equalf(t, 1, w.group("a").MinInstances(), "%s: fewest instances of the group", name)
		err := w.cache.Terminate(t.Context(), "a", w.ids("a"))
		assert.Truef(t, err != nil && w.desired("a") == 2, "%s: error %v, desired capacity %d, want an error and no change", name, err, w.desired("a"))
	}
}

func TestHeavyInstanceDoesNotFulfilNextIncrease(t *testing.T) {
	t.Parallel()
	for _, mode := range []asg.LaunchMode{asg.LaunchAuto, asg.LaunchDesiredCapacity} {
		t.Run(string(mode), bubbled(func(t *testing.T) {
			w := oneHeavy(t).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
			w.must(w.cache.StartIncrease(t.Context(), "a", "", 1))
			assert.Equal(t, 2, w.group("a").TargetInstances(), "a target while AWS is being asked")
			w.must(w.cache.AwaitIncreases(t.Context()))
			assert.Equal(t, 2, w.group("a").TargetInstances(), "a target of")
			w.eventuallyInService("a", 2)
			w.refresh()
			assert.Empty(t, w.kills(), "AWS ended")
			assert.Equal(t, 2, w.group("a").TargetInstances(), "a target in the end")
		}))
	}
}

// Three instances or none are launched. AWS launches one, and its answers get lost. Meanwhile another writer gets an instance.
func TestAtomicLaunchEndsOnlyNamedInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 1, 20)).with(synchronous).started()
		shortage := w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large", Available: 1})
		before := w.ids("a")
		w.calls.lostLaunch = func(*autoscaling.LaunchInstancesOutput) {
			w.calls.lostLaunch = func(*autoscaling.LaunchInstancesOutput) {}
			w.aws.ClearShortages(shortage)
			assert.NoError(t, w.aws.SetDesired("a", w.desired("a")+1))
			w.eventuallyInService("a", 3)
			w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
		}
		assert.Error(t, w.cache.IncreaseAtomically(t.Context(), "a", "", 3), "no error although an instance is missing")
		state, _ := w.aws.Group("a")
		assert.Truef(t, len(before) == 1 && len(state.Instances) == 3 && state.Desired == 3,
			"%d instances of %d desired are left, want ours, theirs and the one of before", len(state.Instances), state.Desired)
		for _, i := range state.Instances {
			assert.Truef(t, i.State == "InService" || i.State == "Pending", "instance %s is %s, which no answer of AWS named", i.ID, i.State)
		}
	})
}

// Another writer asked for five instances, which AWS cannot launch, before we start.
func TestStartTakesOverNobodysRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 20))
	w.eventuallyInService("a", 1)
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.setDesired(5)
	w.started()
	assert.Equal(t, 0, w.group("a").Withdrawable(), "withdrawable")
	taken, _ := w.cache.Withdraw(t.Context(), "a", 4)
	assert.Equal(t, [2]int{0, 5}, [2]int{taken, w.desired("a")}, "withdrawn, and desired capacity")
}
