package asg_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Standby, lifecycle hooks, warm pools, protection and suspended processes change what counts and what is possible.

func TestHookedInstanceCounts(t *testing.T) {
	t.Parallel()
	g := scalingGroup("a", 0, 0, 5)
	g.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "boot", Transition: "launching"}}
	w := newWorld(t, g).with(synchronous).running()
	w.increase(2)
	w.eventually(func() string {
		g := w.group("a")
		waiting := 0
		for _, i := range g.Instances {
			if i.Lifecycle == "Pending:Wait" && i.Lifecycle.Counts() && i.Lifecycle.Starting() {
				waiting++
			}
		}
		if waiting != 2 || g.Missing() != 0 || g.TargetInstances() != 2 {
			return fmt.Sprintf("%d wait of %+v", waiting, g.Instances)
		}
		return ""
	})
}

func TestStandbyInstanceIsNeitherCountedNorTerminated(t *testing.T) {
	t.Parallel()
	w, now := newWorld(t, scalingGroup("a", 0, 3, 5)).timed()
	id := w.started().ids("a")[0]
	w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Standby, Group: "a", Instances: []string{id}}))
	now.Step(readingLag) // a reading that shows it in standby may be older than its return
	w.eventually(func() string {
		if err := w.cache.Refresh(t.Context()); err != nil {
			return err.Error()
		}
		if g := w.group("a"); len(g.Counted()) != 2 || g.DesiredCapacity != 2 || g.TargetInstances() != 2 {
			return fmt.Sprintf("%d of %d count", len(g.Counted()), g.DesiredCapacity)
		}
		return ""
	})
	if _, err := w.cache.Terminate(t.Context(), "a", []string{id}); !slices.Contains(staying(t, err), id) {
		t.Errorf("error = %v, want one that says to put it back into service first", err)
	}
}

func TestWarmPoolDoesNotCount(t *testing.T) {
	t.Parallel()
	g := scalingGroup("a", 0, 1, 5)
	g.WarmPool = &fakeaws.WarmPool{Min: 2}
	w := newWorld(t, g).running()
	w.eventually(func() string {
		if g := w.group("a"); !g.WarmPool || len(g.Counted()) != 1 || g.TargetInstances() != 1 || g.Missing() != 0 {
			return fmt.Sprintf("warm pool %t, %d counted of a target of %d", g.WarmPool, len(g.Counted()), g.TargetInstances())
		}
		return ""
	})
}

func TestScaleInProtectionAllowsNamedTermination(t *testing.T) {
	t.Parallel()
	g := scalingGroup("a", 0, 2, 5)
	g.ProtectNewInstances = true
	w := newWorld(t, g).started()
	if g := w.group("a"); !g.ProtectsNewInstances || !g.Instances[0].Protected {
		t.Errorf("protection is not seen: %+v", g)
	}
	if _, err := w.cache.Terminate(t.Context(), "a", w.ids("a")); err != nil || w.desired("a") != 0 {
		t.Errorf("desired capacity is %d, error %v, want 0: naming an instance ends it", w.desired("a"), err)
	}
}

func TestSuspendedTerminateProcessAllowsNamedTermination(t *testing.T) {
	t.Parallel()
	g := scalingGroup("a", 0, 2, 5)
	g.SuspendedProcesses = []string{"AZRebalance", "Terminate"}
	w := newWorld(t, g).started()
	if got := w.group("a").SuspendedProcesses; !slices.Equal(got, g.SuspendedProcesses) || w.group("a").Blocked() {
		t.Errorf("suspended processes are %v, want %v, and a group that can grow", got, g.SuspendedProcesses)
	}
	if _, err := w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]); err != nil || w.desired("a") != 1 {
		t.Errorf("desired capacity is %d, error %v, want 1", w.desired("a"), err)
	}
}

func TestLaunchModeOfGroup(t *testing.T) {
	t.Parallel()
	one := scalingGroup("a", 0, 0, 5)
	config := scalingGroup("b", 0, 0, 5)
	config.LaunchTemplate, config.LaunchConfiguration = nil, "old"
	w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large")},
		LaunchConfigurations: []fakeaws.LaunchConfiguration{{Name: "old", InstanceType: "m5.large", ImageID: "ami-0abc"}},
		AutoScalingGroups:    []fakeaws.AutoScalingGroup{one, config}}, ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}}).started()
	for _, tt := range []struct {
		group string
		mode  asg.LaunchMode
		want  asg.LaunchMode
	}{
		{"a", asg.LaunchAuto, asg.LaunchSynchronous},
		{"a", asg.LaunchDesiredCapacity, asg.LaunchDesiredCapacity},
		{"b", asg.LaunchAuto, asg.LaunchDesiredCapacity},
	} {
		got, why := asg.AskedFor(w.group(tt.group), tt.mode)
		if got != tt.want || (why == "") != (got == asg.LaunchSynchronous) {
			t.Errorf("group %s in mode %s is asked for by %s (%q), want %s", tt.group, tt.mode, got, why, tt.want)
		}
	}
}
