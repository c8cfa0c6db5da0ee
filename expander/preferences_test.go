package expander

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/stretchr/testify/require"
)

func preferring(costs leastcost.Prices, percent float64) *leastcost.Filter {
	f := leastcost.New(costs, nil, nil, time.Hour, clock.RealClock{})
	f.Preferences.Percent = percent
	return f
}

// prefer has the pods of offer prefer nodes of an instance type.
func prefer(offered []coreexpander.Option, instanceType string) {
	term := apiv1.NodeSelectorTerm{MatchExpressions: []apiv1.NodeSelectorRequirement{
		{Key: apiv1.LabelInstanceTypeStable, Operator: apiv1.NodeSelectorOpIn, Values: []string{instanceType}}}}
	offered[0].Pods[0].Spec.Affinity = &apiv1.Affinity{NodeAffinity: &apiv1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []apiv1.PreferredSchedulingTerm{{Weight: 1, Preference: term}}}}
}

func TestPreferencesDecideBetweenPricesThatAreAboutTheSame(t *testing.T) {
	templates := map[string]*framework.NodeInfo{"cheap": typed("cheap"), "same": typed("same"), "dear": typed("dear"), "unknown": typed("unknown")}
	prices := listed{"cheap": usd(1), "same": usd(1.04), "dear": usd(2)}
	for _, tt := range []struct {
		name    string
		prefers string
		percent float64
		costs   leastcost.Prices
		want    string
	}{
		{name: "no preference", percent: 5, costs: prices, want: "cheap"},
		{name: "about the same price", prefers: "same", percent: 5, costs: prices, want: "same"},
		{name: "too dear", prefers: "dear", percent: 5, costs: prices, want: "cheap"},
		{name: "price not known", prefers: "unknown", percent: 5, costs: prices, want: "cheap"},
		{name: "no price known", prefers: "unknown", percent: 5, costs: listed{}, want: "cheap"},
		{name: "turned off", prefers: "same", costs: prices, want: "cheap"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chain, err := parsed("least-waste", Config{Provider: unpriced{}, Costs: tt.costs, LeastCost: preferring(tt.costs, tt.percent)})
			require.NoError(t, err)
			list := offer("cheap", "dear", "same", "unknown")
			if tt.prefers != "" {
				prefer(list, tt.prefers)
			}
			got := chain.BestOption(list, templates)
			require.Truef(t, got != nil && got.NodeGroup.Id() == tt.want, "best option = %+v, want %q", got, tt.want)
			assert.Truef(t, tt.want != "same" || strings.Contains(got.Debug, "follows what pods prefer"), "words %q do not say why", got.Debug)
		})
	}
}

// The groups "web/a" and "web/b" are zones of one.
func TestDearerGroupsDoNotShareARaise(t *testing.T) {
	costs := flat{"cheap": 1, "same": 1.04, "dear": 1.06, "web/a": 1, "web/b": 3}
	for _, tt := range []struct {
		name    string
		costs   leastcost.Prices
		percent float64
		chosen  string
		want    []string
	}{
		{name: "about the same price", costs: costs, percent: 5, chosen: "cheap", want: []string{"same", "unknown", "web/a"}},
		{name: "another percentage", costs: costs, percent: 10, chosen: "cheap", want: []string{"same", "dear", "unknown", "web/a"}},
		{name: "no preferences", costs: costs, chosen: "cheap", want: []string{"same", "unknown", "web/a"}},
		{name: "cheaper ones", costs: costs, percent: 5, chosen: "dear", want: []string{"cheap", "same", "unknown", "web/a"}},
		{name: "zones of one group, whatever they cost", costs: costs, percent: 5, chosen: "web/a",
			want: []string{"cheap", "same", "unknown", "web/b"}},
		{name: "price of the chosen one not known", costs: costs, percent: 5, chosen: "unknown",
			want: []string{"cheap", "same", "dear", "web/a", "web/b"}},
		{name: "nothing to ask", chosen: "cheap", want: []string{"same", "dear", "unknown", "web/a", "web/b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := Config{Provider: unpriced{}, Costs: tt.costs, GroupName: groupOf}
			if tt.costs != nil {
				config.LeastCost = preferring(tt.costs, tt.percent)
			}
			chain, err := parsed("least-waste", config)
			require.NoError(t, err)
			list, all := offer(tt.chosen), []string{"cheap", "same", "dear", "unknown", "web/a", "web/b"}
			list[0].NodeCount = 10
			for _, id := range all {
				list[0].SimilarNodeGroups = append(list[0].SimilarNodeGroups, &group{id: id})
			}
			require.NotNil(t, chain.BestOption(slices.Clone(list), map[string]*framework.NodeInfo{tt.chosen: typed(tt.chosen)}))
			got := slices.DeleteFunc(all, func(id string) bool { return id == tt.chosen || !chain.Balances(tt.chosen, id) })
			assert.Equal(t, tt.want, got, "groups that share the raise")
			assert.Len(t, list[0].SimilarNodeGroups, 6, "the given option has changed")
		})
	}
}

func TestPreferredGroupIsNotBalancedWithOthers(t *testing.T) {
	templates := map[string]*framework.NodeInfo{"a": typed("a"), "b": typed("b"), "c": typed("a")}
	chain, err := parsed("least-waste", Config{Provider: unpriced{}, Costs: listed{}, LeastCost: preferring(flat{"a": 1, "b": 1, "c": 1}, 5)})
	require.NoError(t, err)
	list := offer("a", "b", "c")
	for i := range list {
		list[i].SimilarNodeGroups = []cloudprovider.NodeGroup{&group{id: "a"}, &group{id: "b"}, &group{id: "c"}}
	}
	chosen := func() [2]bool {
		chain.BestOption([]coreexpander.Option{list[0], list[1], list[2]}, templates)
		return [2]bool{chain.Balances("a", "b"), chain.Balances("a", "c")}
	}
	got := chosen()
	assert.Truef(t, got == [2]bool{true, true}, "without preferences b and c may grow for a: %v, want both", got)
	prefer(list, "a")
	got = chosen()
	assert.Truef(t, got == [2]bool{false, true}, "b and c may grow for a that pods prefer: %v, want c alone", got)
}
