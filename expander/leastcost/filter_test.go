package leastcost

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apisv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// group is a node group of which only the ID and the options are ever asked.
type group struct {
	cloudprovider.NodeGroup
	id          string
	allOrNone   bool
	implemented bool
}

func (g *group) Id() string { return g.id }

func (g *group) GetOptions(config.NodeGroupAutoscalingOptions) (*config.NodeGroupAutoscalingOptions, error) {
	if !g.implemented && !g.allOrNone {
		return nil, cloudprovider.ErrNotImplemented
	}
	return &config.NodeGroupAutoscalingOptions{ZeroOrMaxNodeScaling: g.allOrNone}, nil
}

// flat prices the nodes of each group alike, in USD.
type flat map[string]float64

func (p flat) NodeCost(id string, _ *apiv1.Node, count int) (pricing.Amount, bool) {
	perHour, known := p[id]
	return pricing.Amount{PerHour: perHour, Currency: "USD"}.Times(count), known
}

// costs prices by a function.
type costs func(id string, count int) (pricing.Amount, bool)

func (c costs) NodeCost(id string, _ *apiv1.Node, count int) (pricing.Amount, bool) {
	return c(id, count)
}

// newFilter returns a Filter that has all the time it wants.
func newFilter(prices prices, penalties penalties) *Filter {
	return New(prices, penalties, nil, time.Hour, clock.RealClock{})
}

func unhurried() *timer {
	return &timer{clock: clock.RealClock{}, start: time.Now(), limit: time.Hour}
}

type penalised map[string]Penalty

func (p penalised) Penalty(id string) Penalty { return p[id] }

// requests makes the resources "cpu memory gpu", the last two optional.
func requests(amounts ...string) apiv1.ResourceList {
	list := apiv1.ResourceList{}
	for i, name := range []apiv1.ResourceName{apiv1.ResourceCPU, apiv1.ResourceMemory, "nvidia.com/gpu"} {
		if i < len(amounts) {
			list[name] = resource.MustParse(amounts[i])
		}
	}
	return list
}

// replicas makes pods of one owner.
func replicas(owner string, count int, amounts ...string) []*apiv1.Pod {
	var list []*apiv1.Pod
	for i := range count {
		name := fmt.Sprintf("%s-%04d", owner, i)
		list = append(list, &apiv1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default", Name: name, UID: types.UID(name), Labels: map[string]string{"app": owner},
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: new(true)}},
			},
			Spec: apiv1.PodSpec{Containers: []apiv1.Container{{Resources: apiv1.ResourceRequirements{Requests: requests(amounts...)}}}},
		})
	}
	return list
}

// template is a node with those resources and room for 110 pods.
func template(amounts ...string) *framework.NodeInfo {
	list := requests(amounts...)
	list[apiv1.ResourcePods] = resource.MustParse("110")
	return framework.NewNodeInfo(&apiv1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "template"}, Status: apiv1.NodeStatus{Capacity: list, Allocatable: list},
	}, nil)
}

func option(id string, nodes int, pods ...[]*apiv1.Pod) expander.Option {
	return expander.Option{NodeGroup: &group{id: id}, NodeCount: nodes, Pods: slices.Concat(pods...)}
}

// summary writes options as "group: nodes for pods".
func summary(options []expander.Option) []string {
	var list []string
	for _, o := range options {
		list = append(list, fmt.Sprintf("%s: %d for %d", o.NodeGroup.Id(), o.NodeCount, len(o.Pods)))
	}
	return list
}

func TestEstimatesAreMarkedInTheReason(t *testing.T) {
	web := replicas("web", 8, "1", "1Gi")
	infos := map[string]*framework.NodeInfo{"a": template("4", "8Gi"), "b": template("4", "8Gi")}
	for _, guessed := range []bool{false, true} {
		f := newFilter(costs(func(id string, count int) (pricing.Amount, bool) {
			one := pricing.Amount{PerHour: 0.5, Currency: "USD", Estimated: guessed && id == "a"}
			if id == "b" {
				one.PerHour = 0.9
			}
			return one.Times(count), true
		}), nil)
		best := f.BestOptions([]expander.Option{option("a", 3, web), option("b", 3, web)}, infos)
		if len(best) != 1 || strings.Count(f.Words()["a"].String(), "about ") != map[bool]int{true: 3}[guessed] {
			t.Errorf("guessed %v: %+v, want the option's, the plan's and the total cost marked if so", guessed, best)
		}
	}
}

func TestBestOptionsBeginsTheCheapestPlan(t *testing.T) {
	web, big := replicas("web", 8, "1", "1Gi"), replicas("big", 2, "1", "14Gi")
	small, large := template("4", "8Gi"), template("8", "16Gi")
	separation := replicas("apart", 3, "1", "1Gi")
	for _, pod := range separation {
		pod.Spec.Affinity = &apiv1.Affinity{PodAntiAffinity: &apiv1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []apiv1.PodAffinityTerm{{
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "apart"}}, TopologyKey: apiv1.LabelHostname,
			}},
		}}
	}
	requested := replicas("requested", 10, "1", "1Gi")
	for _, pod := range requested {
		pod.Annotations = map[string]string{apisv1.ProvisioningRequestPodAnnotationKey: "one"}
	}
	gpu, more := replicas("gpu", 4, "1", "1Gi", "1"), replicas("more", 8, "1", "1Gi")
	for _, tt := range []struct {
		name      string
		options   []expander.Option
		templates map[string]*framework.NodeInfo
		prices    prices
		penalties penalties
		want      []string
	}{
		{name: "no option"},
		{name: "the cheaper of two alike", options: []expander.Option{option("dear", 2, web), option("cheap", 2, web)},
			templates: map[string]*framework.NodeInfo{"dear": small, "cheap": small}, prices: flat{"dear": 0.2, "cheap": 0.1},
			want: []string{"cheap: 2 for 8"}},
		{name: "both of two that are the same", options: []expander.Option{option("b", 2, web), option("a", 2, web)},
			templates: map[string]*framework.NodeInfo{"a": small, "b": small}, prices: flat{"a": 0.1, "b": 0.1},
			want: []string{"a: 2 for 8", "b: 2 for 8"}},
		{name: "spot only as far as its price says", options: []expander.Option{option("spot", 2, web), option("on-demand", 2, web)},
			templates: map[string]*framework.NodeInfo{"spot": small, "on-demand": small}, prices: flat{"spot": 0.11, "on-demand": 0.1},
			want: []string{"on-demand: 2 for 8"}},
		{name: "a penalty outweighs a small difference", options: []expander.Option{option("spot", 2, web), option("on-demand", 2, web)},
			templates: map[string]*framework.NodeInfo{"spot": small, "on-demand": small}, prices: flat{"spot": 0.08, "on-demand": 0.1},
			penalties: penalised{"spot": {Ratio: 0.5, Reason: "no capacity a minute ago"}}, want: []string{"on-demand: 2 for 8"}},
		{name: "but not a large one", options: []expander.Option{option("spot", 2, web), option("on-demand", 2, web)},
			templates: map[string]*framework.NodeInfo{"spot": small, "on-demand": small}, prices: flat{"spot": 0.03, "on-demand": 0.1},
			penalties: penalised{"spot": {Ratio: 0.5, Reason: "no capacity a minute ago"}}, want: []string{"spot: 2 for 8"}},
		{name: "a penalty that is no number is none", options: []expander.Option{option("spot", 2, web), option("on-demand", 2, web)},
			templates: map[string]*framework.NodeInfo{"spot": small, "on-demand": small}, prices: flat{"spot": 0.08, "on-demand": 0.1},
			penalties: penalised{"spot": {Ratio: math.NaN()}, "on-demand": {Ratio: -3}}, want: []string{"spot: 2 for 8"}},
		{name: "only the pods that belong there, where others are cheaper elsewhere",
			options:   []expander.Option{option("large", 3, web, big), option("small", 2, web)},
			templates: map[string]*framework.NodeInfo{"large": large, "small": small}, prices: flat{"large": 0.3, "small": 0.1},
			want: []string{"large: 2 for 6"}},
		{name: "known prices before unknown ones", options: []expander.Option{option("unknown", 1, web), option("known", 2, web)},
			templates: map[string]*framework.NodeInfo{"unknown": large, "known": small}, prices: flat{"known": 100},
			want: []string{"known: 2 for 8"}},
		{name: "all as they were without any price", options: []expander.Option{option("b", 1, web), option("a", 2, web)},
			templates: map[string]*framework.NodeInfo{"a": small, "b": large}, prices: flat{}, want: []string{"b: 1 for 8", "a: 2 for 8"}},
		{
			name:      "the currency of most options only",
			options:   []expander.Option{option("b", 2, web), option("a", 2, web), option("c", 2, web)},
			templates: map[string]*framework.NodeInfo{"a": small, "b": small, "c": small},
			prices: costs(func(id string, count int) (pricing.Amount, bool) {
				if id == "a" {
					return pricing.Amount{PerHour: 7, Currency: "CNY"}.Times(count), true
				}
				return pricing.Amount{PerHour: float64(id[0]), Currency: "USD"}.Times(count), true
			}),
			want: []string{"b: 2 for 8"},
		},
		{name: "prices that cannot be are not known",
			options:   []expander.Option{option("a", 2, web), option("b", 2, web), option("c", 2, web), option("d", 2, web)},
			templates: map[string]*framework.NodeInfo{"a": small, "b": small, "c": small, "d": small},
			prices:    flat{"a": math.NaN(), "b": -1, "c": math.Inf(1), "d": 5}, want: []string{"d: 2 for 8"}},
		{name: "a group without a template is left out", options: []expander.Option{option("gone", 2, web), option("a", 2, web)},
			templates: map[string]*framework.NodeInfo{"gone": nil, "a": small}, prices: flat{"gone": 0.01, "a": 0.1},
			want: []string{"a: 2 for 8"}},
		{name: "equal money, less waste", options: []expander.Option{option("a-large", 1, big[:1]), option("b-small", 1, big[:1])},
			templates: map[string]*framework.NodeInfo{"a-large": template("8", "64Gi"), "b-small": large},
			prices:    flat{"a-large": 0.1, "b-small": 0.1}, want: []string{"b-small: 1 for 1"}},
		{name: "less waste where nothing may be divided, too",
			options:   []expander.Option{option("a-large", 3, requested), option("b-small", 3, requested)},
			templates: map[string]*framework.NodeInfo{"a-large": large, "b-small": small}, prices: flat{"a-large": 0.1, "b-small": 0.1},
			want: []string{"b-small: 3 for 10"}},
		{name: "the cheapest where nothing may be divided, whatever it leaves idle",
			options:   []expander.Option{option("a", 3, requested), option("b", 3, requested), option("c", 3, requested)},
			templates: map[string]*framework.NodeInfo{"a": small, "b": large, "c": small}, prices: flat{"a": 0.3, "b": 0.1, "c": 0.2},
			want: []string{"b: 3 for 10"}},
		{name: "an option for more pods than a plan can place", options: []expander.Option{option("a", 3, web, big)},
			templates: map[string]*framework.NodeInfo{"a": small}, prices: flat{"a": 0.1}, want: []string{"a: 3 for 10"}},
		{
			name:      "one option where each group has a price of its own",
			options:   []expander.Option{option("a", 4, web, more), option("b", 2, web)},
			templates: map[string]*framework.NodeInfo{"a": small, "b": small},
			prices: costs(func(id string, count int) (pricing.Amount, bool) {
				if id == "a" { // the first node costs more than the others
					return pricing.Amount{PerHour: 1 + 0.1*float64(count), Currency: "USD"}, true
				}
				return pricing.Amount{PerHour: 0.3, Currency: "USD"}.Times(count), true
			}),
			want: []string{"a: 4 for 16"},
		},
		{name: "as many pods on a node as it takes", options: []expander.Option{option("a", 2, replicas("tiny", 220, "1m", "1Mi"))},
			templates: map[string]*framework.NodeInfo{"a": small}, prices: flat{"a": 0.1}, want: []string{"a: 2 for 220"}},
		{name: "pods that keep apart have a node each",
			options:   []expander.Option{option("large", 3, separation), option("small", 3, separation)},
			templates: map[string]*framework.NodeInfo{"large": large, "small": small}, prices: flat{"large": 0.15, "small": 0.1},
			want: []string{"small: 3 for 3"}},
		{name: "a provisioning request is not divided",
			options:   []expander.Option{option("small", 3, requested), option("large", 2, requested)},
			templates: map[string]*framework.NodeInfo{"small": small, "large": large}, prices: flat{"small": 0.1, "large": 0.16},
			want: []string{"small: 3 for 10"}},
		{
			name: "nor is a group of all nodes or none",
			options: []expander.Option{
				{NodeGroup: &group{id: "whole", allOrNone: true}, NodeCount: 4, Pods: slices.Concat(web, big)}, option("small", 2, web),
			},
			templates: map[string]*framework.NodeInfo{"whole": large, "small": small},
			prices:    flat{"whole": 0.3, "small": 0.1},
			want:      []string{"whole: 4 for 10"},
		},
		{
			name:      "nodes that get dearer with their number",
			options:   []expander.Option{option("base", 2, web), option("flat", 2, web)},
			templates: map[string]*framework.NodeInfo{"base": small, "flat": small},
			prices: costs(func(id string, count int) (pricing.Amount, bool) {
				if id == "base" { // the first node is spot, the others are not
					return pricing.Amount{PerHour: 0.05 + 0.2*float64(count-1), Currency: "USD"}, true
				}
				return pricing.Amount{PerHour: 0.1, Currency: "USD"}.Times(count), true
			}),
			want: []string{"flat: 2 for 8"},
		},
		{name: "four GPUs in one node where that is cheaper than four nodes",
			options:   []expander.Option{option("four", 1, gpu), option("one", 4, gpu)},
			templates: map[string]*framework.NodeInfo{"four": template("48", "192Gi", "4"), "one": template("4", "16Gi", "1")},
			prices:    flat{"four": 3.9, "one": 1}, want: []string{"four: 1 for 4"}},
		{name: "and in four where they are cheaper", options: []expander.Option{option("four", 1, gpu), option("one", 4, gpu)},
			templates: map[string]*framework.NodeInfo{"four": template("48", "192Gi", "4"), "one": template("4", "16Gi", "1")},
			prices:    flat{"four": 3.9, "one": 0.526}, want: []string{"one: 4 for 4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := slices.Clone(tt.options)
			got := newFilter(tt.prices, tt.penalties).BestOptions(tt.options, tt.templates)
			assert.Empty(t, cmp.Diff(tt.want, summary(got)), "best options (-want +got)")
			assert.Empty(t, cmp.Diff(summary(given), summary(tt.options)), "the options given were changed (-before +after)")
		})
	}
}

func TestBetterPlanIsCheaperForAsManyPods(t *testing.T) {
	plan := func(pods int, total float64) choice {
		return choice{planned: []assignment{{pods: replicas("web", pods)}}, total: total}
	}
	for _, tt := range []struct {
		name string
		b    choice
		want bool
	}{
		{"cheaper", plan(5, 0.9), true},
		{"cheaper for more pods", plan(6, 0.9), true},
		{"cheaper for fewer pods", plan(4, 0.1), false},
		{"equal", plan(5, 1), false},
		{"dearer for more pods", plan(6, 1.1), false},
	} {
		assert.Equalf(t, tt.want, tt.b.better(plan(5, 1)), "%s: better", tt.name)
	}
}

func TestExplainTellsThePlanForEachOption(t *testing.T) {
	web, big := replicas("web", 8, "1", "1Gi"), replicas("big", 2, "1", "14Gi")
	options := []expander.Option{option("small", 2, web), option("large", 3, web, big)}
	templates := map[string]*framework.NodeInfo{"large": template("8", "16Gi"), "small": template("4", "8Gi")}
	f := newFilter(flat{"large": 0.3, "small": 0.05}, penalised{"small": {Ratio: 0.2, Reason: "interrupted 3m ago"}})
	var got []string
	for _, e := range f.Explain(options, templates) {
		got = append(got, e.String())
	}
	want := []string{
		"large: 3 node(s) for 10 pod(s) cost 0.9 USD/h; the cheapest plan has 2 node(s) of them for 6 pod(s) at 0.6 USD/h, and costs 0.65 USD/h for 10 pod(s) in all",
		"small: 2 node(s) for 8 pod(s) cost 0.1 USD/h, counted 1.2 times as much (interrupted 3m ago); the cheapest plan has 1 node(s) of them for 4 pod(s) at 0.05 USD/h, and costs 0.65 USD/h for 10 pod(s) in all",
	}
	assert.Empty(t, cmp.Diff(want, got), "explanations (-want +got)")
}

// world is random options, with prices and templates, as the core would offer them: each for all pods that its group can
// take, with a node count that is enough.
func world(random *rand.Rand, groups, workloads, most int) ([]expander.Option, map[string]*framework.NodeInfo, flat) {
	sizes := []struct{ cpu, memory string }{{"2", "4Gi"}, {"2", "8Gi"}, {"4", "8Gi"}, {"4", "32Gi"}, {"8", "16Gi"}, {"8", "32Gi"}, {"16", "64Gi"}}
	shapes := [][]string{{"100m", "128Mi"}, {"500m", "1Gi"}, {"500m", "3Gi"}, {"1", "2Gi"}, {"1500m", "6Gi"}, {"3", "4Gi"}, {"2", "20Gi"}, {"7", "12Gi"}}
	var all [][]*apiv1.Pod
	for i := range workloads {
		w := replicas(fmt.Sprintf("w%d", i), 1+random.IntN(most), shapes[random.IntN(len(shapes))]...)
		for _, pod := range w { // so that a group may take one workload and not another
			pod.Spec.NodeSelector = map[string]string{"for": fmt.Sprint("w", i)}
		}
		all = append(all, w)
	}
	templates, prices := map[string]*framework.NodeInfo{}, flat{}
	var options []expander.Option
	for i := range groups {
		id := fmt.Sprintf("group-%02d", i)
		size := sizes[random.IntN(len(sizes))]
		templates[id] = template(size.cpu, size.memory)
		node := requests(size.cpu, size.memory)
		prices[id] = (float64(node.Cpu().MilliValue())/1000*0.034 + float64(node.Memory().Value())/(1<<30)*0.0035) * (0.6 + 0.8*random.Float64())
		o := expander.Option{NodeGroup: &group{id: id}}
		for _, w := range all {
			asked := w[0].Spec.Containers[0].Resources.Requests
			if asked.Cpu().Cmp(*node.Cpu()) <= 0 && asked.Memory().Cmp(*node.Memory()) <= 0 && random.IntN(5) > 0 {
				o.Pods = append(o.Pods, w...)
			}
		}
		if o.NodeCount = firstFit(o.Pods, node); o.NodeCount > 0 {
			options = append(options, o)
		}
	}
	return options, templates, prices
}

// firstFit is how many nodes the pods take, each put on the first that has room.
func firstFit(pods []*apiv1.Pod, node apiv1.ResourceList) int {
	var cpu, memory []int64
next:
	for _, pod := range pods {
		asked := pod.Spec.Containers[0].Resources.Requests
		for i := range cpu {
			if cpu[i] >= asked.Cpu().MilliValue() && memory[i] >= asked.Memory().Value() {
				cpu[i] -= asked.Cpu().MilliValue()
				memory[i] -= asked.Memory().Value()
				continue next
			}
		}
		cpu = append(cpu, node.Cpu().MilliValue()-asked.Cpu().MilliValue())
		memory = append(memory, node.Memory().Value()-asked.Memory().Value())
	}
	return len(cpu)
}

func TestPlansAreNeverWorseThanOneOption(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for round := range 50 {
		options, templates, prices := world(random, 1+random.IntN(10), 1+random.IntN(6), 30)
		if len(options) == 0 {
			continue
		}
		f := newFilter(prices, nil)
		candidates := f.candidates(options, templates)
		b := f.cheapestChoice(candidates, newDemand(candidates, nil), unhurried())
		total, seen := 0.0, map[types.UID]bool{}
		for i, a := range b.planned {
			total += prices[candidates[i].id] * float64(a.count)
			node := templates[candidates[i].id].Node().Status.Allocatable
			for _, planned := range a.nodes {
				on := planned.Pods
				assert.Equalf(t, 1, firstFit(on, node), "round %d: %d pods do not fit a node of %s", round, len(on), candidates[i].id)
			}
			for _, pod := range a.pods {
				assert.Truef(t, !seen[pod.UID] && slices.Contains(candidates[i].option.Pods, pod),
					"round %d: pod %s is planned twice, or for %s, which cannot take it", round, pod.Name, candidates[i].id)
				seen[pod.UID] = true
			}
		}
		every := map[types.UID]bool{}
		for _, o := range options {
			for _, pod := range o.Pods {
				every[pod.UID] = true
			}
		}
		assert.Truef(t, len(seen) == len(every), "round %d: %d of %d pods are planned", round, len(seen), len(every))
		for _, o := range options {
			if cost := prices[o.NodeGroup.Id()] * float64(o.NodeCount); len(o.Pods) == len(every) && cost < total*(1-1e-9) {
				t.Errorf("round %d: the plan costs %v, %d nodes of %s alone %v", round, total, o.NodeCount, o.NodeGroup.Id(), cost)
			}
		}
	}
}

func TestPlanIgnoresOrderOfInput(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	for round, groups := range []int{12, 12, 12, 12, 12, 12, 2 * manyShapes} {
		options, templates, prices := world(random, groups, 6, 40)
		want := newFilter(prices, nil).BestOptions(options, templates)
		shuffled := slices.Clone(options)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for i := range shuffled {
			list := slices.Clone(shuffled[i].Pods)
			random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			shuffled[i].Pods = list
		}
		got := newFilter(prices, nil).BestOptions(shuffled, templates)
		require.Emptyf(t, cmp.Diff(names(want), names(got)), "round %d (-in order +shuffled)", round)
	}
}

// ticking is a clock that moves on by a millisecond whenever it is looked at.
type ticking struct{ now time.Time }

func (c *ticking) Now() time.Time {
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *ticking) Since(start time.Time) time.Duration { return c.Now().Sub(start) }

// names writes options with the names of their pods.
func names(options []expander.Option) []string {
	list := summary(options)
	for _, o := range options {
		for _, pod := range o.Pods {
			list = append(list, pod.Name)
		}
	}
	return list
}

func TestTimedOutPlanIsCheapestSoFar(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	options, templates, prices := world(random, 20, 12, 30)
	every := map[*apiv1.Pod]bool{}
	alone := math.Inf(1) // the cheapest option for all pods
	for _, o := range options {
		for _, pod := range o.Pods {
			every[pod] = true
		}
	}
	for _, o := range options {
		if len(o.Pods) == len(every) {
			alone = min(alone, prices[o.NodeGroup.Id()]*float64(o.NodeCount))
		}
	}
	var last Explanation
	for _, limit := range []time.Duration{1, 5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, time.Hour} {
		f := New(prices, nil, nil, limit, &ticking{})
		best := f.BestOptions(options, templates)
		require.Truef(t, len(best) != 0 && best[0].NodeCount != 0 && len(best[0].Pods) != 0,
			"limit %v: best options %v, want one to begin with", limit, summary(best))
		first := New(prices, nil, nil, limit, &ticking{}).Explain(options, templates)[0]
		if want := limit < time.Hour; first.Cut != want || strings.Contains(first.String(), "found in the time for it") != want {
			t.Errorf("limit %v: cut short %t, explained as %q, want %t", limit, first.Cut, first, want)
		}
		if first.TotalPods == len(every) && first.TotalCost.PerHour > alone*(1+1e-9) {
			t.Errorf("limit %v: the plan costs %v, one option alone %v", limit, first.TotalCost, alone)
		}
		last = first
	}
	assert.Truef(t, last.TotalPods == len(every), "with all the time it wants the plan places %d pods of %d", last.TotalPods, len(every))
}

func TestGroupsGetNoMoreNodesThanOptions(t *testing.T) {
	web := replicas("web", 20, "1", "1Gi")
	options := []expander.Option{option("a", 2, web[:8]), option("b", 3, web[8:])} // each at its limit
	small := template("4", "8Gi")
	nodes := map[string]*framework.NodeInfo{"a": small, "b": small}
	var got []string
	for _, e := range newFilter(flat{"a": 1, "b": 1}, nil).Explain(options, nodes) {
		got = append(got, fmt.Sprintf("%s: %d for %d", e.NodeGroup, e.PlannedNodes, e.PlannedPods))
	}
	for _, o := range newFilter(flat{"a": 1, "b": 1}, nil).BestOptions(options, nodes) {
		assert.Truef(t, o.NodeGroup.Id() == "b" && o.NodeCount == 3, "begins with %d nodes of %s, want the 3 of b", o.NodeCount, o.NodeGroup.Id())
	}
	assert.Empty(t, cmp.Diff([]string{"a: 2 for 8", "b: 3 for 12"}, got), "planned (-want +got)")
}

// many is a world of pods of so many kinds, and of groups whose prices differ, each of which lists all that fit.
func many(random *rand.Rand, groups, pods, kinds int) ([]expander.Option, map[string]*framework.NodeInfo, flat) {
	var all []*apiv1.Pod
	for i := range kinds {
		all = append(all, replicas(fmt.Sprintf("kind-%05d", i), pods/kinds, fmt.Sprintf("%dm", 100+random.IntN(3900)), fmt.Sprintf("%dMi", 128+random.IntN(16<<10)))...)
	}
	templates, prices := map[string]*framework.NodeInfo{}, flat{}
	var options []expander.Option
	for i := range groups {
		id := fmt.Sprintf("group-%04d", i)
		cpu := int64(4) << random.IntN(5)
		gib := cpu * (2 << random.IntN(3))
		templates[id] = template(fmt.Sprint(cpu), fmt.Sprintf("%dGi", gib))
		prices[id] = (float64(cpu)*0.034 + float64(gib)*0.0035) * (0.6 + 0.8*random.Float64())
		o := expander.Option{NodeGroup: &group{id: id}}
		asked := amounts{0, 0}
		for _, pod := range all {
			if r := pod.Spec.Containers[0].Resources.Requests; r.Cpu().Value() <= cpu && r.Memory().Value() <= gib<<30 {
				o.Pods = append(o.Pods, pod)
				asked[0] += r.Cpu().MilliValue()
				asked[1] += r.Memory().Value()
			}
		}
		o.NodeCount = int(max(asked[0]/(1000*cpu), asked[1]/(gib<<30))*11/10) + 1 // roughly the core's packing
		options = append(options, o)
	}
	return options, templates, prices
}

// Run with: go test -run - -bench BestOptions -benchmem ./expander/leastcost. The core's own packing is left out. B/op counts
// all allocations of a plan. It needs less at a time. "of-best" is the plan's cost by that of a plan without a time limit.
func BenchmarkBestOptions(b *testing.B) {
	plan := func(b *testing.B, options []expander.Option, templates map[string]*framework.NodeInfo, prices flat) {
		b.ReportAllocs()
		for b.Loop() {
			New(prices, nil, nil, time.Second, clock.RealClock{}).BestOptions(options, templates)
		}
		e := New(prices, nil, nil, time.Second, clock.RealClock{}).Explain(options, templates)[0]
		b.ReportMetric(e.TotalCost.PerHour, "USD/h")
		b.ReportMetric(float64(e.TotalPods), "pods")
		if e.Cut {
			b.ReportMetric(e.TotalCost.PerHour/newFilter(prices, nil).Explain(options, templates)[0].TotalCost.PerHour, "of-best")
		}
	}
	for _, size := range []struct{ pods, workloads, groups int }{
		{50, 8, 10}, {500, 20, 60}, {5000, 40, 60}, {5000, 90, 400}, {5000, 5000, 60},
	} {
		b.Run(fmt.Sprintf("pods=%d/workloads=%d/groups=%d", size.pods, size.workloads, size.groups), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, uint64(size.pods)))
			options, templates, prices := world(random, size.groups, size.workloads, max(1, 2*size.pods/size.workloads-1))
			plan(b, options, templates, prices)
		})
	}
	for _, size := range []struct{ pods, kinds, groups int }{{300, 300, 18}, {10000, 200, 1000}, {10000, 10000, 1000}} {
		b.Run(fmt.Sprintf("pods=%d/kinds=%d/groups=%d", size.pods, size.kinds, size.groups), func(b *testing.B) {
			options, templates, prices := many(rand.New(rand.NewPCG(1, 1)), size.groups, size.pods, size.kinds)
			plan(b, options, templates, prices)
		})
	}
}

// Explain returns how BestOptions judges the options: one Explanation for each option with a known price, by name of the group.
func (f *Filter) Explain(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []Explanation {
	if d := f.decide(options, nodeInfos); d != nil {
		return d.explanations
	}
	return nil
}
