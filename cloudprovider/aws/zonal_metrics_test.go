package aws_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestProblemOfDividedGroupCountsOnce(t *testing.T) {
	g := awsworld.Divided("a", "m5.large", 0, 3, 9)
	g.Tags[template+"taint/dedicated"] = "garbled=yes"
	w := newDividedWorld(t, nil, g)
	w.Reread()
	assert.Len(t, w.Events.All(), 1, "events, want one")
	w.wantProblems(map[string]float64{"a invalid-taint-form": 1})
}

func TestRefusedDivisionIsReportedWhileItLasts(t *testing.T) {
	running := awsworld.Divided("running", "m5.large", 0, 0, 9)
	running.SuspendedProcesses = nil
	garbled := awsworld.Divided("garbled", "m5.large", 0, 0, 9)
	garbled.Tags[asg.TagZonal] = "perhaps"
	w := newDividedWorld(t, nil, running, garbled)
	w.Reread()
	events := w.Events.All()
	slices.Sort(events)
	if len(events) != 2 || !strings.Contains(events[0], `"garbled"`) || !strings.Contains(events[0], `"perhaps"`) ||
		!strings.HasSuffix(events[1], "aws autoscaling suspend-processes --region cn-northwest-1 --scaling-processes AZRebalance --auto-scaling-group-name running") {
		t.Errorf("events %q, want one about the tag, and one with the command that suspends AZRebalance", events)
	}
	w.wantProblems(map[string]float64{"garbled invalid-zonal-tag": 1, "running az-rebalance-running": 1})
	assert.Empty(t, cmp.Diff([]string{"garbled", "running"}, w.IDs()), "node groups (-want +got)")
	require.NoError(t, w.AWS.Suspend("running", "AZRebalance"))
	w.setTag("garbled", asg.TagZonal, "false")
	w.Reread()
	w.wantProblems(nil)
	assert.Equal(t, []string{"garbled", "running/" + awsworld.ZoneA, "running/" + awsworld.ZoneB, "running/" + awsworld.ZoneC}, w.IDs())
}

func TestSpendOfZoneGroupsAddsUp(t *testing.T) {
	const name = "asg_autoscaler_spend_per_hour"
	w := newDividedWorld(t, nil, twoTypes(awsworld.Divided("a", "m5.large", 0, 5, 9)))
	views := w.gauges(name)
	whole := w.restartedWith(func(o *asg.Options, _ *aws.Options) { o.LaunchMode, o.ZonalGroups = asg.LaunchAuto, asg.ZonalOff }).gauges(name)
	sum := 0.0
	for _, amount := range views {
		sum += amount
	}
	require.Truef(t, len(views) == 3 && len(whole) == 1, "series %v and %v, want one a view, and one of the group", views, whole)
	of := func(zone string) float64 {
		return views[name+"{capacity_type=on-demand,currency=CNY,node_group=a/"+zone+"}"]
	}
	for _, amount := range whole {
		assert.Truef(t, amount != 0 && math.Abs(sum-amount) <= 1e-9 && math.Abs(of(awsworld.ZoneA)-2*of(awsworld.ZoneC)) <= 1e-9,
			"the views cost %v, the group %v; want the same together, and in a, with two instances, twice what c costs with one", views, whole)
	}
	require.NoError(t, w.AWS.Resume("a", "AZRebalance"))
	w.Reread()
	assert.Empty(t, cmp.Diff(whole, w.gauges(name)), "spend of the group once it is one again (-want +got)")
}

// idle reads nothing of its own accord.
func idle(o *asg.Options) { o.RefreshInterval, o.MotionInterval = time.Hour, time.Hour }

func TestUntaggedGroupsIgnoreTheZoneGroupMode(t *testing.T) {
	groups := func() []fakeaws.AutoScalingGroup {
		garbled := awsworld.Zoned(awsworld.Group("garbled", "m5.large", 0, 1, 9, map[string]string{template + "taint/dedicated": "garbled=yes"}), "abc")
		suspended := twoTypes(awsworld.Zoned(awsworld.Group("suspended", "m5.large", 0, 2, 9, nil), "ab"))
		suspended.SuspendedProcesses = []string{"AZRebalance"}
		return []fakeaws.AutoScalingGroup{awsworld.Zoned(awsworld.Group("three", "m5.large", 1, 3, 9, nil), "abc"), awsworld.Group("one", "g4dn.xlarge", 0, 1, 5, nil), garbled, suspended}
	}
	type trace struct {
		IDs     []string
		Sizes   map[string][3]int
		Calls   map[string]int
		Metrics []string
		Values  map[string]float64
		Events  []string
		Labels  map[string]map[string]string
		Zones   map[string]int
	}
	run := func(mode asg.ZonalGroups) trace {
		w := newAWS(t, atOnce, groups()...).restartedWith(func(o *asg.Options, _ *aws.Options) {
			idle(o)
			o.LaunchMode, o.ZonalGroups = asg.LaunchAuto, mode
		})
		for range 2 {
			require.NoError(t, w.Grow("three", 2))
			stays := slices.DeleteFunc(w.Nodes("three"), func(n *corev1.Node) bool { // and are in a: the order of launches is left to chance
				i, _ := w.View().Instance(n)
				return i == nil || i.Lifecycle.Leaving() || i.Zone != awsworld.ZoneA
			})
			require.NoError(t, w.NodeGroup("three").DeleteNodes(stays[:1]))
			require.NoError(t, w.NodeGroup("suspended").AtomicIncreaseSize(1))
			w.Reread()
		}
		got := trace{IDs: w.IDs(), Calls: w.AWS.Calls(), Values: w.gauges(""), Events: w.Events.All(), Zones: w.PerZone("three"),
			Sizes: map[string][3]int{}, Labels: map[string]map[string]string{}}
		slices.Sort(got.Events)
		got.Calls["DescribeAutoScalingGroups"] = 0 // a reading that has just ended serves two callers, on a slow machine only one
		maps.DeleteFunc(got.Values, func(name string, _ float64) bool { return strings.Contains(name, "snapshot_age") })
		got.Metrics = slices.Sorted(maps.Keys(got.Values))
		for _, ng := range w.NodeGroups() {
			got.Sizes[ng.Id()] = [3]int{ng.MinSize(), w.Target(ng.Id()), ng.MaxSize()}
			got.Labels[ng.Id()] = w.promised(ng.Id()).Labels
		}
		assert.True(t, len(w.gauges("asg_autoscaler_node_group_problems")) != 0, "the garbled taint is no problem: nothing is compared")
		return got
	}
	off, tagged := run(asg.ZonalOff), run(asg.ZonalTagged)
	assert.Empty(t, cmp.Diff(off, tagged), "with views for tagged groups, of which there are none (-off +tagged)")
	assert.Equal(t, []string{"garbled", "one", "suspended", "three"}, off.IDs, "node groups")
	assert.Truef(t, off.Calls["LaunchInstances"] > 0 && off.Calls["DescribeInstanceTypeOfferings"] == 0, "calls %v", off.Calls)
}
