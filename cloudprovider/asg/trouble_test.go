package asg_test

import (
	"testing"
	"testing/synctest"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// shortOfCapacity is two groups of one pool, in one of which a launch has just failed for lack of capacity.
func shortOfCapacity(t *testing.T) (*world, *clocktesting.FakeClock) {
	t.Helper()
	now := clockAt(time.Minute)
	w := newWorld(t, scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10)).
		with(func(o *asg.Options) { o.LaunchMode, o.Clock = asg.LaunchAuto, now }).started()
	if trouble, known := w.cache.Trouble(w.group("a")); known {
		t.Errorf("before any failure: %+v", trouble)
	}
	w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InsufficientInstanceCapacity"})
	if _, err := w.cache.Increase(t.Context(), "a", 2); err == nil {
		t.Fatal("launched where there is no capacity")
	}
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
	for name, first := range map[string]bool{"launched after the failure": false, "launched before it": true} {
		t.Run(name, func(t *testing.T) {
			now, delays := clockAt(time.Minute), quick
			delays.InService = ms(500)
			w := newWorldOf(t, fakeaws.Config{Delays: delays, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large")},
				AutoScalingGroups: []fakeaws.AutoScalingGroup{scalingGroup("a", 0, 0, 10), scalingGroup("same", 0, 0, 10)}}, discovered).with(at(now)).started()
			w.aws.AddShortage(fakeaws.Shortage{Group: "a", Code: "InsufficientInstanceCapacity"})
			for _, launches := range []bool{first, !first} {
				if !launches {
					if _, err := w.cache.Increase(t.Context(), "a", 2); err == nil {
						t.Fatal("launched where there is no capacity")
					}
				} else if err := w.aws.SetDesired("same", 1); err != nil {
					t.Fatal(err)
				}
				now.Step(3 * time.Second)
				w.eventually(func() string {
					if w.refresh(); launches && len(w.group("same").Instances) == 0 {
						return "the instance is not listed"
					}
					return ""
				})
			}
			w.eventuallyInService("same", 1)
			w.refresh()
			for _, name := range []string{"a", "same"} {
				if trouble, known := w.cache.Trouble(w.group(name)); known != first {
					t.Errorf("group %s in trouble: %t, %+v, want %t", name, known, trouble, first)
				}
			}
		})
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
	if _, cooling := w.cache.CoolDown(w.group("a")); !cooling {
		t.Error("the group is not left alone")
	}
}

// mixedGroup buys the percentage of its instances on demand and the rest on the spot market.
func mixedGroup(name string, onDemand int) fakeaws.AutoScalingGroup {
	g := scalingGroup(name, 0, 0, 10)
	g.LaunchTemplate = nil
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"},
		Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: &onDemand}}
	return g
}

func TestSpotFailureOfOneGroupSparesMixedGroups(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"MaxSpotInstanceCountExceeded", "InsufficientInstanceCapacity"} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, mixedGroup("spot", 0), mixedGroup("other-spot", 0), mixedGroup("mixed", 90)).with(synchronous).started()
			w.aws.AddShortage(fakeaws.Shortage{Group: "spot", Code: code})
			if _, err := w.cache.Increase(t.Context(), "spot", 1); err == nil {
				t.Fatal("launched without capacity")
			}
			for name, want := range map[string]bool{"spot": true, "other-spot": true, "mixed": false} {
				if rest, cooling := w.cache.CoolDown(w.group(name)); cooling != want {
					t.Errorf("group %s is left alone: %t, want %t: %s of pool %s", name, cooling, want, rest.Class, rest.Pool)
				}
			}
		})
	}
}

func TestSpotFailureOfMixedGroupCoolsItDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mixedGroup("mixed", 50)).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "mixed", CapacityType: awsmessage.Spot, Code: "MaxSpotInstanceCountExceeded"})
		w.done(w.cache.Increase(t.Context(), "mixed", 3))
		w.eventually(func() string {
			if _, cooling := w.cache.CoolDown(w.group("mixed")); !cooling {
				return "the group is not left alone"
			}
			return ""
		})
	})
}
