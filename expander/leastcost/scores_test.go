package leastcost

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// bothTypes are candidates of which each has a capacity type and a zone.
var bothTypes = []candidate{{info: framework.NewNodeInfo(in("spot", "a"), nil)}, {info: framework.NewNodeInfo(in("on-demand", "a"), nil)},
	{info: framework.NewNodeInfo(in("spot", "b"), nil)}}

func in(capacityType, zone string) *apiv1.Node {
	return &apiv1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{capacity: capacityType, apiv1.LabelTopologyZone: zone}}}
}

func ofWeb(count int, change func(*apiv1.PodSpec)) []*apiv1.Pod {
	return each(replicas("web", count), func(_ int, pod *apiv1.Pod) { change(&pod.Spec) })
}

func prefer(weight int32, key, value string) apiv1.PreferredSchedulingTerm {
	return apiv1.PreferredSchedulingTerm{Weight: weight, Preference: apiv1.NodeSelectorTerm{MatchExpressions: []apiv1.NodeSelectorRequirement{
		{Key: key, Operator: apiv1.NodeSelectorOpIn, Values: []string{value}}}}}
}

func affine(terms ...apiv1.PreferredSchedulingTerm) func(*apiv1.PodSpec) {
	return func(s *apiv1.PodSpec) {
		s.Affinity = &apiv1.Affinity{NodeAffinity: &apiv1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: terms}}
	}
}

func spreadOver(action apiv1.UnsatisfiableConstraintAction, keys ...string) func(*apiv1.PodSpec) {
	return func(s *apiv1.PodSpec) {
		for _, key := range keys {
			s.TopologySpreadConstraints = append(s.TopologySpreadConstraints, apiv1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: action})
		}
	}
}

func TestScores(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pods    []*apiv1.Pod
		able    []int          // candidates, nil for all
		running map[string]int // pods of the workload by capacity type
		off     bool
		want    [][]int64
	}{
		{name: "no preference", pods: ofWeb(2, func(*apiv1.PodSpec) {}), want: [][]int64{nil, nil}},
		{name: "required spread is no preference", pods: ofWeb(2, spreadOver(apiv1.DoNotSchedule, capacity)), want: [][]int64{nil, nil}},
		{name: "every node is a host of its own", pods: ofWeb(2, spreadOver(apiv1.ScheduleAnyway, apiv1.LabelHostname)), want: [][]int64{nil, nil}},
		{name: "turned off", pods: ofWeb(1, affine(prefer(1, capacity, "spot"))), off: true, want: [][]int64{nil}},
		{name: "a capacity type", pods: ofWeb(1, affine(prefer(1, capacity, "spot"))), want: [][]int64{{10_000, 0, 10_000}}},
		{name: "by weight", pods: ofWeb(1, affine(prefer(30, capacity, "spot"), prefer(10, apiv1.LabelTopologyZone, "b"))), want: [][]int64{{7_500, 0, 10_000}}},
		{name: "a small weight beside heavy ones", pods: ofWeb(1, affine(prefer(100, "disk", "ssd"), prefer(100, "net", "fast"), prefer(1, apiv1.LabelTopologyZone, "b"))),
			want: [][]int64{{0, 0, 49}}},
		{name: "no node has it", pods: ofWeb(1, affine(prefer(1, "disk", "ssd"))), want: [][]int64{nil}},
		{name: "the pod can use one alone", pods: ofWeb(1, affine(prefer(1, capacity, "spot"))), able: []int{1}, want: [][]int64{nil}},
		{name: "in turn", pods: ofWeb(3, spreadOver(apiv1.ScheduleAnyway, capacity)), want: [][]int64{{0, 10_000, 0}, {10_000, 0, 10_000}, {0, 10_000, 0}}},
		{name: "what runs counts", pods: ofWeb(2, spreadOver(apiv1.ScheduleAnyway, capacity)), running: map[string]int{"on-demand": 2},
			want: [][]int64{{10_000, 0, 10_000}, {10_000, 0, 10_000}}},
		{name: "over two labels", pods: ofWeb(2, spreadOver(apiv1.ScheduleAnyway, capacity, apiv1.LabelTopologyZone)),
			want: [][]int64{{10_000, 20_000, 0}, {10_000, 0, 20_000}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Preferences{Percent: 5, Running: func() (list []*framework.NodeInfo, _ error) {
				for capacityType, count := range tt.running {
					var infos []*framework.PodInfo
					for _, pod := range ofWeb(count, func(*apiv1.PodSpec) {}) {
						infos = append(infos, framework.NewPodInfo(pod, nil))
					}
					list = append(list, framework.NewNodeInfo(in(capacityType, "a"), nil, infos...))
				}
				return list, nil
			}}
			if tt.off {
				p.Percent = 0
			}
			able := make([]bits, len(tt.pods))
			for i := range able {
				able[i] = newBits(len(bothTypes))
				for c := range bothTypes {
					if tt.able == nil || slices.Contains(tt.able, c) {
						able[i].set(c)
					}
				}
			}
			assert.Empty(t, cmp.Diff(tt.want, p.scores(tt.pods, bothTypes, able)), "scores (-want +got)")
		})
	}
}

// Their own pods are as few in each zone.
func TestWorkloadsOfOnePodAreSpreadTogether(t *testing.T) {
	var pods []*apiv1.Pod
	for _, name := range []string{"mail", "search", "shop", "stock"} {
		pods = append(pods, each(replicas(name, 1), func(_ int, pod *apiv1.Pod) { spreadOver(apiv1.ScheduleAnyway, apiv1.LabelTopologyZone)(&pod.Spec) })...)
	}
	able := newBits(len(bothTypes))
	for c := range bothTypes {
		able.set(c)
	}
	runs := framework.NewNodeInfo(in("spot", "a"), nil, framework.NewPodInfo(replicas("web", 1)[0], nil), framework.NewPodInfo(replicas("web", 1)[0], nil))
	p := Preferences{Percent: 5, Running: func() ([]*framework.NodeInfo, error) { return []*framework.NodeInfo{runs}, nil }}
	a, b := []int64{10_000, 10_000, 0}, []int64{0, 0, 10_000}
	assert.Equal(t, [][]int64{b, b, a, b}, p.scores(pods, bothTypes, []bits{able, able, able, able}), "two pods of web run in zone a")
}

// AWS chooses the zone and the instance type of such a group's nodes.
func TestLabelsThatMayDifferCountHalf(t *testing.T) {
	const kind = apiv1.LabelInstanceTypeStable
	labels := func(more ...string) map[string]string {
		all := map[string]string{apiv1.LabelTopologyZone: "a", kind: "m5.large", apiv1.LabelArchStable: "arm64"}
		for _, label := range more {
			all[label] = "x"
		}
		return all
	}
	var candidates []candidate
	able := newBits(4)
	for c, of := range []map[string]string{labels(), labels(nodemeta.ZoneAssumed), labels(nodemeta.KindAssumed), {}} {
		candidates = append(candidates, candidate{info: framework.NewNodeInfo(&apiv1.Node{ObjectMeta: metav1.ObjectMeta{Labels: of}}, nil)})
		able.set(c)
	}
	for _, tt := range []struct {
		key, value string
		want       []int64
	}{
		{apiv1.LabelTopologyZone, "a", []int64{10_000, 5_000, 10_000, 0}},
		{kind, "m5.large", []int64{10_000, 10_000, 5_000, 0}},
		{apiv1.LabelArchStable, "arm64", []int64{10_000, 10_000, 10_000, 0}},
	} {
		got := Preferences{Percent: 5}.scores(ofWeb(1, affine(prefer(1, tt.key, tt.value))), candidates, []bits{able})
		assert.Equalf(t, [][]int64{tt.want}, got, "pods that prefer %s", tt.value)
	}
}
