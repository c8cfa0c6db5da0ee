package expander

import (
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
