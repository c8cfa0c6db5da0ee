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
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

type group struct {
	cloudprovider.NodeGroup
	id string
}

func (g *group) TargetSize() (int, error) { return 0, nil }

func (g *group) Id() string { return g.id }

type flat map[string]float64

func (p flat) NodeCost(id string, _ *apiv1.Node, count int) (pricing.Amount, bool) {
	perHour, known := p[id]
	return pricing.Amount{PerHour: perHour, Currency: "USD"}.Times(count), known
}

type costs func(id string, count int) (pricing.Amount, bool)

func (c costs) NodeCost(id string, _ *apiv1.Node, count int) (pricing.Amount, bool) {
	return c(id, count)
}

// newFilter returns a Filter that has all the time it wants.
func newFilter(prices Prices, penalties penalised) *Filter {
	return New(prices, penalties.of, nil, time.Hour, clock.RealClock{})
}

func unhurried() *timer {
	return &timer{clock: clock.RealClock{}, start: time.Now(), limit: time.Hour}
}

type penalised map[string]Penalty

func (p penalised) of(id string) Penalty { return p[id] }

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
	options, infos, _ := offered([]offer{{id: "a", nodes: 3, info: template("4", "8Gi"), pods: replicas("web", 8, "1", "1Gi")}})
	for guessed, want := range map[bool]int{true: 3, false: 0} { // the option's, the plan's and the total cost
		f := newFilter(costs(func(_ string, count int) (pricing.Amount, bool) {
			return pricing.Amount{PerHour: 0.5, Currency: "USD", Estimated: guessed}.Times(count), true
		}), nil)
		f.BestOptions(options, infos)
		assert.Equalf(t, want, strings.Count(f.Words()["a"].String(), "about "), "marks in %s", f.Words()["a"])
	}
}

// offer is an option, with the template and the price of its nodes. The price is not known where it is 0.
type offer struct {
	id    string
	nodes int
	info  *framework.NodeInfo
	price float64
	pods  []*apiv1.Pod
}

func offered(list []offer) (options []expander.Option, templates map[string]*framework.NodeInfo, prices flat) {
	templates, prices = map[string]*framework.NodeInfo{}, flat{}
	for _, o := range list {
		options, templates[o.id] = append(options, option(o.id, o.nodes, o.pods)), o.info
		if o.price != 0 {
			prices[o.id] = o.price
		}
	}
	return options, templates, prices
}

func TestBestOptionsBeginsTheCheapestPlan(t *testing.T) {
	web, big := replicas("web", 8, "1", "1Gi"), replicas("big", 2, "1", "14Gi")
	both := slices.Concat(web, big)
	small, large, huge := template("4", "8Gi"), template("8", "16Gi"), template("8", "64Gi")
	apart := avoiding(apiv1.LabelHostname, "app", replicas("apart", 3, "1", "1Gi"))
	requested := each(replicas("requested", 10, "1", "1Gi"), func(_ int, pod *apiv1.Pod) {
		pod.Annotations = map[string]string{apisv1.ProvisioningRequestPodAnnotationKey: "one"}
	})
	gpu, more, tiny := replicas("gpu", 4, "1", "1Gi", "1"), replicas("more", 8, "1", "1Gi"), replicas("tiny", 220, "1m", "1Mi")
	four, one := template("48", "192Gi", "4"), template("4", "16Gi", "1")
	usd := func(perHour float64) (pricing.Amount, bool) {
		return pricing.Amount{PerHour: perHour, Currency: "USD"}, true
	}
	failed := penalised{"spot": {Ratio: 0.5, Reason: "no capacity a minute ago"}}
	for _, tt := range []struct {
		name      string
		offers    []offer
		prices    costs // nil for those of the offers
		penalties penalised
		want      string
	}{
		{name: "no option"},
		{name: "the cheaper of two alike", offers: []offer{{"dear", 2, small, 0.2, web}, {"cheap", 2, small, 0.1, web}}, want: "cheap: 2 for 8"},
		{name: "both of two that are the same", offers: []offer{{"b", 2, small, 0.1, web}, {"a", 2, small, 0.1, web}}, want: "a: 2 for 8, b: 2 for 8"},
		{name: "a penalty outweighs a small difference", offers: []offer{{"spot", 2, small, 0.08, web}, {"on-demand", 2, small, 0.1, web}},
			penalties: failed, want: "on-demand: 2 for 8"},
		{name: "but not a large one", offers: []offer{{"spot", 2, small, 0.03, web}, {"on-demand", 2, small, 0.1, web}}, penalties: failed, want: "spot: 2 for 8"},
		{name: "only the pods that belong there, where others are cheaper elsewhere",
			offers: []offer{{"large", 3, large, 0.3, both}, {"small", 2, small, 0.1, web}}, want: "large: 2 for 6"},
		{name: "known prices before unknown ones", offers: []offer{{"unknown", 1, large, 0, web}, {"known", 2, small, 100, web}}, want: "known: 2 for 8"},
		{name: "all as they were without any price", offers: []offer{{"b", 1, large, 0, web}, {"a", 2, small, 0, web}}, want: "b: 1 for 8, a: 2 for 8"},
		{name: "prices that cannot be are not known", offers: []offer{{"a", 2, small, math.NaN(), web}, {"b", 2, small, -1, web},
			{"c", 2, small, math.Inf(1), web}, {"d", 2, small, 5, web}}, want: "d: 2 for 8"},
		{name: "a group without a template is left out", offers: []offer{{"gone", 2, nil, 0.01, web}, {"a", 2, small, 0.1, web}}, want: "a: 2 for 8"},
		{name: "equal money, less waste", offers: []offer{{"a-large", 1, huge, 0.1, big[:1]}, {"b-small", 1, large, 0.1, big[:1]}}, want: "b-small: 1 for 1"},
		{name: "both of two of one price where nothing may be divided",
			offers: []offer{{"a-large", 3, large, 0.1, requested}, {"b-small", 3, small, 0.1, requested}}, want: "a-large: 3 for 10, b-small: 3 for 10"},
		{name: "the cheapest where nothing may be divided, whatever it leaves idle",
			offers: []offer{{"a", 3, small, 0.3, requested}, {"b", 3, large, 0.1, requested}, {"c", 3, small, 0.2, requested}}, want: "b: 3 for 10"},
		{name: "the plan of an option for more pods than it can place", offers: []offer{{"a", 3, small, 0.1, both}}, want: "a: 2 for 8"},
		{name: "an option for pods that no plan can place", offers: []offer{{"a", 1, small, 0.1, big}}, want: "a: 1 for 2"},
		{name: "one option where each group has a price of its own", offers: []offer{{"a", 4, small, 0, slices.Concat(web, more)}, {"b", 2, small, 0, web}},
			prices: func(id string, count int) (pricing.Amount, bool) {
				if id == "a" { // the first node costs more than the others
					return usd(1 + 0.1*float64(count))
				}
				return usd(0.3 * float64(count))
			}, want: "a: 4 for 16"},
		{name: "as many pods on a node as it takes", offers: []offer{{"a", 2, small, 0.1, tiny}}, want: "a: 2 for 220"},
		{name: "pods that keep apart have a node each", offers: []offer{{"large", 3, large, 0.15, apart}, {"small", 3, small, 0.1, apart}}, want: "small: 3 for 3"},
		{name: "a provisioning request is not divided",
			offers: []offer{{"small", 3, small, 0.1, requested}, {"large", 2, large, 0.16, requested}}, want: "small: 3 for 10"},
		{name: "nodes that get dearer with their number", offers: []offer{{"base", 2, small, 0, web}, {"flat", 2, small, 0, web}},
			prices: func(id string, count int) (pricing.Amount, bool) {
				if id == "base" { // the first node is spot, the others are not
					return usd(0.05 + 0.2*float64(count-1))
				}
				return usd(0.1 * float64(count))
			}, want: "flat: 2 for 8"},
		{name: "four GPUs in one node where that is cheaper than four nodes", offers: []offer{{"four", 1, four, 3.9, gpu}, {"one", 4, one, 1, gpu}}, want: "four: 1 for 4"},
		{name: "and in four where they are cheaper", offers: []offer{{"four", 1, four, 3.9, gpu}, {"one", 4, one, 0.526, gpu}}, want: "one: 4 for 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			options, templates, flat := offered(tt.offers)
			var prices Prices = flat
			if tt.prices != nil {
				prices = tt.prices
			}
			before := summary(options)
			assert.Equal(t, tt.want, strings.Join(summary(newFilter(prices, tt.penalties).BestOptions(options, templates)), ", "), "best options")
			assert.Equal(t, before, summary(options), "the options given were changed")
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
	options, templates, prices := offered([]offer{{"small", 2, template("4", "8Gi"), 0.05, web}, {"large", 3, template("8", "16Gi"), 0.3, slices.Concat(web, big)}})
	f := newFilter(prices, penalised{"small": {Ratio: 0.2, Reason: "interrupted 3m ago"}})
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

func everyPod(options []expander.Option) map[types.UID]bool {
	every := map[types.UID]bool{}
	for _, o := range options {
		for _, pod := range o.Pods {
			every[pod.UID] = true
		}
	}
	return every
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
		every := everyPod(options)
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
	alone, every := math.Inf(1), everyPod(options) // the cheapest option for all pods
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
		assert.Falsef(t, first.TotalPods == len(every) && first.TotalCost.PerHour > alone*(1+1e-9),
			"limit %v: the plan costs %v, one option alone %v", limit, first.TotalCost, alone)
		last = first
	}
	assert.Truef(t, last.TotalPods == len(every), "with all the time it wants the plan places %d pods of %d", last.TotalPods, len(every))
}

// The prices of a thousand groups with hundreds of types each may take longer than the limit.
func TestPricesTakeNoTimeOfThePlan(t *testing.T) {
	options, templates, prices := world(rand.New(rand.NewPCG(5, 5)), 20, 12, 30)
	now, asked := clocktesting.NewFakePassiveClock(time.Time{}), map[string]int{}
	slow := costs(func(id string, count int) (pricing.Amount, bool) {
		now.SetTime(now.Now().Add(time.Minute))
		asked[fmt.Sprint(id, " +", count)]++
		return prices.NodeCost(id, nil, count)
	})
	want := newFilter(prices, nil).Explain(options, templates)
	assert.Equal(t, want, New(slow, nil, nil, time.Second, now).Explain(options, templates), "the plan is not whole")
	for cost, times := range asked {
		assert.Equalf(t, 1, times, "the cost of %s was asked for several times", cost)
	}
}

func TestGroupsGetNoMoreNodesThanOptions(t *testing.T) {
	web, small := replicas("web", 20, "1", "1Gi"), template("4", "8Gi")
	options, nodes, prices := offered([]offer{{"a", 2, small, 1, web[:8]}, {"b", 3, small, 1, web[8:]}}) // each at its limit
	gotNodes, gotPods := bill(newFilter(prices, nil), options, nodes)
	assert.Equal(t, []map[string]int{{"a": 2, "b": 3}, {"a": 8, "b": 12}}, []map[string]int{gotNodes, gotPods}, "planned nodes and pods")
	assert.Equal(t, []string{"b: 3 for 12"}, summary(newFilter(prices, nil).BestOptions(options, nodes)), "begins with")
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
		hurried := func() *Filter {
			f := New(prices, nil, nil, time.Second, clock.RealClock{})
			f.Preferences.Percent = 5
			return f
		}
		b.ReportAllocs()
		for b.Loop() {
			hurried().BestOptions(options, templates)
		}
		e := hurried().Explain(options, templates)[0]
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
	b.Run("pods=5000/kinds=200/groups=1000/spread over zones", func(b *testing.B) {
		options, templates, prices := many(rand.New(rand.NewPCG(1, 1)), 1000, 5000, 200)
		for i, o := range options {
			templates[o.NodeGroup.Id()].Node().Labels = map[string]string{apiv1.LabelTopologyZone: string(rune('a' + i%3))}
			for _, pod := range o.Pods {
				pod.Spec.TopologySpreadConstraints = []apiv1.TopologySpreadConstraint{{TopologyKey: apiv1.LabelTopologyZone, WhenUnsatisfiable: apiv1.ScheduleAnyway}}
			}
		}
		plan(b, options, templates, prices)
	})
}

func bill(f *Filter, options []expander.Option, infos map[string]*framework.NodeInfo) (nodes, pods map[string]int) {
	nodes, pods = map[string]int{}, map[string]int{}
	for _, e := range f.Explain(options, infos) {
		if e.PlannedNodes > 0 {
			nodes[e.NodeGroup], pods[e.NodeGroup] = e.PlannedNodes, e.PlannedPods
		}
	}
	return nodes, pods
}

// Explain returns how BestOptions judges the options: one Explanation for each option with a known price, by name of the group.
func (f *Filter) Explain(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []Explanation {
	if d := f.decide(options, nodeInfos); d != nil {
		return d.explanations
	}
	return nil
}
