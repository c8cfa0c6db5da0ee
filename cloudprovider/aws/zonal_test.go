package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/providerid"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

const (
	zoneA = "cn-northwest-1a"
	zoneB = "cn-northwest-1b"
	zoneC = "cn-northwest-1c"
)

// divided is a group over three zones that asks for zone groups and can have them.
func divided(name, launchTemplate string, least, desired, most int) fakeaws.AutoScalingGroup {
	g := zoned(group(name, launchTemplate, least, desired, most, map[string]string{asg.TagZonal: "true"}), "abc")
	g.SuspendedProcesses = []string{"AZRebalance"}
	return g
}

// zonally launches synchronously where that is possible, as it must be for views.
func zonally(o *asg.Options, _ *Options) { o.LaunchMode = asg.LaunchAuto }

// atOnce has synchronous launches take no time to speak of.
func atOnce(c *fakeaws.Config) { c.Delays.Synchronous = ms(20) }

// newDividedWorld starts AWS with the groups, and a Provider that divides groups on request.
func newDividedWorld(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	return newAWS(t, func(c *fakeaws.Config) {
		atOnce(c)
		if prepare != nil {
			prepare(c)
		}
	}, groups...).restartedWith(zonally)
}

// ids returns the IDs of all node groups.
func (w *world) ids() []string {
	var ids []string
	for _, ng := range w.NodeGroups() {
		ids = append(ids, ng.Id())
	}
	return ids
}

// perZone counts the instances that the group has in AWS, by zone.
func (w *world) perZone(name string) map[string]int {
	state, _ := w.aws.Group(name)
	count := map[string]int{}
	for _, i := range state.Instances {
		if !strings.HasPrefix(i.State, "Terminat") {
			count[i.Zone]++
		}
	}
	return count
}

// owner returns the ID of the node's node group, or "".
func (w *world) owner(n *corev1.Node) string {
	w.t.Helper()
	ng, err := w.NodeGroupForNode(n)
	if err != nil {
		w.t.Fatal(err)
	}
	if ng == nil {
		return ""
	}
	return ng.Id()
}

func TestDividedGroupHasOneNodeGroupPerZone(t *testing.T) {
	w := newDividedWorld(t, nil, group("b", "m5.large", 0, 1, 5, nil), divided("a", "m5.large", 2, 4, 9), zoned(group("c", "m5.large", 0, 0, 5, nil), "abc"))
	if diff := cmp.Diff([]string{"a/" + zoneA, "a/" + zoneB, "a/" + zoneC, "b", "c"}, w.ids()); diff != "" {
		t.Fatalf("node groups (-want +got):\n%s", diff)
	}
	for id, want := range map[string][3]int{ // least, target and most: of 9, five are left, and two of four may go
		"a/" + zoneA: {0, 2, 3}, "a/" + zoneB: {0, 1, 3}, "a/" + zoneC: {0, 1, 3}, "b": {0, 1, 5},
	} {
		ng := w.nodeGroup(id)
		if got := [3]int{ng.MinSize(), w.target(id), ng.MaxSize()}; got != want {
			t.Errorf("%s has least, target and most of %v, want %v", id, got, want)
		}
		if want := fmt.Sprintf("%s (%d:%d)", id, want[0], want[2]); ng.Debug() != want {
			t.Errorf("%s shows itself as %q, want %q", id, ng.Debug(), want)
		}
		if got := len(w.nodes(id)); got != want[1] {
			t.Errorf("%s has %d nodes, want %d", id, got, want[1])
		}
	}
	for id, want := range map[string]string{"a/" + zoneA: "a", "b": "b", "a": "a", "unknown": "unknown"} {
		if got := w.GroupName(id); got != want {
			t.Errorf("the group behind %s is %q, want %q", id, got, want)
		}
	}
	before := w.nodeGroup("a/" + zoneB)
	w.reread()
	if w.nodeGroup("a/"+zoneB) != before {
		t.Error("a view is another object after another reading")
	}
}

func TestZoneGroupPromisesItsZone(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 1, 9), zoned(group("whole", "m5.large", 0, 0, 9, nil), "abc"))
	live := w.watched()
	live.put(t, w.members("a/"+zoneA, map[string]string{corev1.LabelTopologyZone: zoneA, "topology.ebs.csi.aws.com/zone": zoneA, "rack": zoneA})...)
	w.reread() // facts from the node in zone a say nothing about zone b
	for _, zone := range []string{zoneA, zoneB, zoneC} {
		promised := w.promised("a/" + zone)
		for label, want := range map[string]string{corev1.LabelTopologyZone: zone, corev1.LabelFailureDomainBetaZone: zone, "topology.ebs.csi.aws.com/zone": zone,
			corev1.LabelTopologyRegion: "cn-northwest-1", corev1.LabelFailureDomainBetaRegion: "cn-northwest-1", corev1.LabelInstanceTypeStable: "m5.large", "rack": ""} {
			if got := promised.Labels[label]; got != want {
				t.Errorf("the template of a/%s has %s %q, want %q", zone, label, got, want)
			}
		}
	}
}

func TestTagsMoveNoZoneGroup(t *testing.T) {
	tags := map[string]string{template + "label/" + podzone.LabelZoneID: "cnnw1-az7"}
	for _, key := range podzone.NameLabels {
		tags[template+"label/"+key] = zoneA
	}
	views, whole := divided("views", "m5.large", 0, 0, 9), zoned(group("whole", "m5.large", 0, 0, 9, tags), "abc")
	maps.Copy(views.Tags, tags)
	w := newDividedWorld(t, nil, views, whole)
	for id, zone := range map[string]string{"views/" + zoneA: zoneA, "views/" + zoneB: zoneB, "views/" + zoneC: zoneC, "whole": zoneA} {
		labels := w.promised(id).Labels
		for _, key := range podzone.NameLabels {
			if labels[key] != zone {
				t.Errorf("%s promises %s %q", id, key, labels[key])
			}
		}
	}
	w.reread()
	if wrong := w.differs(`
# HELP cluster_autoscaler_aws_node_group_problems What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.
# TYPE cluster_autoscaler_aws_node_group_problems gauge
cluster_autoscaler_aws_node_group_problems{node_group="views",reason="declared_zone"} 4
`, "cluster_autoscaler_aws_node_group_problems"); wrong != "" {
		t.Error(wrong)
	}
	events := w.events.all()
	if len(events) != len(tags) {
		t.Errorf("%d events %q, want one for each tag, whatever the number of views", len(events), events)
	}
	for _, e := range events {
		if !strings.Contains(e, `"views"`) || !strings.Contains(e, "scaled zone by zone") || !strings.Contains(e, "remove the tag") {
			t.Errorf("event %q, want it to name the group, the cause and the remedy", e)
		}
	}
}

func TestNodeBelongsToItsZoneGroup(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 6, 9), group("b", "m5.large", 0, 1, 5, nil))
	state, _ := w.aws.Group("a")
	for _, i := range state.Instances {
		if got := w.owner(node(i.ID, providerid.Of(i.Zone, i.ID))); got != "a/"+i.Zone {
			t.Errorf("the node in %s belongs to %q", i.Zone, got)
		}
	}
	for placeholder, want := range map[string]string{
		"aws:///" + zoneB + "/i-placeholder-a/" + zoneB + "-3":                   "a/" + zoneB,
		"aws:///" + zoneA + "/i-placeholder-a-3":                                 "", // the group is none
		"aws:///" + zoneA + "/i-placeholder-a/cn-northwest-1z-3":                 "",
		"aws:///" + zoneA + "/i-placeholder-b-7":                                 "b",
		"aws:///" + zoneA + "/i-0fffffffffffffff0":                               "",
		"aws:///" + zoneA + "/" + placeholderID("a/"+zoneC, 1_000_000_000_000_0): "a/" + zoneC,
	} {
		if got := w.owner(node("n", placeholder)); got != want {
			t.Errorf("%s belongs to %q, want %q", placeholder, got, want)
		}
	}
	// One that came up after the loop began.
	before, _ := w.aws.Group("a")
	if err := w.cache.IncreaseZones(t.Context(), "a", map[string]int{zoneC: 1})[zoneC]; err != nil {
		t.Fatal(err)
	}
	after, _ := w.aws.Group("a")
	young := after.Instances[len(before.Instances)]
	if got := w.owner(node("young", providerid.Of(young.Zone, young.ID))); got != "a/"+zoneC {
		t.Errorf("an instance younger than the loop belongs to %q, want a/%s", got, zoneC)
	}
}

func TestZoneGroupGrowsAndShrinksInItsZone(t *testing.T) {
	w := newDividedWorld(t, nil, divided("a", "m5.large", 0, 3, 12))
	if err := w.nodeGroup("a/" + zoneC).IncreaseSize(2); err != nil {
		t.Fatal(err)
	}
	if err := w.nodeGroup("a/" + zoneB).AtomicIncreaseSize(1); err != nil {
		t.Fatal(err)
	}
	// A launch counts at once, within the same loop.
	for id, want := range map[string][2]int{"a/" + zoneA: {1, 4}, "a/" + zoneB: {2, 4}, "a/" + zoneC: {3, 4}} { // target and most
		if got := [2]int{w.target(id), w.nodeGroup(id).MaxSize()}; got != want {
			t.Errorf("%s has target and most of %v, want %v", id, got, want)
		}
	}
	if diff := cmp.Diff(map[string]int{zoneA: 1, zoneB: 2, zoneC: 3}, w.perZone("a")); diff != "" {
		t.Errorf("instances by zone (-want +got):\n%s", diff)
	}
	left := map[string]int{zoneA: 1, zoneB: 2, zoneC: 3}
	for _, zone := range []string{zoneC, zoneA, zoneB} {
		deleted := w.nodes("a/" + zone)[0]
		if err := w.nodeGroup("a/" + zone).DeleteNodes([]*corev1.Node{deleted}); err != nil {
			t.Fatal(err)
		}
		left[zone]--
		if left[zone] == 0 {
			delete(left, zone)
		}
		if diff := cmp.Diff(left, w.perZone("a")); diff != "" {
			t.Errorf("instances by zone after one in %s was deleted (-want +got):\n%s", zone, diff)
		}
		if there, err := w.HasInstance(deleted); there || err != nil {
			t.Errorf("the node that was deleted in %s: %t, %v; want it gone", zone, there, err)
		}
		if got := w.target("a/" + zone); got != left[zone] {
			t.Errorf("target in %s is %d right after, want %d", zone, got, left[zone])
		}
	}
	for _, e := range w.aws.Events() {
		if e.Kind == fakeaws.ScaleInKill {
			t.Errorf("AWS ended %s by its own choice", e.Instance)
		}
	}
	if n := w.aws.Calls()["SetDesiredCapacity"]; n != 0 {
		t.Errorf("the desired capacity was set %d times", n)
	}
}

func TestPlaceholdersAreWithdrawnInTheirZoneGroup(t *testing.T) {
	g := divided("a", "m5.large", 0, 3, 12)
	g.SuspendedProcesses = nil
	w := newAWS(t, atOnce, g).restartedWith(nil) // by desired capacity
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	if err := w.nodeGroup("a").IncreaseSize(4); err != nil {
		t.Fatal(err)
	}
	if err := w.aws.Suspend("a", "AZRebalance"); err != nil {
		t.Fatal(err)
	}
	w = w.restartedWith(zonally)
	missing := map[string]int{zoneA: 2, zoneB: 1, zoneC: 1} // where there is least, the first of equals
	const failed = "creating InsufficientInstanceCapacity"
	w.eventually(func() string {
		for zone, count := range missing {
			if diff := cmp.Diff(append([]string{"running"}, slices.Repeat([]string{failed}, count)...), w.states("a/"+zone)); diff != "" {
				return zone + ": " + diff
			}
		}
		return ""
	})
	seen := map[string]bool{}
	for zone, count := range missing {
		placeholders := w.nodes("a/" + zone)[1:]
		for _, p := range placeholders {
			if got := w.owner(p); got != "a/"+zone || !strings.HasPrefix(p.Spec.ProviderID, "aws:///"+zone+"/") || seen[p.Name] {
				t.Errorf("placeholder %s of a/%s belongs to %q", p.Spec.ProviderID, zone, got)
			}
			seen[p.Name] = true
		}
		if len(placeholders) != count {
			t.Errorf("%d placeholders in %s, want %d", len(placeholders), zone, count)
		}
	}
	if err := w.nodeGroup("a/" + zoneA).DeleteNodes(w.nodes("a/" + zoneA)[1:]); err != nil {
		t.Fatal(err)
	}
	if err := w.nodeGroup("a/" + zoneB).DecreaseTargetSize(-1); err != nil {
		t.Fatal(err)
	}
	targets := 0
	for _, id := range w.ids() {
		targets += w.target(id)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 4 || targets != 4 || len(state.Instances) != 3 {
		t.Errorf("%d desired, targets of %d and %d instances, want 4, 4 and 3: three were withdrawn", state.Desired, targets, len(state.Instances))
	}
}

// twoTypes has a policy of both types, wholly on demand.
func twoTypes(g fakeaws.AutoScalingGroup) fakeaws.AutoScalingGroup {
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *g.LaunchTemplate,
		Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "c5.large"}}}
	g.LaunchTemplate = nil
	return g
}

func TestZoneGroupPromisesOfferedTypesOnly(t *testing.T) {
	w := newDividedWorld(t, func(c *fakeaws.Config) {
		c.Offerings = map[string][]string{"m5.large": {zoneA, zoneC}, "c5.large": {zoneA, zoneB}}
	}, twoTypes(divided("two", "m5.large", 0, 0, 9)), divided("one", "m5.large", 0, 0, 9), zoned(group("whole", "m5.large", 0, 0, 9, nil), "b"))
	types := func(id string) (names []string) {
		for _, t := range w.view.Load().groups[id].LaunchSpec.Types {
			names = append(names, t.Name)
		}
		return names
	}
	w.eventually(func() string {
		got := map[string][]string{}
		for _, id := range w.ids() {
			got[id] = types(id)
		}
		return cmp.Diff(map[string][]string{"two/" + zoneA: {"m5.large", "c5.large"}, "two/" + zoneB: {"c5.large"}, "two/" + zoneC: {"m5.large"},
			"one/" + zoneA: {"m5.large"}, "one/" + zoneB: nil, "one/" + zoneC: {"m5.large"}, "whole": {"m5.large"}}, got)
	})
	if got := w.promised("two/" + zoneB).Labels[corev1.LabelInstanceTypeStable]; got != "c5.large" {
		t.Errorf("in b, %s is promised", got)
	}
	for _, id := range w.ids() {
		if got, want := w.View().Group(id).Blocked(), id == "one/"+zoneB; got != want {
			t.Errorf("%s is blocked: %t, want %t", id, got, want)
		}
	}
	if wrong := w.differs(`
# HELP cluster_autoscaler_aws_node_group_problems What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.
# TYPE cluster_autoscaler_aws_node_group_problems gauge
cluster_autoscaler_aws_node_group_problems{node_group="one",reason="not-offered-in-zone"} 1
`, "cluster_autoscaler_aws_node_group_problems"); wrong != "" {
		t.Error(wrong)
	}
	if events := w.events.all(); len(events) != 1 || !strings.Contains(events[0], `"one"`) || !strings.Contains(events[0], zoneB) {
		t.Errorf("events %q, want one about one in b", events)
	}
	// The cut description is the same for as long as nothing changed, and so is the template.
	before := w.templates()
	for range 3 {
		w.reread()
	}
	if got := w.rebuiltSince(before); len(got) > 0 {
		t.Errorf("templates were built again although nothing changed: %v", got)
	}
	if err := w.nodeGroup("two/" + zoneB).IncreaseSize(1); err != nil {
		t.Fatal(err)
	}
	if got := types("two/" + zoneB); !slices.Equal(got, []string{"c5.large"}) {
		t.Errorf("after a launch within the loop %v are promised in b", got)
	}
	w.reread()
	if got := w.rebuiltSince(before); len(got) > 0 {
		t.Errorf("templates were built again after a launch: %v", got)
	}
	if n := w.aws.Calls()["DescribeInstanceTypeOfferings"]; n != 1 {
		t.Errorf("EC2 was asked %d times where types are offered, want once", n)
	}
	// As many types as before, and others.
	changed := newAWS(t, func(c *fakeaws.Config) {
		c.Offerings = map[string][]string{"m5.large": {zoneA, zoneB, zoneC}, "c5.large": {zoneA}}
	}, zoned(group("any", "m5.large", 0, 0, 9, nil), "abc"))
	w.offers = changed.restarted().offers
	w.offers.Want([]string{"m5.large", "c5.large"})
	w.eventually(func() string { return cmp.Diff([]string{"m5.large"}, types("two/"+zoneB)) })
}
