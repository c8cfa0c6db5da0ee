package leastcost

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

const capacity = "karpenter.sh/capacity-type"

func preferring(value string, pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) { affine(prefer(1, capacity, value))(&pod.Spec) })
}

func spreadAnyway(pods []*apiv1.Pod) []*apiv1.Pod {
	return each(spread(apiv1.ScheduleAnyway, pods), func(_ int, pod *apiv1.Pod) { pod.Spec.TopologySpreadConstraints[0].TopologyKey = capacity })
}

func bought(capacityType string, gpus ...string) *framework.NodeInfo {
	info := template(append([]string{"4", "16Gi"}, gpus...)...)
	info.Node().Labels = map[string]string{capacity: capacityType}
	return info
}

func TestPlansFollowPreferences(t *testing.T) {
	templates := map[string]*framework.NodeInfo{"spot": bought("spot"), "on-demand": bought("on-demand"), "of-db": bought("on-demand"), "reserved": bought("reserved"),
		"small": template("2", "8Gi"), "gpu-spot": bought("spot", "1"), "gpu-on-demand": bought("on-demand", "1")}
	templates["small"].Node().Labels = map[string]string{capacity: "a"}
	web, db := replicas("web", 8, "1", "1Gi"), replicas("db", 8, "1", "1Gi")
	limited := preferring("spot", web)
	ranked := each(replicas("web", 12, "1", "1Gi"), func(_ int, pod *apiv1.Pod) {
		affine(prefer(100, capacity, "spot"), prefer(50, capacity, "reserved"))(&pod.Spec)
	})
	train := replicas("train", 4, "4", "1Gi", "1")
	gpus := func(web, train []*apiv1.Pod) []expander.Option {
		return []expander.Option{option("small", 4, web), option("gpu-on-demand", 6, web, train), option("gpu-spot", 6, web, train)}
	}
	both := func(pods ...[]*apiv1.Pod) []expander.Option {
		return []expander.Option{option("spot", 9, pods...), option("on-demand", 9, pods...)}
	}
	for _, tt := range []struct {
		name    string
		prices  flat
		options []expander.Option
		percent float64
		want    map[string]int // pods by group
	}{
		{name: "dearer within the percentage", prices: flat{"spot": 1.04, "on-demand": 1}, options: both(preferring("spot", web)), percent: 5, want: map[string]int{"spot": 8}},
		{name: "dearer beyond it", prices: flat{"spot": 1.06, "on-demand": 1}, options: both(preferring("spot", web)), percent: 5, want: map[string]int{"on-demand": 8}},
		{name: "cheaper anyway", prices: flat{"spot": 0.35, "on-demand": 1}, options: both(preferring("spot", web)), percent: 5, want: map[string]int{"spot": 8}},
		{name: "the other is much cheaper", prices: flat{"spot": 0.35, "on-demand": 1}, options: both(preferring("on-demand", web)), percent: 5, want: map[string]int{"spot": 8}},
		{name: "turned off", prices: flat{"spot": 1.04, "on-demand": 1}, options: both(preferring("spot", web)), want: map[string]int{"on-demand": 8}},
		{name: "the preferred group cannot launch", prices: flat{"spot": 1, "on-demand": 1}, options: both(preferring("spot", web))[1:], percent: 5, want: map[string]int{"on-demand": 8}},
		{name: "the preferred group is nearly full", prices: flat{"spot": 1, "on-demand": 1}, options: []expander.Option{option("spot", 1, limited[:4]), option("on-demand", 9, limited)},
			percent: 5, want: map[string]int{"spot": 4, "on-demand": 4}},
		{name: "the next one takes what the preferred one leaves", prices: flat{"spot": 1, "on-demand": 1, "reserved": 1}, options: []expander.Option{
			option("spot", 1, ranked[:4]), option("on-demand", 9, ranked), option("reserved", 9, ranked)}, percent: 5, want: map[string]int{"spot": 4, "reserved": 8}},
		{name: "both of the preferred ones are nearly full", prices: flat{"spot": 1, "on-demand": 1, "reserved": 1}, options: []expander.Option{
			option("spot", 1, ranked[:4]), option("on-demand", 9, ranked), option("reserved", 1, ranked[:4])}, percent: 5, want: map[string]int{"spot": 4, "reserved": 4, "on-demand": 4}},
		{name: "a group like the less preferred one does not fit", prices: flat{"spot": 1, "on-demand": 1, "of-db": 1}, options: []expander.Option{
			option("of-db", 9, db), option("spot", 1, limited[:4]), option("on-demand", 9, limited, db)}, percent: 5, want: map[string]int{"spot": 4, "on-demand": 12}},
		{name: "workloads differ", prices: flat{"spot": 1, "on-demand": 1.01}, options: both(preferring("spot", web), preferring("on-demand", db)), percent: 5, want: map[string]int{"spot": 8, "on-demand": 8}},
		{name: "a node more costs too much", prices: flat{"spot": 1, "on-demand": 1}, options: both(preferring("spot", web[:1]), preferring("on-demand", db[:1])), percent: 5, want: map[string]int{"on-demand": 2}},
		{name: "spread", prices: flat{"spot": 1, "on-demand": 1.02}, options: both(spreadAnyway(web)), percent: 5, want: map[string]int{"spot": 4, "on-demand": 4}},
		{name: "spread over prices that differ", prices: flat{"spot": 0.35, "on-demand": 1}, options: both(spreadAnyway(web)), percent: 5, want: map[string]int{"spot": 8}},
		{name: "a cheaper group has too little", prices: flat{"small": 1, "gpu-spot": 5, "gpu-on-demand": 5}, options: gpus(preferring("spot", web), preferring("spot", train)),
			percent: 5, want: map[string]int{"small": 8, "gpu-spot": 4}},
		{name: "spread without a cheaper group that has too little", prices: flat{"small": 1, "gpu-spot": 5, "gpu-on-demand": 5}, options: gpus(spreadAnyway(web), spreadAnyway(train)),
			percent: 5, want: map[string]int{"small": 8, "gpu-spot": 2, "gpu-on-demand": 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFilter(tt.prices, nil)
			f.Preferences.Percent = tt.percent
			_, got := bill(f, tt.options, templates)
			assert.Empty(t, cmp.Diff(tt.want, got), "planned pods by group (-want +got)")
		})
	}
}

// A busy machine may leave no time after the cheapest plan.
func TestPlanThatFollowsPreferencesHasItsOwnTime(t *testing.T) {
	web := preferring("spot", replicas("web", 8, "1", "1Gi"))
	options := []expander.Option{option("spot", 9, web), option("on-demand", 9, web)}
	f := New(flat{"spot": 1.04, "on-demand": 1}, nil, nil, 100*time.Millisecond, &ticking{})
	f.Preferences.Percent = 5
	best := f.BestOptions(options, map[string]*framework.NodeInfo{"spot": bought("spot"), "on-demand": bought("on-demand")})
	assert.Truef(t, len(best) == 1 && best[0].NodeGroup.Id() == "spot", "best options %v, want spot", summary(best))
}

func TestPreferredGroupIsBalancedWithGroupsThatSuitAsWell(t *testing.T) {
	templates := map[string]*framework.NodeInfo{"a": bought("spot"), "b": bought("on-demand"), "c": bought("spot")}
	web := preferring("spot", replicas("web", 8, "1", "1Gi"))
	options := []expander.Option{option("a", 9, web), option("b", 9, web), option("c", 9, web)}
	options[0].SimilarNodeGroups = append(options[0].SimilarNodeGroups, &group{id: "b"}, &group{id: "c"})
	f := newFilter(flat{"a": 1, "b": 1, "c": 1}, nil)
	f.Preferences.Percent = 5
	best := f.BestOptions(options, templates)
	assert.Truef(t, len(best) == 2 && len(best[0].SimilarNodeGroups) == 1 && best[0].SimilarNodeGroups[0].Id() == "c",
		"best options %v, want a with c alone beside it, and c", summary(best))
	assert.Contains(t, f.Words()["a"].String(), "the cheapest plan that follows what pods prefer", "words do not say why")
	assert.Len(t, options[0].SimilarNodeGroups, 2, "the given option has changed")
}

// Its second and third scale-up are for pods that prefer nothing, and its groups are alike.
func TestPlanThatFollowsPreferencesIsBalancedToItsEnd(t *testing.T) {
	large, huge := template("4", "16Gi", "1"), template("32", "16Gi", "8")
	templates := map[string]*framework.NodeInfo{"spot": bought("spot"), "on-demand": bought("on-demand"),
		"gpu-a": large, "gpu-b": large, "gpu-c": huge, "gpu-d": huge}
	web, gpu, more := preferring("spot", replicas("web", 12, "1", "1Gi")), replicas("gpu", 6, "1", "1Gi", "1"), replicas("more", 4, "30", "1Gi", "8")
	f := newFilter(flat{"spot": 1, "on-demand": 1, "gpu-a": 2, "gpu-b": 2, "gpu-c": 50, "gpu-d": 50}, nil)
	f.Preferences.Percent = 5
	options := []expander.Option{option("spot", 9, web), option("on-demand", 9, web), option("gpu-a", 9, gpu), option("gpu-b", 9, gpu),
		option("gpu-c", 9, more), option("gpu-d", 9, more)}
	for i := range options {
		for id := range templates {
			options[i].SimilarNodeGroups = append(options[i].SimilarNodeGroups, &group{id: id})
		}
	}
	for _, tt := range []struct {
		options  []expander.Option
		want     string
		balanced []string
	}{
		{options, "spot", []string{"spot"}},
		{[]expander.Option{options[2], options[4]}, "gpu-a", []string{"gpu-a", "gpu-b"}},
		{options[4:5], "gpu-c", []string{"gpu-c", "gpu-d"}},
	} {
		best := f.BestOptions(tt.options, templates)
		require.Truef(t, len(best) == 1 && best[0].NodeGroup.Id() == tt.want, "best options %v, want %s", summary(best), tt.want)
		var balanced []string
		for _, ng := range best[0].SimilarNodeGroups {
			balanced = append(balanced, ng.Id())
		}
		assert.ElementsMatch(t, tt.balanced, balanced, "may grow for "+tt.want)
	}
}
