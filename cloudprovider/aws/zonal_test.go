package aws_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestDividedGroupHasOneNodeGroupPerZone(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Group("b", "m5.large", 0, 1, 5, nil), awsworld.Divided("a", "m5.large", 2, 4, 9), awsworld.Zoned(awsworld.Group("c", "m5.large", 0, 0, 5, nil), "abc"))
	require.Empty(t, cmp.Diff([]string{"a/" + awsworld.ZoneA, "a/" + awsworld.ZoneB, "a/" + awsworld.ZoneC, "b", "c"}, w.IDs()),
		"node groups (-want +got)")
	for id, want := range map[string][3]int{ // least, target and most: of 9, five are left, and two of four may go
		"a/" + awsworld.ZoneA: {0, 2, 3}, "a/" + awsworld.ZoneB: {0, 1, 3}, "a/" + awsworld.ZoneC: {0, 1, 3}, "b": {0, 1, 5},
	} {
		ng := w.NodeGroup(id)
		assert.Equalf(t, want, [3]int{ng.MinSize(), w.Target(id), ng.MaxSize()}, "%s has least, target and most of", id)
		assert.Equal(t, fmt.Sprintf("%s (%d:%d)", id, want[0], want[2]), ng.Debug(), "how it shows itself")
		assert.Lenf(t, w.Nodes(id), want[1], "nodes of %s", id)
	}
	for id, want := range map[string]string{"a/" + awsworld.ZoneA: "a", "b": "b", "a": "a", "unknown": "unknown",
		"b/canary": "b/canary", "unknown/" + awsworld.ZoneA: "unknown/" + awsworld.ZoneA, "c/" + awsworld.ZoneA: "c"} { // c as after a merge
		assert.Equalf(t, want, w.GroupName(id), "the group behind %s", id)
	}
	before := w.NodeGroup("a/" + awsworld.ZoneB)
	w.Reread()
	assert.True(t, w.NodeGroup("a/"+awsworld.ZoneB) == before, "a view is another object after another reading")
}

func TestZoneGroupPromisesItsZone(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 1, 9), awsworld.Zoned(awsworld.Group("whole", "m5.large", 0, 0, 9, nil), "abc"))
	live := w.Cluster
	live.Put(t, w.Members("a/"+awsworld.ZoneA, map[string]string{corev1.LabelTopologyZone: awsworld.ZoneA, "topology.ebs.csi.aws.com/zone": awsworld.ZoneA, "rack": awsworld.ZoneA})...)
	w.Reread() // facts from the node in zone a say nothing about zone b
	for _, zone := range []string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC} {
		promised := w.promised("a/" + zone)
		for label, want := range map[string]string{corev1.LabelTopologyZone: zone, corev1.LabelFailureDomainBetaZone: zone, "topology.ebs.csi.aws.com/zone": zone,
			corev1.LabelTopologyRegion: "cn-northwest-1", corev1.LabelFailureDomainBetaRegion: "cn-northwest-1", corev1.LabelInstanceTypeStable: "m5.large", "rack": ""} {
			assert.Equalf(t, want, promised.Labels[label], "the template of a/%s has %s", zone, label)
		}
	}
}

// The tags move none, see nodeinfos.
func TestTagsOfAZoneAreProblemsOfTheirGroup(t *testing.T) {
	tags := map[string]string{template + "label/" + podzone.LabelZoneID: "cnnw1-az7"}
	for _, key := range podzone.NameLabels {
		tags[template+"label/"+key] = awsworld.ZoneA
	}
	views, whole := awsworld.Divided("views", "m5.large", 0, 0, 9), awsworld.Zoned(awsworld.Group("whole", "m5.large", 0, 0, 9, tags), "abc")
	maps.Copy(views.Tags, tags)
	w := newDividedWorld(t, nil, views, whole)
	w.Reread()
	w.wantProblems(map[string]float64{"views declared-zone": 4})
	events := w.Events.All()
	assert.Truef(t, len(events) == len(tags), "%d events %q, want one for each tag, whatever the number of views", len(events), events)
	for _, e := range events {
		assert.Truef(t, strings.Contains(e, `"views"`) && strings.Contains(e, "scaled zone by zone") && strings.Contains(e, "delete-tags"),
			"event %q, want it to name the group, the cause and the remedy", e)
	}
}

func TestNodeBelongsToItsZoneGroup(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 6, 9), awsworld.Group("b", "m5.large", 0, 1, 5, nil))
	state, _ := w.AWS.Group("a")
	for _, i := range state.Instances {
		assert.Equal(t, "a/"+i.Zone, w.owner(awsworld.Node(i.ID, nodemeta.ProviderID(i.Zone, i.ID))), "the node belongs to")
	}
	for placeholder, want := range map[string]string{
		"aws:///" + awsworld.ZoneB + "/i-placeholder-a/" + awsworld.ZoneB + "-3":              "a/" + awsworld.ZoneB,
		"aws:///" + awsworld.ZoneA + "/i-placeholder-a-3":                                     "", // the group is none
		"aws:///" + awsworld.ZoneA + "/i-placeholder-a/cn-northwest-1z-3":                     "",
		"aws:///" + awsworld.ZoneA + "/i-placeholder-b-7":                                     "b",
		"aws:///" + awsworld.ZoneA + "/i-0fffffffffffffff0":                                   "",
		"aws:///" + awsworld.ZoneA + "/i-placeholder-a/" + awsworld.ZoneC + "-10000000000000": "a/" + awsworld.ZoneC,
	} {
		assert.Equalf(t, want, w.owner(awsworld.Node("n", placeholder)), "%s belongs to", placeholder)
	}
	// One that came up after the loop began.
	before, _ := w.AWS.Group("a")
	require.NoError(t, w.Cache.IncreaseZones(t.Context(), "a", map[string]int{awsworld.ZoneC: 1})[awsworld.ZoneC])
	after, _ := w.AWS.Group("a")
	young := after.Instances[len(before.Instances)]
	assert.Equal(t, "a/"+awsworld.ZoneC, w.owner(awsworld.Node("young", nodemeta.ProviderID(young.Zone, young.ID))), "a young instance belongs to")
}

func TestZoneGroupGrowsAndShrinksInItsZone(t *testing.T) {
	w := newDividedWorld(t, nil, awsworld.Divided("a", "m5.large", 0, 3, 12))
	require.NoError(t, w.Grow("a/"+awsworld.ZoneC, 2))
	require.NoError(t, w.NodeGroup("a/"+awsworld.ZoneB).AtomicIncreaseSize(1))
	// A launch counts at once, within the same loop.
	for id, want := range map[string][2]int{"a/" + awsworld.ZoneA: {1, 4}, "a/" + awsworld.ZoneB: {2, 4}, "a/" + awsworld.ZoneC: {3, 4}} { // target and most
		assert.Equalf(t, want, [2]int{w.Target(id), w.NodeGroup(id).MaxSize()}, "%s has target and most of", id)
	}
	assert.Empty(t, cmp.Diff(map[string]int{awsworld.ZoneA: 1, awsworld.ZoneB: 2, awsworld.ZoneC: 3}, w.PerZone("a")), "instances by zone (-want +got)")
	left := map[string]int{awsworld.ZoneA: 1, awsworld.ZoneB: 2, awsworld.ZoneC: 3}
	for _, zone := range []string{awsworld.ZoneC, awsworld.ZoneA, awsworld.ZoneB} {
		deleted := w.Nodes("a/" + zone)[0]
		require.NoError(t, w.NodeGroup("a/"+zone).DeleteNodes([]*corev1.Node{deleted}))
		left[zone]--
		if left[zone] == 0 {
			delete(left, zone)
		}
		assert.Emptyf(t, cmp.Diff(left, w.PerZone("a")), "instances by zone after one in %s was deleted (-want +got)", zone)
		assert.Falsef(t, w.has(deleted), "the node that was deleted in %s is there", zone)
		assert.Equalf(t, left[zone], w.Target("a/"+zone), "target in %s right after", zone)
	}
	for _, e := range w.AWS.Events() {
		assert.Truef(t, e.Kind != fakeaws.ScaleInKill, "AWS ended %s by its own choice", e.Instance)
	}
	assert.Equal(t, 0, w.AWS.Calls()["SetDesiredCapacity"], "times the desired capacity was set")
}

func TestPlaceholdersAreWithdrawnInTheirZoneGroup(t *testing.T) {
	g := awsworld.Divided("a", "m5.large", 0, 3, 12)
	g.SuspendedProcesses = nil
	w := newAWS(t, atOnce, g).restartedWith(zonally)
	w.AWS.AddShortage(fakeaws.Shortage{Group: "a"})
	w.AWS.Inject(fakeaws.Fault{Action: "LaunchInstances", Code: "UnsupportedOperation", Times: 1}) // so by desired capacity
	require.NoError(t, w.Grow("a", 4))
	require.NoError(t, w.AWS.Suspend("a", "AZRebalance"))
	w.Reread()
	missing := map[string]int{awsworld.ZoneA: 2, awsworld.ZoneB: 1, awsworld.ZoneC: 1} // where there is least, the first of equals
	const failed = "creating InsufficientInstanceCapacity"
	w.Eventually(func() string {
		for zone, count := range missing {
			if diff := cmp.Diff(append([]string{"running"}, slices.Repeat([]string{failed}, count)...), w.states("a/"+zone)); diff != "" {
				return zone + ": " + diff
			}
		}
		return ""
	})
	seen := map[string]bool{}
	for zone, count := range missing {
		placeholders := w.Nodes("a/" + zone)[1:]
		for _, p := range placeholders {
			if got := w.owner(p); got != "a/"+zone || !strings.HasPrefix(p.Spec.ProviderID, "aws:///"+zone+"/") || seen[p.Name] {
				t.Errorf("placeholder %s of a/%s belongs to %q", p.Spec.ProviderID, zone, got)
			}
			seen[p.Name] = true
		}
		assert.Lenf(t, placeholders, count, "placeholders in %s", zone)
	}
	w.stopLaunching("a")
	w.eventuallyDeletes("a/"+awsworld.ZoneA, w.Nodes("a/" + awsworld.ZoneA)[1:])
	require.NoError(t, w.NodeGroup("a/"+awsworld.ZoneB).DecreaseTargetSize(-1))
	targets := 0
	for _, id := range w.IDs() {
		targets += w.Target(id)
	}
	state, _ := w.AWS.Group("a")
	assert.Equal(t, [3]int{4, 4, 3}, [3]int{state.Desired, targets, len(state.Instances)}, "desired, targets and instances: three were withdrawn")
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
		c.Offerings = map[string][]string{"m5.large": {awsworld.ZoneA, awsworld.ZoneC}, "c5.large": {awsworld.ZoneA, awsworld.ZoneB}}
	}, twoTypes(awsworld.Divided("two", "m5.large", 0, 0, 9)), awsworld.Divided("one", "m5.large", 0, 0, 9), awsworld.Zoned(awsworld.Group("whole", "m5.large", 0, 0, 9, nil), "b"))
	types := func(id string) (names []string) {
		for _, t := range w.View().Group(id).LaunchSpec.Types {
			names = append(names, t.Name)
		}
		return names
	}
	w.Eventually(func() string {
		got := map[string][]string{}
		for _, id := range w.IDs() {
			got[id] = types(id)
		}
		return cmp.Diff(map[string][]string{"two/" + awsworld.ZoneA: {"m5.large", "c5.large"}, "two/" + awsworld.ZoneB: {"c5.large"}, "two/" + awsworld.ZoneC: {"m5.large"},
			"one/" + awsworld.ZoneA: {"m5.large"}, "one/" + awsworld.ZoneB: nil, "one/" + awsworld.ZoneC: {"m5.large"}, "whole": {"m5.large"}}, got)
	})
	assert.Equal(t, "c5.large", w.promised("two/" + awsworld.ZoneB).Labels[corev1.LabelInstanceTypeStable], "promised in b")
	for _, id := range w.IDs() {
		got, want := w.View().Group(id).Blocked(), id == "one/"+awsworld.ZoneB
		assert.Equalf(t, want, got, "%s is blocked", id)
	}
	w.wantProblems(map[string]float64{"one not-offered-in-zone": 1})
	w.wantEvent(`"one"`, awsworld.ZoneB)
	// The cut description is the same for as long as nothing changed, and so is the template.
	before := w.templates()
	for range 3 {
		w.Reread()
	}
	assert.Empty(t, w.rebuiltSince(before), "templates were built again although nothing changed")
	require.NoError(t, w.Grow("two/"+awsworld.ZoneB, 1))
	assert.Equal(t, []string{"c5.large"}, types("two/"+awsworld.ZoneB), "promised in b after a launch within the loop")
	w.Reread()
	assert.Empty(t, w.rebuiltSince(before), "templates were built again after a launch")
	assert.Equal(t, 1, w.AWS.Calls()["DescribeInstanceTypeOfferings"], "times EC2 was asked where types are offered, want once")
	// As many types as before, and others.
	changed := newAWS(t, func(c *fakeaws.Config) {
		c.Offerings = map[string][]string{"m5.large": {awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC}, "c5.large": {awsworld.ZoneA}}
	}, awsworld.Zoned(awsworld.Group("any", "m5.large", 0, 0, 9, nil), "abc"))
	w.TakeOfferings(changed.restartedWith(nil).Provider, "m5.large", "c5.large")
	w.Eventually(func() string { return cmp.Diff([]string{"m5.large"}, types("two/"+awsworld.ZoneB)) })
}
