package asg_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestOperatedGroupIsLeftAlone(t *testing.T) {
	t.Parallel()
	theirs, ours := scalingGroup("theirs", 0, 2, 5), scalingGroup("ours", 0, 0, 5)
	theirs.Operator = "eks.amazonaws.com"
	w := newWorld(t, theirs, ours).started()
	require.Truef(t, w.cache.Snapshot().Group("theirs") == nil && w.cache.Snapshot().Group("ours") != nil,
		"groups %v, want the one without an operator alone", w.cache.Snapshot().Groups())
	foreign := w.cache.Snapshot().Foreign()
	if len(foreign) != 1 || len(foreign[0].Problems) != 1 || foreign[0].Problems[0].Reason != ownership.ReasonOperator ||
		!strings.Contains(foreign[0].Problems[0].Message, `"eks.amazonaws.com"`) {
		t.Fatalf("left alone are %+v, want one with a problem that names its operator", foreign)
	}
	ids := w.members("theirs")
	_ = isForeign(t, w.cache.Increase(t.Context(), "theirs", 1))
	_ = isForeign(t, w.cache.Terminate(t.Context(), "theirs", ids[:1]))
	w.keeps("theirs", ids)
}

func TestCapacityTypeOfPolicy(t *testing.T) {
	t.Parallel()
	g := scalingGroup("g", 0, 0, 5)
	g.LaunchTemplate, g.ZonalShift = nil, true
	g.CapacityReservations = &fakeaws.CapacityReservations{Preference: "capacity-reservations-first", IDs: []string{"cr-1"}, Groups: []string{"arn:g"}}
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers"},
		Distribution: fakeaws.Distribution{Segments: [][]string{{"capacity-block", "on-demand"}, {"on-demand"}}}}
	g.MaintenancePolicy, g.MaxInstanceLifetime = &fakeaws.MaintenancePolicy{MinHealthy: 90, MaxHealthy: 120}, fakeaws.Duration(48*time.Hour)
	got := newWorld(t, g).started().group("g")
	assert.Equal(t, group.Maintenance{MinHealthyPercent: 90, MaxHealthyPercent: 120}, got.Maintenance, "maintenance policy")
	assert.Equal(t, 48*time.Hour, got.MaxInstanceLifetime, "lifetime")
	assert.Empty(t, cmp.Diff([][]string{{"capacity-block", "on-demand"}, {"on-demand"}}, got.Source.Segments), "segments (-want +got)")
	want := group.Reservations{Preference: "capacity-reservations-first", IDs: []string{"cr-1"}, Groups: []string{"arn:g"}}
	assert.Empty(t, cmp.Diff(want, got.Reservations), "reservations (-want +got)")
	assert.Truef(t, got.ZonalShift && got.ImpairedHealth == "IgnoreUnhealthy",
		"zonal shift %t, unhealthy instances there %q", got.ZonalShift, got.ImpairedHealth)
	mode, why := asg.AskedFor(got)
	assert.Truef(t, mode == asg.LaunchDesiredCapacity && strings.Contains(why, "distribution segments"), "asked for by %s: %s", mode, why)
	assert.True(t, got.PaidAhead(), "capacity blocks count as on-demand")
	reserved := group.Group{Source: launchspec.Source{Segments: [][]string{{"on-demand-capacity-reservation", "on-demand"}}}}
	assert.Truef(t, reserved.Reserved() && !reserved.PaidAhead() && reserved.Pool("", "").Own, "reserved segments: pool %+v", reserved.Pool("", ""))
	for strategy, want := range map[string]bool{"balanced-only": false, "balanced-best-effort": false, "reservations-then-balanced": true} {
		assert.Equalf(t, want, (&group.Group{ZoneDistribution: strategy}).Reserved(), "reserved with the zone distribution %s", strategy)
	}
	for _, tt := range []struct {
		of       launchspec.LaunchSpec
		reserved bool
	}{{launchspec.LaunchSpec{Tenancy: "host"}, true}, {launchspec.LaunchSpec{Reserved: true}, true}, {launchspec.LaunchSpec{Tenancy: "dedicated"}, false},
		{launchspec.LaunchSpec{OwnCapacity: true}, false}} {
		g := group.Group{LaunchSpec: &tt.of}
		assert.Truef(t, g.Reserved() == tt.reserved && g.Pool("", "").Own, "%+v: pool %+v", tt.of, g.Pool("", ""))
	}
	for preference, want := range map[string]bool{"default": true, "none": false} {
		g := group.Group{LaunchSpec: &launchspec.LaunchSpec{Reserved: true}, Reservations: group.Reservations{Preference: preference}}
		assert.Equalf(t, want, g.Reserved(), "reserved by its launch template, with the preference %s of its own", preference)
	}
}

func TestInstanceOriginMatchesLaunchSpec(t *testing.T) {
	t.Parallel()
	versions := fakeaws.LaunchTemplate{ID: "lt-1", Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{
		{ImageID: "ami-0abc", InstanceType: "m5.large"}, {ImageID: "ami-0abc", InstanceType: "m5.large"}}}
	alias := fakeaws.LaunchTemplate{ID: "lt-2", Name: "alias", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "resolve:ssm:/ours/ami", InstanceType: "m5.large"}}}
	from := func(name, template, version string) fakeaws.AutoScalingGroup {
		g := scalingGroup(name, 0, 1, 3)
		g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: template, Version: version}
		return g
	}
	w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{versions, alias}, AutoScalingGroups: []fakeaws.AutoScalingGroup{
		from("numbered", "workers", "1"), from("latest", "workers", "$Latest"), from("default", "workers", "$Default"), from("alias", "alias", "1")}},
		discovered)
	w.must(w.cache.Start(t.Context()))
	for _, tt := range []struct {
		group, origin string
		same          bool
	}{
		{group: "numbered", origin: "lt-1 version 1", same: true},
		{group: "latest", origin: "lt-1 version 2", same: true},
		{group: "default", origin: "lt-1 version 1", same: true},
		{group: "alias", origin: "lt-2 version 1", same: false},
	} {
		g := w.cache.Snapshot().Group(tt.group)
		require.Truef(t, len(g.Instances) == 1 && g.LaunchSpec != nil, "%s: %d instances, launch %v", tt.group, len(g.Instances), g.LaunchSpec)
		assert.Equalf(t, tt.origin, g.Instances[0].Origin, "%s: its instance started from", tt.group)
		if next := g.LaunchSpec.Next; len(next) != 1 || next[0] != tt.origin || g.LaunchSpec.Floats != (tt.group == "latest" || tt.group == "default") || g.LaunchUnread {
			t.Errorf("%s: new instances start from %q, floating: %t; want %q", tt.group, next, g.LaunchSpec.Floats, tt.origin)
		}
		assert.Equalf(t, tt.same, slices.Contains(g.LaunchSpec.Origins, g.Instances[0].Origin),
			"%s: among the origins %q of the next one", tt.group, g.LaunchSpec.Origins)
	}
	g := w.cache.Snapshot().Group("numbered")
	other := w.cache.Snapshot().Group("latest").Instances[0].Origin
	assert.Falsef(t, slices.Contains(g.LaunchSpec.Origins, other), "an instance of version 2 is taken for one of %q", g.LaunchSpec.Origins)
}

func TestOriginOfHalfNamedTemplateIsUnknown(t *testing.T) {
	t.Parallel()
	for name, template := range map[string]types.LaunchTemplateSpecification{
		"name only":        {LaunchTemplateName: aws.String("workers")},
		"name and version": {LaunchTemplateName: aws.String("workers"), Version: aws.String("1")},
		"ID only":          {LaunchTemplateId: aws.String("lt-1")},
	} {
		w := newWorld(t, scalingGroup("a", 0, 1, 3))
		w.calls.edit = func(g *types.AutoScalingGroup) { g.Instances[0].LaunchTemplate = &template }
		assert.Emptyf(t, w.started().group("a").Instances[0].Origin, "%s: the instance started from", name)
	}
}

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
		return cmp.Diff([3]int{2, 0, 2}, [3]int{waiting, g.Missing(), g.TargetInstances()})
	})
}

func TestStandbyInstanceIsNeitherCountedNorTerminated(t *testing.T) {
	t.Parallel()
	for _, state := range []types.LifecycleState{types.LifecycleStateStandby, types.LifecycleStateEnteringStandby} { // for as long as it is deregistered
		w, now := newWorld(t, scalingGroup("a", 0, 3, 5)).timed()
		id := w.ids("a")[0]
		w.calls.edit = func(g *types.AutoScalingGroup) {
			for at := range g.Instances {
				if i := &g.Instances[at]; i.LifecycleState == types.LifecycleStateStandby {
					i.LifecycleState = state
				}
			}
		}
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.Standby, Group: "a", Instances: []string{id}}))
		now.Step(readingLag) // a reading that shows it in standby may be older than its return
		w.eventually(func() string {
			w.refresh()
			g := w.group("a")
			return cmp.Diff([3]int{2, 2, 2}, [3]int{len(g.Counted()), g.DesiredCapacity, g.TargetInstances()})
		})
		w.waitWhile("it is not out of service", func() bool { w.refresh(); i := w.group("a").Instance(id); return i.Lifecycle != group.Lifecycle(state) })
		assert.Lenf(t, w.group("a").Counted(), 2, "instances that count beside one in %s", state)
		err := w.cache.Terminate(t.Context(), "a", []string{id})
		assert.Truef(t, slices.Contains(staying(t, err), id), "error = %v, want one that says to put it back into service first", err)
	}
}

func TestWarmPoolDoesNotCount(t *testing.T) {
	t.Parallel()
	g := scalingGroup("a", 0, 1, 5)
	g.WarmPool = &fakeaws.WarmPool{Min: 2, Warmed: 2}
	w := newWorld(t, g).running()
	w.eventually(func() string {
		g := w.group("a")
		return cmp.Diff([]any{true, 1, 1, 0}, []any{g.WarmPool, len(g.Instances), g.TargetInstances(), g.Missing()})
	})
}

func TestEmptyDescriptionOfAWarmPoolIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 1, 5))
	w.calls.edit = func(g *types.AutoScalingGroup) { g.WarmPoolConfiguration = &types.WarmPoolConfiguration{} }
	assert.False(t, w.started().group("a").WarmPool, "warm pool")
}

// The reading that each write makes shows the tag, which the last one before did not.
func TestPauseCountsForTheNextWrite(t *testing.T) {
	for _, mode := range []asg.LaunchMode{asg.LaunchAuto, asg.LaunchDesiredCapacity} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 2, 5)).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
			ids := w.members("a")
			paused := "true"
			w.must(w.aws.SetTags("a", map[string]*string{group.TagPaused: &paused}))
			asg.MakeStale(w.cache, "a")
			const why = `auto scaling group "a" is paused by its tag`
			assert.ErrorContains(t, w.cache.Terminate(t.Context(), "a", ids[:1]), why, "termination")
			assert.ErrorContains(t, w.cache.Increase(t.Context(), "a", 1), why, "increase")
			w.keeps("a", ids)
			w.must(w.cache.Replace(t.Context(), "a", ids[:1])) // AWS takes it all the same
			scaleDown := "scale-down"
			w.must(w.aws.SetTags("a", map[string]*string{group.TagPaused: &scaleDown}))
			w.refresh()
			w.increase(1)
			assert.Equal(t, 3, w.desired("a"), "desired capacity")
		})
	}
}

func TestSuspendedTerminateProcessKeepsInstances(t *testing.T) {
	t.Parallel()
	g := scalingGroup("a", 0, 2, 5)
	g.SuspendedProcesses = []string{"AZRebalance", "Terminate"}
	w := newWorld(t, g).started()
	assert.Equal(t, g.SuspendedProcesses, w.group("a").SuspendedProcesses, "suspended processes")
	assert.False(t, w.group("a").Blocked(), "the group cannot grow")
	assert.Error(t, w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]), "a termination")
	w.wantDesired(2)
}

func TestLaunchModeOfGroup(t *testing.T) {
	t.Parallel()
	one := scalingGroup("a", 0, 0, 5)
	config := scalingGroup("b", 0, 0, 5)
	config.LaunchTemplate, config.LaunchConfiguration = nil, "old"
	gone := scalingGroup("c", 0, 0, 5)
	gone.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: "never-was"}
	w := newWorld(t, one, config, gone).started()
	for _, tt := range []struct {
		group string
		want  asg.LaunchMode
		why   string // a part
	}{
		{"a", asg.LaunchSynchronous, ""},
		{"b", asg.LaunchDesiredCapacity, "has no launch template"},
		{"c", asg.LaunchDesiredCapacity, "has not been read"},
	} {
		got, why := asg.AskedFor(w.group(tt.group))
		assert.Truef(t, got == tt.want && (why == "") == (got == asg.LaunchSynchronous) && strings.Contains(why, tt.why),
			"group %s is asked for by %s (%q), want %s", tt.group, got, why, tt.want)
	}
}
