package aws

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func TestProblemOfDividedGroupCountsOnce(t *testing.T) {
	g := divided("a", "m5.large", 0, 3, 9)
	g.Tags[template+"taint/dedicated"] = "garbled=yes"
	w := newDividedWorld(t, nil, g)
	w.reread()
	if events := w.events.all(); len(events) != 1 {
		t.Errorf("events %q, want one", events)
	}
	if wrong := w.differs(`
# HELP cluster_autoscaler_aws_node_group_problems What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.
# TYPE cluster_autoscaler_aws_node_group_problems gauge
cluster_autoscaler_aws_node_group_problems{node_group="a",reason="invalid_taint_form"} 1
`, "cluster_autoscaler_aws_node_group_problems"); wrong != "" {
		t.Error(wrong)
	}
}

func TestRefusedDivisionIsReportedWhileItLasts(t *testing.T) {
	running := divided("running", "m5.large", 0, 0, 9)
	running.SuspendedProcesses = nil
	garbled := divided("garbled", "m5.large", 0, 0, 9)
	garbled.Tags[asg.TagZonal] = "perhaps"
	w := newDividedWorld(t, nil, running, garbled)
	w.reread()
	events := w.events.all()
	slices.Sort(events)
	if len(events) != 2 || !strings.Contains(events[0], `"garbled"`) || !strings.Contains(events[0], `"perhaps"`) ||
		!strings.HasSuffix(events[1], "aws autoscaling suspend-processes --scaling-processes AZRebalance --auto-scaling-group-name running") {
		t.Errorf("events %q, want one about the tag, and one with the command that suspends AZRebalance", events)
	}
	const help = `
# HELP cluster_autoscaler_aws_node_group_problems What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.
# TYPE cluster_autoscaler_aws_node_group_problems gauge
`
	if wrong := w.differs(help+`cluster_autoscaler_aws_node_group_problems{node_group="garbled",reason="invalid-zonal-tag"} 1
cluster_autoscaler_aws_node_group_problems{node_group="running",reason="az-rebalance-running"} 1
`, "cluster_autoscaler_aws_node_group_problems"); wrong != "" {
		t.Error(wrong)
	}
	if diff := cmp.Diff([]string{"garbled", "running"}, w.ids()); diff != "" {
		t.Errorf("node groups (-want +got):\n%s", diff)
	}
	if err := w.aws.Suspend("running", "AZRebalance"); err != nil {
		t.Fatal(err)
	}
	w.setTag("garbled", asg.TagZonal, "false")
	w.reread()
	if wrong := w.differs("", "cluster_autoscaler_aws_node_group_problems"); wrong != "" {
		t.Error(wrong)
	}
	if diff := cmp.Diff([]string{"garbled", "running/" + zoneA, "running/" + zoneB, "running/" + zoneC}, w.ids()); diff != "" {
		t.Errorf("node groups (-want +got):\n%s", diff)
	}
}

// gauges are the values of a metric by its labels.
func (w *world) gauges(name string) map[string]float64 {
	w.t.Helper()
	families, err := w.metric.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if name == "" || f.GetName() == name {
				values[f.GetName()+labelsOf(m)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return values
}

func labelsOf(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		pairs = append(pairs, l.GetName()+"="+l.GetValue())
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func TestSpendOfZoneGroupsAddsUp(t *testing.T) {
	const name = "cluster_autoscaler_aws_spend_per_hour"
	w := newDividedWorld(t, nil, twoTypes(divided("a", "m5.large", 0, 5, 9)))
	views := w.gauges(name)
	whole := w.restartedWith(func(o *asg.Options, _ *Options) { o.LaunchMode, o.ZonalGroups = asg.LaunchAuto, asg.ZonalOff }).gauges(name)
	sum := 0.0
	for _, amount := range views {
		sum += amount
	}
	if len(views) != 3 || len(whole) != 1 {
		t.Fatalf("series %v and %v, want one a view, and one of the group", views, whole)
	}
	of := func(zone string) float64 {
		return views[name+"{capacity_type=on-demand,currency=CNY,node_group=a/"+zone+"}"]
	}
	for _, amount := range whole {
		if amount == 0 || math.Abs(sum-amount) > 1e-9 || math.Abs(of(zoneA)-2*of(zoneC)) > 1e-9 {
			t.Errorf("the views cost %v, the group %v; want the same together, and in a, with two instances, twice what c costs with one", views, whole)
		}
	}
	if err := w.aws.Resume("a", "AZRebalance"); err != nil {
		t.Fatal(err)
	}
	w.reread()
	if diff := cmp.Diff(whole, w.gauges(name)); diff != "" {
		t.Errorf("spend of the group once it is one again (-want +got):\n%s", diff)
	}
}

// idle reads nothing of its own accord.
func idle(o *asg.Options) { o.RefreshInterval, o.MotionInterval = time.Hour, time.Hour }

func TestUntaggedGroupsIgnoreTheZoneGroupMode(t *testing.T) {
	groups := func() []fakeaws.AutoScalingGroup {
		garbled := zoned(group("garbled", "m5.large", 0, 1, 9, map[string]string{template + "taint/dedicated": "garbled=yes"}), "abc")
		suspended := twoTypes(zoned(group("suspended", "m5.large", 0, 2, 9, nil), "ab"))
		suspended.SuspendedProcesses = []string{"AZRebalance"}
		return []fakeaws.AutoScalingGroup{zoned(group("three", "m5.large", 1, 3, 9, nil), "abc"), group("one", "g4dn.xlarge", 0, 1, 5, nil), garbled, suspended}
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
		w := newAWS(t, atOnce, groups()...).restartedWith(func(o *asg.Options, _ *Options) {
			idle(o)
			o.LaunchMode, o.ZonalGroups = asg.LaunchAuto, mode
		})
		for range 2 {
			if err := w.nodeGroup("three").IncreaseSize(2); err != nil {
				t.Fatal(err)
			}
			stays := slices.DeleteFunc(w.nodes("three"), func(n *corev1.Node) bool { // and are in a: the order of launches is left to chance
				id, _ := instanceID(n.Spec.ProviderID)
				i, _ := w.view.Load().snapshot.Instance(id)
				return i == nil || i.Lifecycle.Leaving() || i.Zone != zoneA
			})
			if err := w.nodeGroup("three").DeleteNodes(stays[:1]); err != nil {
				t.Fatal(err)
			}
			if err := w.nodeGroup("suspended").AtomicIncreaseSize(1); err != nil {
				t.Fatal(err)
			}
			w.reread()
		}
		got := trace{IDs: w.ids(), Calls: w.aws.Calls(), Values: w.gauges(""), Events: w.events.all(), Zones: w.perZone("three"),
			Sizes: map[string][3]int{}, Labels: map[string]map[string]string{}}
		slices.Sort(got.Events)
		maps.DeleteFunc(got.Values, func(name string, _ float64) bool { return strings.Contains(name, "snapshot_age") })
		got.Metrics = slices.Sorted(maps.Keys(got.Values))
		for _, ng := range w.NodeGroups() {
			got.Sizes[ng.Id()] = [3]int{ng.MinSize(), w.target(ng.Id()), ng.MaxSize()}
			got.Labels[ng.Id()] = w.promised(ng.Id()).Labels
		}
		if err := testutil.CollectAndCompare(w.problems.gauge, strings.NewReader("")); err == nil {
			t.Error("the garbled taint is no problem: nothing is compared")
		}
		return got
	}
	off, tagged := run(asg.ZonalOff), run(asg.ZonalTagged)
	if diff := cmp.Diff(off, tagged); diff != "" {
		t.Errorf("with views for tagged groups, of which there are none (-off +tagged):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"garbled", "one", "suspended", "three"}, off.IDs); diff != "" || off.Calls["LaunchInstances"] == 0 || off.Calls["DescribeInstanceTypeOfferings"] > 0 {
		t.Errorf("calls %v, node groups (-want +got):\n%s", off.Calls, diff)
	}
}
