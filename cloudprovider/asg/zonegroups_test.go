package asg_test

import (
	"slices"
	"strings"
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

var discovered = ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}}

// divided is a group over three zones that asks for zonal views and can have them.
func divided(name string, least, desired, most int) fakeaws.AutoScalingGroup {
	g := zonal(name, least, desired, most)
	g.Tags = map[string]string{discoveryTag: "true", asg.TagZonal: "true"}
	g.SuspendedProcesses = []string{"AZRebalance"}
	return g
}

// newZonalWorld starts AWS with the groups, and a Cache that has read them and may launch synchronously.
func newZonalWorld(t *testing.T, groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	return newWorld(t, groups...).with(synchronous).started()
}

// nodeGroups are the IDs of what is to be scaled of the group, and the reasons of its problems.
func (w *world) nodeGroups(name string) (ids, reasons []string) {
	w.t.Helper()
	groups, _, problems := w.cache.NodeGroups(w.group(name))
	for _, g := range groups {
		ids = append(ids, g.ID())
	}
	for _, p := range problems {
		reasons = append(reasons, p.Reason)
		assert.Truef(w.t, p.Message != "" && p.Remedy != "" && !p.Blocks, "problem %+v, want one that says why and what to do, and blocks nothing", p)
	}
	return ids, reasons
}

// isDivided fails unless the group a is scaled zone by zone, or unless it is not.
func (w *world) isDivided(want bool, when string) {
	w.t.Helper()
	expected := []string{"a"}
	if want {
		expected = []string{"a/us-west-2a", "a/us-west-2b", "a/us-west-2c"}
	}
	ids, reasons := w.nodeGroups("a")
	require.Truef(w.t, slices.Equal(ids, expected), "%s: node groups %q (%q), want %q", when, ids, reasons, expected)
}

func TestZonalGroups(t *testing.T) {
	t.Parallel()
	tag := func(value string) func(*fakeaws.AutoScalingGroup) {
		return func(g *fakeaws.AutoScalingGroup) { g.Tags[asg.TagZonal] = value }
	}
	untagged := func(g *fakeaws.AutoScalingGroup) { delete(g.Tags, asg.TagZonal) }
	half := 50
	policy := func(percentage *int) func(*fakeaws.AutoScalingGroup) {
		return func(g *fakeaws.AutoScalingGroup) {
			g.LaunchTemplate, g.MixedInstancesPolicy = nil, &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"},
				Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: percentage}, Overrides: []fakeaws.Override{{InstanceType: "m5.large"}}}
		}
	}
	whole := []string{"a"}
	views := []string{"a/us-west-2a", "a/us-west-2b", "a/us-west-2c"}
	rebalance := "aws autoscaling suspend-processes --scaling-processes AZRebalance --auto-scaling-group-name a"
	for _, tt := range []struct {
		name    string
		needed  bool // by a pod, one of the zones
		flag    asg.ZonalGroups
		mode    asg.LaunchMode
		change  func(*fakeaws.AutoScalingGroup)
		others  []fakeaws.AutoScalingGroup
		want    []string
		reason  string
		message string // part of it
		remedy  string // the end of it
		// divisible reports that a pod that needs a zone has the group divided.
		divisible bool
	}{
		{name: "tagged by default", want: views},
		{name: "tagged", flag: asg.ZonalTagged, want: views},
		{name: "not tagged", flag: asg.ZonalTagged, change: untagged, want: whole, divisible: true},
		{name: "not tagged, and a pod needs a zone", needed: true, change: untagged, want: views},
		{name: "not tagged, AZRebalance runs", change: func(g *fakeaws.AutoScalingGroup) { untagged(g); g.SuspendedProcesses = nil }, want: whole, divisible: true},
		{name: "not tagged, AZRebalance runs, and a pod needs a zone", needed: true, change: func(g *fakeaws.AutoScalingGroup) { untagged(g); g.SuspendedProcesses = nil },
			want: views, reason: asg.ReasonAZRebalance, message: "AZRebalance", remedy: ": " + rebalance},
		{name: "not tagged, no launch template, and a pod needs a zone", needed: true, change: func(g *fakeaws.AutoScalingGroup) {
			untagged(g)
			g.LaunchTemplate, g.LaunchConfiguration = nil, "old"
		}, want: whole, reason: asg.ReasonNotZonal, message: "no launch template", remedy: "in place of the launch configuration"},
		{name: "kept out by its tag, and a pod needs a zone", needed: true, change: tag("false"), want: whole},
		{name: "off, and a pod needs a zone", needed: true, flag: asg.ZonalOff, want: whole},
		{name: "AZRebalance runs, and a pod needs a zone", needed: true, change: func(g *fakeaws.AutoScalingGroup) { g.SuspendedProcesses = nil }, want: views,
			reason: asg.ReasonAZRebalance, message: "AZRebalance", remedy: ": " + rebalance},
		{name: "kept out by its tag", flag: asg.ZonalTagged, change: tag("false"), want: whole},
		{name: "garbled tag", flag: asg.ZonalTagged, change: tag("yes"), want: whole, reason: asg.ReasonZonalTag, message: `"yes"`, remedy: "or to false", divisible: true},
		{name: "empty tag", flag: asg.ZonalTagged, change: tag(""), want: whole, reason: asg.ReasonZonalTag, message: `""`, remedy: "or to false", divisible: true},
		{name: "all: not tagged", flag: asg.ZonalAll, change: untagged, want: views},
		{name: "all: tagged", flag: asg.ZonalAll, want: views},
		{name: "all: kept out by its tag", flag: asg.ZonalAll, change: tag("false"), want: whole},
		{name: "all: garbled tag", flag: asg.ZonalAll, change: tag("True"), want: views, reason: asg.ReasonZonalTag, message: `"True"`, remedy: "or to false"},
		{name: "off: tagged", flag: asg.ZonalOff, want: whole},
		{name: "off: garbled tag", flag: asg.ZonalOff, change: tag("yes"), want: whole},
		{name: "off: AZRebalance runs", flag: asg.ZonalOff, change: func(g *fakeaws.AutoScalingGroup) { g.SuspendedProcesses = nil }, want: whole},
		{name: "AZRebalance runs", change: func(g *fakeaws.AutoScalingGroup) { g.SuspendedProcesses = []string{"HealthCheck"} }, want: whole,
			reason: asg.ReasonAZRebalance, message: "AZRebalance", remedy: ": " + rebalance, divisible: true},
		{name: "all: AZRebalance runs", flag: asg.ZonalAll, change: func(g *fakeaws.AutoScalingGroup) { untagged(g); g.SuspendedProcesses = nil },
			want: whole, reason: asg.ReasonAZRebalance, message: "AZRebalance", remedy: ": " + rebalance, divisible: true},
		{name: "several processes suspended", change: func(g *fakeaws.AutoScalingGroup) { g.SuspendedProcesses = []string{"Launch", "AZRebalance"} }, want: views},
		{name: "launch configuration", change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate, g.LaunchConfiguration = nil, "old" }, want: whole,
			reason: asg.ReasonNotZonal, message: "no launch template", remedy: "in place of the launch configuration"},
		{name: "policy that mixes", change: policy(&half), want: whole, reason: asg.ReasonNotZonal, message: "mixes on-demand and spot", remedy: "wholly one of them"},
		{name: "warm pool", change: func(g *fakeaws.AutoScalingGroup) { g.WarmPool = &fakeaws.WarmPool{Min: 1} }, want: whole,
			reason: asg.ReasonNotZonal, message: "has a warm pool", remedy: "delete that to launch at once"},
		{name: "zones that AWS balances alone", change: func(g *fakeaws.AutoScalingGroup) { g.ZoneDistribution = "balanced-only" }, want: whole,
			reason: asg.ReasonNotZonal, message: "its zone distribution is balanced-only", remedy: "where the desired capacity is raised"},
		{name: "policy wholly on demand", change: policy(nil), want: views},
		{name: "policy wholly spot", change: policy(new(int)), want: views},
		{name: "one zone", change: func(g *fakeaws.AutoScalingGroup) { g.Zones = g.Zones[:1] }, want: whole},
		{name: "one zone, AZRebalance runs", change: func(g *fakeaws.AutoScalingGroup) { g.Zones, g.SuspendedProcesses = g.Zones[:1], nil }, want: whole},
		{name: "nobody knows what it launches", change: func(g *fakeaws.AutoScalingGroup) { g.LaunchTemplate.Name = "gone" }, want: whole},
		{name: "raised by desired capacity", mode: asg.LaunchDesiredCapacity, want: whole,
			reason: asg.ReasonNotZonal, message: "leaves the zone to AWS", remedy: "--asg-launch-mode=auto"},
		{name: "synchronous alone", mode: asg.LaunchSynchronous, want: views},
		{name: "another group has the name of a view", others: []fakeaws.AutoScalingGroup{scalingGroup("a/us-west-2b", 0, 0, 5)}, want: whole,
			reason: asg.ReasonNotZonal, message: `"a/us-west-2b"`, remedy: "rename one of them"},
		{name: "another group has the name of what is no view", others: []fakeaws.AutoScalingGroup{scalingGroup("a/us-west-2d", 0, 0, 5)}, want: views},
	} {
		t.Run(tt.name, bubbled(func(t *testing.T) {
			g := divided("a", 0, 3, 9)
			if tt.change != nil {
				tt.change(&g)
			}
			w := newWorld(t, append(tt.others, g)...).with(func(o *asg.Options) { o.LaunchMode, o.ZonalGroups = tt.mode, tt.flag }).started()
			if tt.needed {
				w.cache.NeedZones(t.Context(), "a")
				w.refresh()
			}
			w.aws.ResetCalls()
			ids, reasons := w.nodeGroups("a")
			assert.Truef(t, slices.Equal(ids, tt.want), "node groups %q, want %q", ids, tt.want)
			_, divisible, _ := w.cache.NodeGroups(w.group("a"))
			assert.Equal(t, tt.divisible, divisible, "divisible")
			assert.Equal(t, tt.reason == asg.ReasonNotZonal || tt.flag == asg.ZonalOff, w.cache.Undivided(w.group("a")) != nil, "whatever its tag says")
			var want []string
			if tt.reason != "" {
				want = []string{tt.reason}
			}
			require.Truef(t, slices.Equal(reasons, want), "problems %q, want %q", reasons, want)
			if _, _, problems := w.cache.NodeGroups(w.group("a")); len(problems) == 1 &&
				(!strings.Contains(problems[0].Message, tt.message) || !strings.HasSuffix(problems[0].Remedy, tt.remedy)) {
				t.Errorf("problem %+v, want %q in it and to mend it by %q", problems[0], tt.message, tt.remedy)
			}
			assert.Empty(t, w.aws.Calls(), "calls, want none")
			err := zoneIncrease(w.cache, t.Context(), "a", "us-west-2c", 1)
			assert.Truef(t, (err == nil) == (len(tt.want) == 3) || tt.name == "several processes suspended", "a launch in one zone gives %v", err)
			assert.Zero(t, w.aws.Calls()[desiredCall], "times the desired capacity was set for a zone")
		}))
	}
}

func TestInstanceWithoutZoneKeepsGroupWhole(t *testing.T) {
	w := newZonalWorld(t, divided("a", 0, 3, 9))
	g := *w.group("a")
	g.Instances = append(slices.Clone(g.Instances), group.Instance{ID: "i-lost", Lifecycle: "InService", Weight: 1})
	groups, _, problems := w.cache.NodeGroups(&g)
	assert.Truef(t, len(groups) == 1 && groups[0] == &g && len(problems) == 0,
		"%d node groups, problems %v, want the group itself and none", len(groups), problems)
}

func TestZoneGroupsFollowZoneOrder(t *testing.T) {
	g := divided("a", 0, 4, 9)
	g.Zones = []string{"us-west-2c", "us-west-2a", "us-west-2d", "us-west-2b"}
	w := newZonalWorld(t, g)
	w.must(w.aws.EditGroup("a", fakeaws.GroupEdit{Zones: []string{"us-west-2c", "us-west-2b"}}))
	w.refresh()
	ids, reasons := w.nodeGroups("a")
	want := []string{"a/us-west-2c", "a/us-west-2b", "a/us-west-2a", "a/us-west-2d"}
	assert.Equal(t, want, ids, "views")
	assert.Empty(t, reasons, "problems")
	views, _, _ := w.cache.NodeGroups(w.group("a"))
	for at, sizes := range [][2]int{{4, 1}, {3, 1}, {1, 1}, {1, 1}} { // of 9, five are left
		assert.Equalf(t, sizes, [2]int{views[at].MaxSize, views[at].DesiredCapacity}, "most and desired in %s", views[at].ID())
	}
}

func TestRefusedGroupStaysWholeUntilRetry(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"AccessDenied", "ValidationError"} {
		t.Run(code, func(t *testing.T) {
			now := clockAt(time.Minute)
			w := newWorld(t, divided("a", 0, 0, 9)).with(func(o *asg.Options) { o.LaunchMode, o.Clock = asg.LaunchAuto, now }).started()
			w.isDivided(true, "before anything was refused")
			fault := w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: code})
			require.Error(t, zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1), "nothing was refused")
			w.isDivided(false, "refused")
			_, _, problems := w.cache.NodeGroups(w.group("a"))
			if len(problems) != 1 || problems[0].Reason != asg.ReasonNotZonal || !strings.Contains(problems[0].Message, "refused") || problems[0].Remedy == "" {
				t.Errorf("problems %+v, want that AWS refused", problems)
			}
			w.aws.ClearFaults(fault)
			now.Step(15*time.Minute - time.Second)
			w.isDivided(false, "a moment before 15 minutes are over")
			now.Step(time.Second)
			if code == "AccessDenied" {
				w.isDivided(false, "after 15 minutes, with the denial as the last answer")
				w.must(w.cache.Increase(t.Context(), "a", 1))
			}
			w.isDivided(true, "after 15 minutes")
			w.must(zoneIncrease(w.cache, t.Context(), "a", "us-west-2b", 1))
			assert.NotZero(t, w.perZone("a")["b"], "instances in the zone")
			assert.NotEmpty(t, w.group("a").Counted(), "instances that we know")
		})
	}
}

func TestUnknownLaunchCallKeepsGroupsWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newZonalWorld(t, divided("a", 0, 0, 9), divided("b", 0, 0, 9))
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InvalidAction"})
		require.Error(t, zoneIncrease(w.cache, t.Context(), "b", "us-west-2b", 1), "nothing was refused")
		w.isDivided(false, "after another group was refused")
		for range 5 {
			time.Sleep(16 * time.Minute)
			w.isDivided(false, "16 minutes later")
			w.must(w.cache.Increase(t.Context(), "b", 1))
		}
		w.aws.ClearFaults()
		w.isDivided(false, "before the call is tried again")
		time.Sleep(16 * time.Minute)
		w.must(w.cache.Increase(t.Context(), "b", 1))
		w.isDivided(true, "once AWS knows the call")
	})
}

func TestFlagValues(t *testing.T) {
	for _, z := range []asg.ZonalGroups{"", "off", "tagged", "all"} {
		assert.NoErrorf(t, z.Check(), "%q", z)
	}
	for _, z := range []asg.ZonalGroups{"All", "true", " off", "tagged,all"} {
		assert.ErrorContainsf(t, z.Check(), "[off tagged all]", "%q, want an error that names the values", z)
	}
}
