package aws

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// zoned is the group in other zones, by their letters.
func zoned(g fakeaws.AutoScalingGroup, letters string) fakeaws.AutoScalingGroup {
	g.Zones = nil
	for _, letter := range letters {
		g.Zones = append(g.Zones, "cn-northwest-1"+string(letter))
	}
	return g
}

// inZone is a node of no group of ours, with a zone's identifier if id is not "".
func inZone(zone, id string) *corev1.Node {
	n := node("other-"+zone, "aws:///"+zone+"/i-0fffffffffffffff0")
	n.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	if id != "" {
		n.Labels[podzone.LabelZoneID] = id
	}
	return n
}

// shownZones are zone, its identifier and whether it is only assumed, of each group's NodeInfo, as the core would see them.
func (w *world) shownZones(nodes ...*corev1.Node) map[string][]string {
	w.t.Helper()
	infos, err := NewNodeInfos(w.Provider, time.Hour, false).Process(&cacontext.AutoscalingContext{CloudProvider: w.Provider}, nodes, nil, taints.TaintConfig{}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	shown := map[string][]string{}
	for id, info := range infos {
		labels := info.Node().Labels
		shown[id] = []string{labels[corev1.LabelTopologyZone], labels[podzone.LabelZoneID], labels[LabelZoneAssumed]}
	}
	return shown
}

func TestAZoneIDIsPromisedWhereNodesCarryIt(t *testing.T) {
	w := newWorld(t, nil, zoned(group("one", "m5.large", 0, 0, 5, nil), "a"), zoned(group("several", "m5.large", 0, 0, 5, nil), "ab"),
		zoned(group("declared", "m5.large", 0, 0, 5, map[string]string{template + "label/" + podzone.LabelZoneID: "mine"}), "a"))
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
				"one":      {"cn-northwest-1a", tt.want, ""},
				"several":  {"cn-northwest-1a", tt.want, "true"},
				"declared": {"cn-northwest-1a", "mine", ""},
			}
			if diff := cmp.Diff(want, w.shownZones(tt.nodes...)); diff != "" {
				t.Errorf("zone, identifier and mark (-want +got):\n%s", diff)
			}
		})
	}
	if got := w.aws.Calls()["DescribeAvailabilityZones"]; got != 0 {
		t.Errorf("EC2 was asked %d times for what nobody needs or the nodes tell", got)
	}
}

func TestTheIDOfAZoneWithoutNodesIsLookedUpOnce(t *testing.T) {
	w := newWorld(t, nil, zoned(group("one", "m5.large", 0, 0, 5, nil), "c"))
	elsewhere := inZone("cn-northwest-1a", "cnnw1-az7")
	w.eventually(func() string {
		return cmp.Diff(map[string][]string{"one": {"cn-northwest-1c", "cnnorthwest1-az4", ""}}, w.shownZones(elsewhere))
	})
	for range 5 {
		w.shownZones(elsewhere)
	}
	if got := w.aws.Calls()["DescribeAvailabilityZones"]; got != 1 {
		t.Errorf("EC2 was asked %d times, want once", got)
	}
}

func TestWithoutLeaveToDescribeZonesOnlyTheirIDsAreMissing(t *testing.T) {
	w := newWorld(t, nil, zoned(group("one", "m5.large", 0, 0, 5, nil), "c"))
	w.aws.Deny("DescribeAvailabilityZones")
	elsewhere := inZone("cn-northwest-1a", "cnnw1-az7")
	w.eventually(func() string {
		want := map[string][]string{"one": {"cn-northwest-1c", "", ""}}
		if diff := cmp.Diff(want, w.shownZones(elsewhere)); diff != "" {
			t.Fatal(diff)
		}
		if w.aws.Calls()["DescribeAvailabilityZones"] == 0 {
			return "EC2 was not asked"
		}
		return ""
	})
	for range 5 {
		w.shownZones(elsewhere)
	}
	if got := w.aws.Calls()["DescribeAvailabilityZones"]; got != 1 {
		t.Errorf("EC2 was asked %d times, want once", got)
	}
}
