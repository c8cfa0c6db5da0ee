package leastcost

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

func each(pods []*apiv1.Pod, change func(i int, pod *apiv1.Pod)) []*apiv1.Pod {
	var list []*apiv1.Pod
	for i, pod := range pods {
		pod = pod.DeepCopy()
		change(i, pod)
		list = append(list, pod)
	}
	return list
}

func port(number int32) func(int, *apiv1.Pod) {
	return func(_ int, pod *apiv1.Pod) {
		pod.Spec.Containers[0].Ports = []apiv1.ContainerPort{{ContainerPort: number, HostPort: number}}
	}
}

// avoiding makes pods keep off the nodes, or the zones, where pods with that label are.
func avoiding(topologyKey, label string, pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		exists := []metav1.LabelSelectorRequirement{{Key: label, Operator: metav1.LabelSelectorOpExists}}
		pod.Spec.Affinity = &apiv1.Affinity{PodAntiAffinity: &apiv1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []apiv1.PodAffinityTerm{
			{LabelSelector: &metav1.LabelSelector{MatchExpressions: exists}, TopologyKey: topologyKey}}}}
	})
}

func TestConflictingPodsOfSeveralOwnersAreSeparated(t *testing.T) {
	label := func(_ int, pod *apiv1.Pod) { pod.Labels["exclusive"] = "true" }
	for _, tt := range []struct {
		name string
		make func(owner int, pods []*apiv1.Pod) []*apiv1.Pod
		want int // nodes, of the 12 that the core found
	}{
		{"nothing keeps them apart", func(_ int, pods []*apiv1.Pod) []*apiv1.Pod { return pods }, 1},
		{"all keep off each other", func(_ int, pods []*apiv1.Pod) []*apiv1.Pod {
			return avoiding(apiv1.LabelHostname, "exclusive", each(pods, label))
		}, 12},
		{"each of six keeps off its own", func(owner int, pods []*apiv1.Pod) []*apiv1.Pod {
			own := fmt.Sprint("own-", owner)
			return avoiding(apiv1.LabelHostname, own, each(pods, func(_ int, pod *apiv1.Pod) { pod.Labels[own] = "true" }))
		}, 2},
		{"one of six keeps off the rest", func(owner int, pods []*apiv1.Pod) []*apiv1.Pod {
			if owner == 0 {
				return avoiding(apiv1.LabelHostname, "exclusive", pods)
			}
			return each(pods, label)
		}, 2},
		{"one port of the host", func(_ int, pods []*apiv1.Pod) []*apiv1.Pod { return each(pods, port(8080)) }, 12},
		{"a port for each of six", func(owner int, pods []*apiv1.Pod) []*apiv1.Pod { return each(pods, port(8080+int32(owner))) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all []*apiv1.Pod
			for owner := range 6 {
				all = append(all, tt.make(owner, replicas(fmt.Sprint("owner-", owner), 2, fmt.Sprintf("%dm", 100+owner), "100Mi"))...)
			}
			best := newFilter(flat{"a": 0.1}, nil).BestOptions([]expander.Option{option("a", 12, all)}, map[string]*framework.NodeInfo{"a": template("16", "64Gi")})
			assert.Empty(t, cmp.Diff([]string{fmt.Sprintf("a: %d for 12", tt.want)}, summary(best)), "best options (-want +got)")
		})
	}
}

func TestCutOffPodsFitWhereEqualsDo(t *testing.T) {
	selecting := func(pool string) func(int, *apiv1.Pod) {
		return func(_ int, pod *apiv1.Pod) { pod.Spec.NodeSelector = map[string]string{"pool": pool} }
	}
	// The cheap group, at its limit, lists the first of the two only.
	listed, cut := replicas("listed", 2, "1", "1Gi"), replicas("cut", 2, "1", "1Gi")
	for _, tt := range []struct {
		name string
		make func(pods []*apiv1.Pod, other bool) []*apiv1.Pod
		want bool // the cheap group fits the pods cut off, too
	}{
		{"another owner", func(pods []*apiv1.Pod, _ bool) []*apiv1.Pod { return pods }, true},
		{"another selector", func(pods []*apiv1.Pod, other bool) []*apiv1.Pod { return each(pods, selecting(fmt.Sprint(other))) }, false},
		{"one owner with two selectors", func(pods []*apiv1.Pod, other bool) []*apiv1.Pod {
			return each(each(pods, selecting(fmt.Sprint(other))), func(_ int, pod *apiv1.Pod) { pod.OwnerReferences[0].UID = "ray" })
		}, false},
		{"a claim", func(pods []*apiv1.Pod, _ bool) []*apiv1.Pod { return attaching(1, pods) }, false},
		{"apart by node", func(pods []*apiv1.Pod, _ bool) []*apiv1.Pod { return avoiding(apiv1.LabelHostname, "app", pods) }, true},
		{"apart by zone", func(pods []*apiv1.Pod, _ bool) []*apiv1.Pod { return avoiding(apiv1.LabelTopologyZone, "app", pods) }, false},
		{"spread if that is possible", func(pods []*apiv1.Pod, _ bool) []*apiv1.Pod { return spread(apiv1.ScheduleAnyway, pods) }, true},
		{"spread", func(pods []*apiv1.Pod, _ bool) []*apiv1.Pod { return spread(apiv1.DoNotSchedule, pods) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			listed, cut := tt.make(listed, false), tt.make(cut, true)
			options, templates, prices := offered([]offer{{"cheap", 2, template("2", "4Gi"), 0.1, listed}, {"dear", 4, template("2", "4Gi"), 0.2, slices.Concat(listed, cut)}})
			f := newFilter(prices, nil)
			candidates := f.priced(f.candidates(options, templates), make([]int, 2))
			d := newDemand(candidates, nil)
			d.classify(candidates)
			p := d.problem(candidates)
			got := 0
			for _, class := range p.classes {
				for _, pod := range class.pods {
					if slices.Contains(cut, pod) && class.fits.has(0) {
						got++
					}
				}
			}
			want := map[bool]int{true: len(cut)}[tt.want]
			assert.Equal(t, want, got, "of the pods cut off fit the group that does not list them")
		})
	}
}

func spread(unsatisfiable apiv1.UnsatisfiableConstraintAction, pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		pod.Spec.TopologySpreadConstraints = []apiv1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: apiv1.LabelTopologyZone,
			WhenUnsatisfiable: unsatisfiable, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": pod.Labels["app"]}}}}
	})
}
