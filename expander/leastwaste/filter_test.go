package leastwaste

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/waste"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

const gib = 1 << 30

type group struct {
	cloudprovider.NodeGroup
	id string
}

func (g *group) Id() string { return g.id }

func pod(cpu, memory string) *apiv1.Pod {
	return &apiv1.Pod{Spec: apiv1.PodSpec{Containers: []apiv1.Container{{Resources: apiv1.ResourceRequirements{Requests: list(cpu, memory)}}}}}
}

func list(cpu, memory string) apiv1.ResourceList {
	return apiv1.ResourceList{apiv1.ResourceCPU: resource.MustParse(cpu), apiv1.ResourceMemory: resource.MustParse(memory)}
}

func pods(count int, cpu, memory string) []*apiv1.Pod {
	var list []*apiv1.Pod
	for range count {
		list = append(list, pod(cpu, memory))
	}
	return list
}

func template(cpu, memory string) *framework.NodeInfo {
	return framework.NewNodeInfo(&apiv1.Node{ObjectMeta: metav1.ObjectMeta{Name: "template"}, Status: apiv1.NodeStatus{Capacity: list(cpu, memory)}}, nil)
}

func option(id string, nodes int, pods []*apiv1.Pod) expander.Option {
	return expander.Option{NodeGroup: &group{id: id}, NodeCount: nodes, Pods: pods}
}

func ids(options []expander.Option) []string {
	var list []string
	for _, o := range options {
		list = append(list, o.NodeGroup.Id())
	}
	return list
}

func TestScoreIsTheMeanIdleRatio(t *testing.T) {
	offered := Size{CPUMillis: 4000, MemoryBytes: 16 * gib}
	for _, tt := range []struct {
		name          string
		used, offered Size
		want          float64
	}{
		{name: "empty node", offered: offered, want: 1},
		{name: "full node", used: offered, offered: offered, want: 0},
		{name: "CPU full, memory half full", used: Size{CPUMillis: 4000, MemoryBytes: 8 * gib}, offered: offered, want: 0.25},
		{name: "nothing offered", used: Size{CPUMillis: 1, MemoryBytes: 1}, want: 1},
		{name: "nothing offered or used", want: 1},
		{name: "only CPU offered", used: Size{CPUMillis: 1000, MemoryBytes: gib}, offered: Size{CPUMillis: 1000}, want: 0.5},
		{name: "accelerators count where there are any", used: Size{CPUMillis: 4000, MemoryBytes: 16 * gib, Accelerators: 1},
			offered: Size{CPUMillis: 4000, MemoryBytes: 16 * gib, Accelerators: 4}, want: 0.25},
		{name: "negative offer", used: Size{}, offered: Size{CPUMillis: -1, MemoryBytes: math.MinInt64}, want: 1},
		{name: "more used than offered", used: Size{CPUMillis: 2000, MemoryBytes: 2 * gib}, offered: Size{CPUMillis: 1000, MemoryBytes: gib}, want: -1},
	} {
		assert.Equalf(t, tt.want, Score(tt.used, tt.offered), "%s: Score(%+v, %+v)", tt.name, tt.used, tt.offered)
	}
}

func TestBestOptionsKeepsWhatWastesLeast(t *testing.T) {
	for _, tt := range []struct {
		name      string
		options   []expander.Option
		templates map[string]*framework.NodeInfo
		want      []string
	}{
		{name: "no option"},
		{name: "one large or two of half the size",
			options:   []expander.Option{option("b", 1, pods(4, "1", "2Gi")), option("a", 2, pods(4, "1", "2Gi"))},
			templates: map[string]*framework.NodeInfo{"a": template("2", "8Gi"), "b": template("4", "16Gi")}, want: []string{"b", "a"}},
		{name: "a group without a template is left out",
			options:   []expander.Option{option("gone", 1, pods(1, "4", "16Gi")), option("a", 1, pods(1, "1", "1Gi"))},
			templates: map[string]*framework.NodeInfo{"a": template("4", "16Gi"), "gone": nil}, want: []string{"a"}},
		{name: "a group that claims no CPU counts as idle there, and does not win for it",
			options:   []expander.Option{option("none", 1, pods(1, "1", "2Gi")), option("a", 1, pods(1, "1", "2Gi"))},
			templates: map[string]*framework.NodeInfo{"none": template("0", "4Gi"), "a": template("2", "4Gi")}, want: []string{"a"}},
		{name: "a group that claims nothing is better than no group", options: []expander.Option{option("none", 1, pods(1, "1", "1Gi"))},
			templates: map[string]*framework.NodeInfo{"none": template("0", "0")}, want: []string{"none"}},
		{name: "a first option that cannot be judged does not hide the others",
			options:   []expander.Option{option("none", 1, pods(1, "0", "0")), option("a", 1, pods(1, "0", "1Gi"))},
			templates: map[string]*framework.NodeInfo{"none": template("0", "0"), "a": template("4", "16Gi")}, want: []string{"a"}},
	} {
		assert.Emptyf(t, cmp.Diff(tt.want, ids((&Filter{}).BestOptions(tt.options, tt.templates))), "%s: best options (-want +got)", tt.name)
	}
}

// Where every option places all pods, no two scores are nearly equal, and CPU and memory are offered, the choice is stock's. Elsewhere
// stock's choice may only lose to more pods. (Stock compares NaN and infinities where a node claims to have no CPU or no memory.)
func TestBestOptionsAgreesWithStock(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 35))
	cpus := []string{"1", "2", "3920m", "4", "8", "16", "95690m"}
	memories := []string{"1Gi", "3903620Ki", "4Gi", "8Gi", "16Gi", "31398Mi", "384Gi"}
	requests := []string{"0", "100u", "1m", "250m", "500m", "1", "1500m"}
	sizes := []string{"0", "64Mi", "512Mi", "1G", "1Gi", "2500M"}
	same := 0
	for round := range 4000 {
		templates := map[string]*framework.NodeInfo{}
		var shared []*apiv1.Pod
		for range 1 + random.IntN(12) {
			shared = append(shared, pod(requests[random.IntN(len(requests))], sizes[random.IntN(len(sizes))]))
		}
		var options []expander.Option
		for i := range 1 + random.IntN(6) {
			id := fmt.Sprintf("group-%d", i)
			if random.IntN(10) > 0 {
				templates[id] = template(cpus[random.IntN(len(cpus))], memories[random.IntN(len(memories))])
			}
			placed := len(shared)
			if round%2 == 1 {
				placed = random.IntN(len(shared) + 1)
			}
			options = append(options, option(id, 1+random.IntN(3), shared[:placed]))
		}
		stock, ours := ids(waste.NewFilter().BestOptions(options, templates)), ids((&Filter{}).BestOptions(options, templates))
		explanations := (&Filter{}).Explain(options, templates)
		if round%2 == 0 && !nearTie(explanations) {
			same++
			require.Emptyf(t, cmp.Diff(stock, ours), "round %d, %v (-stock +ours)", round, explanations)
		}
		for _, e := range explanations {
			require.Falsef(t, slices.Contains(stock, e.NodeGroup) && e.Verdict != Chosen && e.Verdict != FewerPods,
				"round %d: stock chooses %q, which we reject: %v", round, e.NodeGroup, explanations)
		}
	}
	assert.Truef(t, same >= 1500, "only %d of 4000 rounds can be compared with stock, want 1500", same)
}

// nearTie reports whether a score is above the lowest, but by less than 5 % of memory would make.
func nearTie(explanations []Explanation) bool {
	lowest := math.Inf(1)
	for _, e := range explanations {
		lowest = min(lowest, e.Score)
	}
	return slices.ContainsFunc(explanations, func(e Explanation) bool {
		return e.Score > lowest && e.Score-0.05*min(1-idleRatio(e.Used.MemoryBytes, e.Offered.MemoryBytes), 1)/2 <= lowest
	})
}

func TestExplainGivesThePartsOfEachScore(t *testing.T) {
	options := []expander.Option{option("gone", 1, nil), option("gpu-spot", 3, pods(3, "2", "4Gi"))}
	templates := map[string]*framework.NodeInfo{"gpu-spot": template("4", "16Gi")}
	want := []Explanation{{NodeGroup: "gpu-spot", Nodes: 3, Pods: 3, Used: Size{CPUMillis: 6000, MemoryBytes: 12 * gib},
		Offered: Size{CPUMillis: 12000, MemoryBytes: 48 * gib}, Score: 0.625, Verdict: Chosen}}
	assert.Empty(t, cmp.Diff(want, (&Filter{}).Explain(options, templates)), "explanations (-want +got)")
	assert.InDelta(t, 0.00625, tolerance(want[0].Used, want[0].Offered), 1e-12, "tolerance")
}

// JSON has no NaN and no infinity.
func TestEveryExplanationIsFinite(t *testing.T) {
	for _, tt := range []struct{ name, cpu, memory, podCPU, podMemory string }{
		{"nothing at all", "0", "0", "0", "0"},
		{"no CPU", "0", "8Gi", "1", "1Gi"},
		{"no memory", "2", "0", "1", "1Gi"},
		{"negative capacity", "-1", "-8Gi", "1", "1Gi"},
		{"more than an int64 of CPU millis", "9E", "8Gi", "1", "1Gi"},
	} {
		explanations := (&Filter{}).Explain([]expander.Option{option("a", 3, pods(2, tt.podCPU, tt.podMemory))},
			map[string]*framework.NodeInfo{"a": template(tt.cpu, tt.memory)})
		_, err := json.Marshal(explanations)
		assert.NoErrorf(t, err, "%s: marshal %+v", tt.name, explanations)
	}
}

// Explain judges the options as BestOptions does, one Explanation per option that could be judged, in the order given.
func (f *Filter) Explain(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []Explanation {
	explanations, _ := explainAll(options, nodeInfos)
	return explanations
}
