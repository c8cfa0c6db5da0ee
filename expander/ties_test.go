package expander

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

func usd(perHour float64) pricing.Amount { return pricing.Amount{PerHour: perHour, Currency: "USD"} }

// listed has costs by the instance type in the template's label. No other cost is known.
type listed map[string]pricing.Amount

func (l listed) NodeCost(_ string, template *apiv1.Node, count int) (pricing.Amount, bool) {
	if template == nil {
		return pricing.Amount{}, false
	}
	amount, ok := l[template.Labels[apiv1.LabelInstanceTypeStable]]
	return amount.Times(count), ok
}

// typed is a template with 4 CPUs and 16 GiB, labelled as a node of an instance type is.
func typed(instanceType string) *framework.NodeInfo {
	info := template("4", "16Gi")
	info.Node().Labels = map[string]string{apiv1.LabelInstanceTypeStable: instanceType}
	return info
}

// offer is one option per template, each of one node for one pod, in the order of groups.
func offer(groups ...string) []coreexpander.Option {
	var list []coreexpander.Option
	one := []*apiv1.Pod{pod()}
	for _, id := range groups {
		list = append(list, coreexpander.Option{NodeGroup: &group{id: id}, NodeCount: 1, Pods: one})
	}
	return list
}

func TestPriceForEachPodDecides(t *testing.T) {
	strategy, err := parsed("least-nodes", Config{Provider: unpriced{}, Costs: listed{"g5.xlarge": usd(0.1), "g4dn.xlarge": usd(0.4)}})
	require.NoError(t, err)
	list := offer("gpu-a", "gpu-b")
	list[0].Pods, list[1].Pods = slices.Repeat(list[0].Pods, 2), slices.Repeat(list[1].Pods, 20)
	got := strategy.BestOption(list, map[string]*framework.NodeInfo{"gpu-a": typed("g5.xlarge"), "gpu-b": typed("g4dn.xlarge")})
	assert.Truef(t, got != nil && got.NodeGroup.Id() == "gpu-b", "best option = %+v, want gpu-b", got)
}

func TestCheaperOfEquallyWastefulGroupsIsChosen(t *testing.T) {
	templates := map[string]*framework.NodeInfo{
		"gpu-a": typed("g5.xlarge"), "gpu-b": typed("g4dn.xlarge"), "gpu-c": typed("g4dn.xlarge"), "gpu-d": typed("zz9.xlarge"),
	}
	for _, tt := range []struct {
		name  string
		costs leastcost.Prices
		want  string
	}{
		{name: "the cheapest, then the first by name", costs: listed{"g5.xlarge": usd(1.006), "g4dn.xlarge": usd(0.526)}, want: "gpu-b"},
		{name: "known before unknown", costs: listed{"g4dn.xlarge": usd(0.526)}, want: "gpu-b"},
		{name: "nothing known", costs: listed{}, want: "gpu-a"},
		{name: "nothing to ask", want: "gpu-a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			strategy, err := parsed("least-waste", Config{Provider: unpriced{}, Costs: tt.costs})
			require.NoError(t, err)
			for _, list := range [][]coreexpander.Option{
				offer("gpu-a", "gpu-b", "gpu-c", "gpu-d"), offer("gpu-d", "gpu-c", "gpu-b", "gpu-a"),
			} {
				got := strategy.BestOption(list, templates)
				assert.Truef(t, got != nil && got.NodeGroup.Id() == tt.want, "best option = %+v, want %q", got, tt.want)
			}
		})
	}
}

func TestCheapestKeepsLowestCost(t *testing.T) {
	prices := listed{"large": usd(0.1), "xlarge": usd(0.2), "metal": usd(5)}
	of := func(a, b, c string) map[string]*framework.NodeInfo {
		return map[string]*framework.NodeInfo{"a": typed(a), "b": typed(b), "c": typed(c)}
	}
	for _, tt := range []struct {
		name      string
		templates map[string]*framework.NodeInfo
		ofA       int      // nodes
		want      []string // of a, b, c
	}{
		{name: "the lowest price", templates: of("metal", "xlarge", "large"), ofA: 1, want: []string{"c"}},
		{name: "all nodes count", templates: of("large", "xlarge", "metal"), ofA: 3, want: []string{"b"}},
		{name: "two of half the price are equal", templates: of("large", "xlarge", "metal"), ofA: 2, want: []string{"a", "b"}},
		{name: "known before unknown", templates: of("unheard-of", "", "metal"), ofA: 1, want: []string{"c"}},
		{name: "no template", templates: map[string]*framework.NodeInfo{"a": nil, "b": typed("metal")}, ofA: 1, want: []string{"b"}},
		{name: "nothing known", ofA: 1, want: []string{"a", "b", "c"}},
	} {
		list := offer("a", "b", "c")
		list[0].NodeCount = tt.ofA
		assert.Equalf(t, tt.want, ids(cheapest{costs: prices}.BestOptions(list, tt.templates)), "%s: options kept", tt.name)
	}
	assert.Nil(t, cheapest{costs: prices}.BestOptions(nil, nil), "options kept of none")
}

// Least-cost orders equal groups itself where one cannot take all the nodes.
func TestEqualGroupsWithProblemsComeLast(t *testing.T) {
	templates := map[string]*framework.NodeInfo{"a": typed("g5.xlarge"), "b": typed("g5.xlarge"), "c": typed("g5.xlarge")}
	prices := flat{"a": 1, "b": 1, "c": 1}
	problems := known{"a": 2, "b": 1, "c": 1}
	for _, names := range []string{"least-waste", "least-cost", "least-nodes", "most-pods", "least-waste-stock", "least-nodes,least-waste"} {
		t.Run(names, func(t *testing.T) {
			config := Config{Provider: unpriced{}, Costs: prices, Rank: problems.ProblemCount,
				LeastCost: leastcost.New(prices, problems.penalty, nil, time.Minute, clock.RealClock{})}
			strategy, err := parsed(names, config)
			require.NoError(t, err)
			got := strategy.BestOption(offer("c", "a", "b"), templates)
			assert.Truef(t, got != nil && got.NodeGroup.Id() == "b", "best option = %+v, want b", got)
		})
	}
	options := offer("a", "b")
	for i := range options {
		options[i].Pods, options[i].NodeCount = []*apiv1.Pod{pod(), pod(), pod()}, 3-i
	}
	options[1].Pods = options[0].Pods[:2]
	for _, p := range options[0].Pods {
		p.Spec.Containers[0].Resources.Requests = apiv1.ResourceList{apiv1.ResourceCPU: resource.MustParse("3")}
	}
	filter := leastcost.New(prices, problems.penalty, nil, time.Minute, clock.RealClock{})
	got := filter.BestOptions(options, templates)
	assert.Truef(t, len(got) > 0 && got[0].NodeGroup.Id() == "b" && got[0].NodeCount == 2, "best options %+v, want the two nodes of b", got)
}

// One group for each zone: each scale-up of one node goes to the zone that has the fewest.
func TestEqualGroupsFillEvenly(t *testing.T) {
	for _, names := range []string{"least-waste", "least-cost", "least-nodes", "most-pods", "least-waste-stock"} {
		t.Run(names, func(t *testing.T) {
			prices := flat{"a": 1, "b": 1, "c": 1}
			strategy, err := parsed(names, Config{Provider: unpriced{}, Costs: prices,
				LeastCost: leastcost.New(prices, nil, nil, time.Minute, clock.RealClock{})})
			require.NoError(t, err)
			options := offer("c", "a", "b")
			options[1].NodeGroup.(*group).size = 1
			var grown []string
			for range 5 {
				got := strategy.BestOption(slices.Clone(options), map[string]*framework.NodeInfo{"a": typed("g5.xlarge"), "b": typed("g5.xlarge"), "c": typed("g5.xlarge")})
				require.NotNil(t, got)
				grown = append(grown, got.NodeGroup.Id())
				got.NodeGroup.(*group).size++
			}
			assert.Equal(t, []string{"b", "c", "a", "b", "c"}, grown, "groups that grew")
			chosen, _ := strategy.Plan()
			assert.Falsef(t, names == "least-cost" && (len(chosen) != 1 || chosen[0].Group != "c"), "the plan goes on from %+v, want the node of c", chosen)
		})
	}
}

type known map[string]int

func (k known) ProblemCount(nodeGroup string) int { return k[nodeGroup] }
func (k known) penalty(nodeGroup string) leastcost.Penalty {
	return leastcost.Penalty{Rank: k[nodeGroup]}
}

func TestInterruptedGroupsArePassedOverIfOthersHelp(t *testing.T) {
	a, b := &apiv1.Pod{}, &apiv1.Pod{}
	asks := apiv1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}
	learns := &apiv1.Pod{Spec: apiv1.PodSpec{Containers: []apiv1.Container{{Resources: apiv1.ResourceRequirements{Requests: asks}}}}}
	gpu := framework.NewNodeInfo(&apiv1.Node{Status: apiv1.NodeStatus{Capacity: asks, Allocatable: asks}}, nil)
	infos := map[string]*framework.NodeInfo{"gpu": gpu, "gpu2": gpu}
	option := func(id string, pods ...*apiv1.Pod) coreexpander.Option {
		return coreexpander.Option{NodeGroup: &group{id: id}, NodeCount: 1, Pods: pods}
	}
	for _, tt := range []struct {
		name        string
		options     []coreexpander.Option
		interrupted []string
		want        []string
	}{
		{"none is", []coreexpander.Option{option("x", a), option("y", a)}, nil, []string{"x", "y"}},
		{"others help the same pods", []coreexpander.Option{option("x", a, b), option("y", a, b)}, []string{"x"}, []string{"y"}},
		{"several others do together", []coreexpander.Option{option("x", a, b), option("y", a), option("z", b)}, []string{"x"}, []string{"y", "z"}},
		{"it alone helps a pod, which the next choice is for", []coreexpander.Option{option("x", a, b), option("y", a)}, []string{"x"}, []string{"y"}},
		{"the other's GPU would lie idle", []coreexpander.Option{option("x", a), option("gpu", a)}, []string{"x"}, []string{"x", "gpu"}},
		{"the other has the GPU that a pod asks for", []coreexpander.Option{option("x", learns), option("gpu", learns)}, []string{"x"}, []string{"gpu"}},
		{"the GPUs of both would lie idle", []coreexpander.Option{option("gpu", a), option("gpu2", a)}, []string{"gpu"}, []string{"gpu2"}},
		{"it is the only one", []coreexpander.Option{option("x", a)}, []string{"x"}, []string{"x"}},
		{"all are", []coreexpander.Option{option("x", a), option("y", a)}, []string{"x", "y"}, []string{"x", "y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := notInterrupted(func(id string) bool { return slices.Contains(tt.interrupted, id) })
			assert.Equal(t, tt.want, ids(f.BestOptions(tt.options, infos)))
		})
	}
}
