package nodeinfos

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// inZone is a node of no group of ours, with a zone's identifier if id is not "".
func inZone(zone, id string) *corev1.Node {
	n := awsworld.Node("other-"+zone, "aws:///"+zone+"/i-0fffffffffffffff0")
	n.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	if id != "" {
		n.Labels[podzone.LabelZoneID] = id
	}
	return n
}

// shownZones are zone, its identifier and whether it is only assumed, of each group's NodeInfo, as the core would see them.
func shownZones(w *awsworld.World, nodes ...*corev1.Node) map[string][]string {
	w.T.Helper()
	shown := map[string][]string{}
	for id, info := range process(w, newProvider(w), nil, nodes...) {
		labels := info.Node().Labels
		shown[id] = []string{labels[corev1.LabelTopologyZone], labels[podzone.LabelZoneID], labels[nodemeta.ZoneAssumed]}
	}
	return shown
}

func TestAZoneIDIsPromisedWhereNodesCarryIt(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("one", "m5.large", 0, 0, 5, nil), "a"), awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "ab"),
		awsworld.Zoned(awsworld.Group("kept-whole", "m5.large", 0, 0, 5, map[string]string{asg.TagZonal: "false"}), "ab"),
		awsworld.Zoned(awsworld.Group("declared", "m5.large", 0, 0, 5, map[string]string{awsworld.Template + "label/" + podzone.LabelZoneID: "mine"}), "a"))
	for _, tt := range []struct {
		name  string
		nodes []*corev1.Node
		want  string // identifier of zone a
	}{
		{name: "no node at all"},
		{name: "no node carries one", nodes: []*corev1.Node{inZone("cn-northwest-1a", "")}},
		{name: "a node of the zone carries it", nodes: []*corev1.Node{inZone("cn-northwest-1b", "cnnw1-az1"), inZone("cn-northwest-1a", "cnnw1-az7")}, want: "cnnw1-az7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := map[string][]string{
				"one":     {"cn-northwest-1a", tt.want, ""},
				"several": {"cn-northwest-1a", tt.want, nodemeta.Among([]string{awsworld.ZoneA, awsworld.ZoneB})},
				// Nobody can choose its zone. As with the stock provider, its template shows one, and pods that need it wake the group.
				"kept-whole": {"cn-northwest-1a", tt.want, ""},
				"declared":   {"cn-northwest-1a", "mine", ""},
			}
			assert.Empty(t, cmp.Diff(want, shownZones(w, tt.nodes...)), "zone, identifier and mark (-want +got)")
		})
	}
	assert.Equal(t, 0, w.AWS.Calls()["DescribeAvailabilityZones"], "times EC2 was asked for what nobody needs or the nodes tell")
}

func TestZoneIDWithoutNodesIsLookedUpOnce(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Zoned(awsworld.Group("one", "m5.large", 0, 0, 5, nil), "c"))
	elsewhere := inZone("cn-northwest-1a", "cnnw1-az7")
	w.Eventually(func() string {
		return cmp.Diff(map[string][]string{"one": {"cn-northwest-1c", "cnnorthwest1-az4", ""}}, shownZones(w, elsewhere))
	})
	for range 5 {
		shownZones(w, elsewhere)
	}
	assert.Equal(t, 1, w.AWS.Calls()["DescribeAvailabilityZones"], "times EC2 was asked, want once")
}

func TestDeniedZoneLookUpCostsOnlyIDs(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Zoned(awsworld.Group("one", "m5.large", 0, 0, 5, nil), "c"))
	w.AWS.Deny("DescribeAvailabilityZones")
	elsewhere := inZone("cn-northwest-1a", "cnnw1-az7")
	w.Eventually(func() string {
		want := map[string][]string{"one": {"cn-northwest-1c", "", ""}}
		require.Empty(t, cmp.Diff(want, shownZones(w, elsewhere)))
		if w.AWS.Calls()["DescribeAvailabilityZones"] == 0 {
			return "EC2 was not asked"
		}
		return ""
	})
	for range 5 {
		shownZones(w, elsewhere)
	}
	assert.Equal(t, 1, w.AWS.Calls()["DescribeAvailabilityZones"], "times EC2 was asked, want once")
}

func TestZoneGroupHasTheIDOfItsZone(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("a", "m5.large", 0, 0, 9), awsworld.Zoned(awsworld.Group("whole", "m5.large", 0, 0, 9, nil), "abc"))
	other := inZone("cn-northwest-1z", "cnnw1-az9")
	w.Eventually(func() string {
		return cmp.Diff(map[string][]string{
			"a/" + awsworld.ZoneA: {awsworld.ZoneA, "cnnorthwest1-az2", ""}, "a/" + awsworld.ZoneB: {awsworld.ZoneB, "cnnorthwest1-az3", ""},
			"a/" + awsworld.ZoneC: {awsworld.ZoneC, "cnnorthwest1-az4", ""}, "whole": {awsworld.ZoneA, "cnnorthwest1-az2", nodemeta.Among([]string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC})},
		}, shownZones(w, other))
	})
	shown := inZone(awsworld.ZoneB, "cnnw1-az7")
	if got := shownZones(w, shown)["a/"+awsworld.ZoneB]; !slices.Equal(got, []string{awsworld.ZoneB, "cnnw1-az7", ""}) {
		t.Errorf("zone, %s and assumption are %q, want the identifier that a node of the zone shows", podzone.LabelZoneID, got)
	}
}

func TestTagsMoveNoZoneGroup(t *testing.T) {
	tags := map[string]string{awsworld.Template + "label/" + podzone.LabelZoneID: "cnnw1-az7"}
	for _, key := range podzone.NameLabels {
		tags[awsworld.Template+"label/"+key] = awsworld.ZoneA
	}
	divided, whole := awsworld.Divided("divided", "m5.large", 0, 0, 9), awsworld.Zoned(awsworld.Group("whole", "m5.large", 0, 0, 9, tags), "abc")
	maps.Copy(divided.Tags, tags)
	w := awsworld.NewDivided(t, nil, divided, whole)
	other := inZone("cn-northwest-1z", "cnnw1-az9")
	w.Eventually(func() string {
		return cmp.Diff(map[string][]string{"divided/" + awsworld.ZoneA: {awsworld.ZoneA, "cnnorthwest1-az2", ""},
			"divided/" + awsworld.ZoneB: {awsworld.ZoneB, "cnnorthwest1-az3", ""}, "divided/" + awsworld.ZoneC: {awsworld.ZoneC, "cnnorthwest1-az4", ""},
			"whole": {awsworld.ZoneA, "cnnw1-az7", ""}}, shownZones(w, other))
	})
}

// AWS launches nothing in a zone under a zonal shift. A pod that needs it had the group launch node after node in the others.
func TestNextNodeIsInAnOpenZone(t *testing.T) {
	half := 50
	mixed := awsworld.Zoned(awsworld.Group("mixed", "", 0, 0, 9, nil), "abc")
	mixed.LaunchTemplate = nil
	mixed.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: &half}}
	mixed.ZonalShift, mixed.ShiftedZones = true, []string{awsworld.ZoneA}
	w := awsworld.NewDivided(t, nil, mixed)
	shown := []*corev1.Node{inZone(awsworld.ZoneA, "cnnw1-az7"), inZone(awsworld.ZoneB, "cnnw1-az1")}
	w.Eventually(func() string {
		return cmp.Diff(map[string][]string{"mixed": {awsworld.ZoneB, "cnnw1-az1", ""}}, shownZones(w, shown...))
	})
	node := process(w, newProvider(w), nil, shown...)["mixed"].Node()
	for _, key := range podzone.NameLabels {
		assert.Equal(t, awsworld.ZoneB, node.Labels[key], key)
	}
}
