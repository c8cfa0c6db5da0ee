package asg_test

import (
	"testing"
	"testing/synctest"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A failed launch affects the group, another group of its type, and a group of another type differently.
func TestFailureCoolsDownPools(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		code  string
		text  string
		class awsmessage.Class
		rest  time.Duration
		same  bool // so does another group of the same type and zone
		other bool // and one of another type
	}{
		{name: "no capacity", code: "InsufficientInstanceCapacity", class: awsmessage.NoCapacity, rest: 3 * time.Minute, same: true},
		{name: "no addresses", code: "InsufficientFreeAddressesInSubnet", text: "There are not enough free addresses in subnet 'subnet-1' to satisfy the requested number of instances.",
			class: awsmessage.NoCapacity, rest: 3 * time.Minute},
		{name: "a reservation that is full", code: "ReservationCapacityExceeded", class: awsmessage.NoCapacity, rest: 3 * time.Minute},
		{name: "quota", code: "VcpuLimitExceeded", text: "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.",
			class: awsmessage.Quota, rest: 5 * time.Minute, same: true},
		{name: "configuration", code: "InvalidKeyPair.NotFound", text: "The key pair 'gone' does not exist", class: awsmessage.Configuration, rest: 15 * time.Minute},
		{name: "throttled", code: "RequestLimitExceeded"},
		{name: "a fault of AWS's own", code: "InternalError"},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			now := clockAt(time.Minute)
			other := scalingGroup("other", 0, 0, 10)
			other.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: "gpus", Version: "1"}
			gpus := workers("g5.xlarge")
			gpus.Name = "gpus"
			config := having(scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10), other)
			config.LaunchTemplates = append(config.LaunchTemplates, gpus)
			w := newWorldOf(t, config, discovered).with(func(o *asg.Options) { o.LaunchMode, o.Clock = asg.LaunchAuto, now }).started()
			now.Step(20 * time.Minute) // no failure can be an old one
			w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: tt.code, Message: tt.text})
			require.ErrorContains(t, w.cache.Increase(t.Context(), "a", 2), tt.code)
			for name, want := range map[string]bool{"a": tt.rest > 0, "same": tt.same, "other": tt.other} {
				rest, resting := w.cache.CoolDown(w.group(name))
				assert.Truef(t, resting == want && (!want || rest.Class == tt.class && rest.Until.Sub(now.Now()) == tt.rest),
					"group %s rests: %t, %+v, want %t as %s for %s", name, resting, rest, want, tt.class, tt.rest)
			}
		}))
	}
}

func TestDeniedAutoScalingCoolsDownGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10)).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation."})
		w.increase(1)
		w.waitWhile("it is not left alone for want of a permission", func() bool {
			rest, resting := w.cache.CoolDown(w.group("a"))
			return !resting || rest.Class != awsmessage.Permission
		})
		_, resting := w.cache.CoolDown(w.group("same"))
		assert.False(t, resting, "so does another group")
	})
}

func TestNewLaunchSpecEndsCoolDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(synchronous).running()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InvalidKeyPair.NotFound"})
	w.failsToIncrease("a", 1)
	_, resting := w.cache.CoolDown(w.group("a"))
	require.True(t, resting, "the group does not rest")
	latest := scalingGroup("a", 0, 0, 10)
	latest.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: "workers", Version: "2"}
	template := workers("m5.large")
	template.Versions = append(template.Versions, fakeaws.LaunchTemplateVersion{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: "mended"})
	w.must(w.aws.PutLaunchTemplate(template))
	w.must(w.aws.DeleteGroup("a"))
	w.must(w.aws.AddGroup(latest))
	w.refresh()
	w.eventually(func() string {
		if w.group("a").LaunchSpec == nil {
			return "the new template has not been read"
		}
		if rest, resting := w.cache.CoolDown(w.group("a")); resting {
			return "it rests: " + rest.Message
		}
		return ""
	})
}

// While the parameter that names the image cannot be read, the group may launch what it launched before.
func TestUnreadImageEndsNoCoolDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := withImages(t, fakeaws.LaunchTemplateVersion{ImageID: "resolve:ssm:/eks/ami", InstanceType: "m5.large"}, scalingGroup("a", 0, 0, 10), al2023).
			with(synchronous).with(func(o *asg.Options) { o.Launches.NextImages = true }).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InvalidKeyPair.NotFound"})
		w.failsToIncrease("a", 1)
		w.aws.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Code: "ServiceUnavailable"})
		time.Sleep(10 * time.Minute)
		require.Empty(t, w.group("a").LaunchSpec.NextImages, "images while the parameter cannot be read")
		_, resting := w.cache.CoolDown(w.group("a"))
		assert.True(t, resting, "the group rests")
	})
}

// shortOfCapacity is two groups of one pool, in one of which a launch has just failed for lack of capacity.
func shortOfCapacity(t *testing.T) (*world, *clocktesting.FakeClock) {
	t.Helper()
	now := clockAt(time.Minute)
	w := newWorld(t, scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10)).
		with(func(o *asg.Options) { o.LaunchMode, o.Clock = asg.LaunchAuto, now }).started()
	trouble, known := w.cache.Trouble(w.group("a"))
	assert.Falsef(t, known, "before any failure: %+v", trouble)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InsufficientInstanceCapacity"})
	w.failsToIncrease("a", 2)
	return w, now
}

func TestTroubleEndsSomeTimeAfterCoolDown(t *testing.T) {
	t.Parallel()
	w, now := shortOfCapacity(t)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {4 * time.Minute, true}, {3 * time.Minute, false}} { // the cool-down itself is over after 3
		now.Step(tt.after)
		for _, name := range []string{"a", "same"} {
			if trouble, known := w.cache.Trouble(w.group(name)); known != tt.want || known && trouble.Class != awsmessage.NoCapacity {
				t.Errorf("%v later, group %s: %+v, %t, want %t", tt.after, name, trouble, known, tt.want)
			}
		}
	}
}

func TestInstanceInServiceEndsTrouble(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		first bool // the launch comes before the failure
		hook  time.Duration
	}{{name: "launched after the failure"}, {name: "launched before it", first: true}, {name: "held by a lifecycle hook", hook: 2 * time.Minute}} {
		first := tt.first
		t.Run(tt.name, bubbled(func(t *testing.T) {
			now := clockAt(time.Minute)
			w := newWorldWith(t, func(d *fakeaws.Delays) { d.InService = ms(500) }, scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10)).
				with(at(now)).started()
			w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InsufficientInstanceCapacity"})
			for _, launches := range []bool{first, !first} {
				if launches {
					w.must(w.aws.SetDesired("same", 1))
				} else {
					w.failsToIncrease("a", 2)
				}
				now.Step(3 * time.Second)
				w.waitWhile("the instance is not listed", func() bool { w.refresh(); return launches && len(w.group("same").Instances) == 0 })
			}
			if now.Step(tt.hook); tt.hook > 0 {
				w.refresh()
			}
			w.eventuallyInService("same", 1)
			w.refresh()
			for _, name := range []string{"a", "same"} {
				trouble, known := w.cache.Trouble(w.group(name))
				assert.Truef(t, known == first, "group %s in trouble: %t, %+v, want %t", name, known, trouble, first)
			}
		}))
	}
}

// A launch brings one instance of two. That the one comes into service later says nothing about the other.
func TestPartOfLaunchEndsNoTrouble(t *testing.T) {
	t.Parallel()
	now := clockAt(time.Minute)
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).with(at(now)).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Available: 1})
	w.increase(2)
	now.Step(3 * time.Second)
	w.refresh()
	w.eventuallyInService("a", 1)
	w.refresh()
	_, cooling := w.cache.CoolDown(w.group("a"))
	assert.True(t, cooling, "the group is not left alone")
}

// mixedGroup buys the percentage of its instances on demand and the rest on the spot market.
func mixedGroup(name string, onDemand int) fakeaws.AutoScalingGroup {
	g := mixing(scalingGroup(name, 0, 0, 10))
	g.MixedInstancesPolicy.Distribution.OnDemandPercentageAboveBaseCapacity = &onDemand
	return g
}

func TestSpotFailureOfOneGroupSparesMixedGroups(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"MaxSpotInstanceCountExceeded", "InsufficientInstanceCapacity"} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, mixedGroup("spot", 0), mixedGroup("other-spot", 0), mixedGroup("mixed", 90)).with(synchronous).started()
			w.aws.AddShortage(fakeaws.Shortage{Group: "spot", Code: code})
			w.failsToIncrease("spot", 1)
			for name, want := range map[string]bool{"spot": true, "other-spot": true, "mixed": false} {
				rest, cooling := w.cache.CoolDown(w.group(name))
				assert.Equalf(t, want, cooling, "group %s is left alone: %s of pool %s", name, rest.Class, rest.Pool)
			}
		})
	}
}

func TestSpotFailureOfMixedGroupCoolsItDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mixedGroup("mixed", 50)).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "mixed", CapacityType: awsmessage.Spot, Code: "MaxSpotInstanceCountExceeded"})
		w.must(w.cache.Increase(t.Context(), "mixed", 3))
		w.waitWhile("the group is not left alone", func() bool { _, cooling := w.cache.CoolDown(w.group("mixed")); return !cooling })
	})
}

// onSpot is a world of the groups and of a group "spot" in two zones.
func onSpot(t *testing.T, groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	spot, template := scalingGroup("spot", 0, 0, 5), workers("m5.large")
	spot.LaunchTemplate.Name, spot.Zones = "spot", []string{"us-west-2a", "us-west-2b"}
	template.Name, template.Versions[0].Spot = "spot", true
	config := having(append(groups, spot)...)
	config.LaunchTemplates = append(config.LaunchTemplates, template)
	return newWorldOf(t, config, discovered)
}

func TestGroupIsInterruptedOnceAllPoolsAre(t *testing.T) {
	t.Parallel()
	mixed := mixedGroup("mixed", 50)
	mixed.Zones = []string{"us-west-2a", "us-west-2b"}
	w := onSpot(t, scalingGroup("on-demand", 0, 0, 5), mixed).started()

	was := func(name string) bool { return w.cache.WasInterrupted(w.group(name)) }
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2a"}, "taken")
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large"}, "taken somewhere")
	assert.False(t, was("spot") || was("mixed") || was("on-demand"), "interrupted with a zone left")
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2b"}, "taken")
	assert.Truef(t, was("spot") && was("mixed") && !was("on-demand"),
		"spot %v, mixed %v, on-demand %v, want the groups that buy spot instances", was("spot"), was("mixed"), was("on-demand"))
	_, resting := w.cache.CoolDown(w.group("spot"))
	assert.False(t, resting, "a group is left alone that may well have capacity")
}

func TestLaunchPrefersUninterruptedZones(t *testing.T) {
	t.Parallel()
	w := onSpot(t).with(func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }).started()
	w.cache.Interrupted(cooldown.Pool{InstanceType: "m5.large", Zone: "us-west-2a"}, "taken")
	w.must(w.cache.Increase(t.Context(), "spot", 3))
	assert.Equal(t, map[string]int{"b": 3}, w.perZone("spot"), "instances by zone")
}
