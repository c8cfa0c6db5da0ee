package leastwaste

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// with is a template that offers more resources, given as names and amounts.
func with(info *framework.NodeInfo, resources ...string) *framework.NodeInfo {
	node := info.Node().DeepCopy()
	for i := 0; i < len(resources); i += 2 {
		node.Status.Capacity[apiv1.ResourceName(resources[i])] = resource.MustParse(resources[i+1])
	}
	node.Status.Allocatable = node.Status.Capacity
	return framework.NewNodeInfo(node, info.LocalResourceSlices)
}

// asking is a pod that asks for accelerators as well.
func asking(cpu, memory string, resources ...string) *apiv1.Pod {
	p := pod(cpu, memory)
	for i := 0; i < len(resources); i += 2 {
		p.Spec.Containers[0].Resources.Requests[apiv1.ResourceName(resources[i])] = resource.MustParse(resources[i+1])
	}
	return p
}

const gpu = "nvidia.com/gpu"

func TestUnusedAcceleratorsLose(t *testing.T) {
	plain, one := pods(4, "1", "2Gi"), []*apiv1.Pod{asking("1", "2Gi", gpu, "1")}
	withheld := with(template("4", "8Gi"), gpu, "1")
	withheld.Node().Status.Allocatable = template("4", "8Gi").Node().Status.Capacity
	templates := map[string]*framework.NodeInfo{
		"cpu-large": template("64", "256Gi"), "cpu-full": template("4", "8Gi"),
		"gpu-full": with(template("4", "8Gi"), gpu, "1"), "gpu-full-eight": with(template("4", "8Gi"), gpu, "8"),
		"gpu-large":    with(template("64", "256Gi"), gpu, "1"),
		"gpu-withheld": withheld,
		"neuron-full":  with(template("4", "8Gi"), "aws.amazon.com/neuron", "1", "aws.amazon.com/neuroncore", "2"),
		"shared":       sharing(template("4", "8Gi"), "gpu.nvidia.com", make([]resourceapi.Device, 2)...),
	}
	for _, tt := range []struct {
		name    string
		options []expander.Option
		want    string
	}{
		{"a GPU node that would be full, a plain one nearly empty", []expander.Option{option("gpu-full", 1, plain), option("cpu-large", 1, plain)}, "cpu-large"},
		{"so with Neuron and with shared devices",
			[]expander.Option{option("neuron-full", 1, plain), option("shared", 1, plain), option("cpu-large", 1, plain)}, "cpu-large"},
		{"so with a GPU that pods do not get for a time", []expander.Option{option("gpu-withheld", 1, plain), option("cpu-large", 1, plain)}, "cpu-large"},
		{"even where it places more pods", []expander.Option{option("gpu-full", 1, plain), option("cpu-large", 1, plain[:1])}, "cpu-large"},
		{"where all have accelerators, the fullest wins", []expander.Option{option("gpu-large", 1, plain), option("gpu-full", 1, plain)}, "gpu-full"},
		{"one pod that asks is enough to be judged by the score",
			[]expander.Option{option("gpu-full", 1, append(plain[:3:3], one...)), option("cpu-large", 1, plain[:3])}, "gpu-full"},
		{"a claim asks, too", []expander.Option{option("shared", 1, append(plain[:3:3], claiming(1))), option("cpu-large", 1, plain[:3])}, "shared"},
		{"and idle accelerators count", []expander.Option{option("gpu-full-eight", 1, one), option("gpu-full", 1, one)}, "gpu-full"},
	} {
		f := &Filter{}
		assert.Equalf(t, []string{tt.want}, ids(f.BestOptions(tt.options, templates)), "%s: best options of %v", tt.name, f.Explain(tt.options, templates))
	}
}

func TestAcceleratorsAreCountedUnderOneName(t *testing.T) {
	neuron := with(template("4", "8Gi"), "aws.amazon.com/neuron", "2", "aws.amazon.com/neuroncore", "4")
	for _, tt := range []struct {
		name string
		pods []*apiv1.Pod
		want int64 // of two devices
	}{
		{"devices", []*apiv1.Pod{asking("1", "1Gi", "aws.amazon.com/neuron", "2")}, 2},
		{"cores", []*apiv1.Pod{asking("1", "1Gi", "aws.amazon.com/neuroncore", "2"), asking("1", "1Gi", "aws.amazon.com/neuroncore", "2")}, 2},
		{"half a device is one", []*apiv1.Pod{asking("1", "1Gi", "aws.amazon.com/neuroncore", "1")}, 1},
		{"what the node does not have", []*apiv1.Pod{asking("1", "1Gi", gpu, "1")}, 0},
	} {
		got := (&Filter{}).Explain([]expander.Option{option("a", 1, tt.pods)}, map[string]*framework.NodeInfo{"a": neuron})[0]
		assert.Truef(t, got.Accelerator == "aws.amazon.com/neuron" && got.Used.Accelerators == tt.want && got.Offered.Accelerators == 2,
			"%s: %d of %d %s, want %d of 2 aws.amazon.com/neuron", tt.name, got.Used.Accelerators, got.Offered.Accelerators, got.Accelerator, tt.want)
	}
}

func TestOfferedIsWhatPodsOnEveryNodeLeave(t *testing.T) {
	node := template("4", "16Gi").Node().DeepCopy()
	node.Status.Allocatable = apiv1.ResourceList{apiv1.ResourceCPU: resource.MustParse("3900m"), apiv1.ResourceMemory: resource.MustParse("15Gi")}
	info := framework.NewNodeInfo(node, nil, framework.NewPodInfo(pod("900m", "3Gi"), nil))
	got := (&Filter{}).Explain([]expander.Option{option("a", 2, pods(3, "2", "8Gi"))}, map[string]*framework.NodeInfo{"a": info})[0]
	want := (Size{CPUMillis: 6000, MemoryBytes: 24 * gib})
	assert.Truef(t, got.Offered == want && got.Score == 0, "offered %+v, score %v, want %+v, full", got.Offered, got.Score, want)
}

func TestMorePodsWinAtEqualWaste(t *testing.T) {
	large, small := pod("3", "3Gi"), pod("1", "1Gi")
	templates := map[string]*framework.NodeInfo{"a": template("4", "4Gi"), "b": template("4", "4Gi"), "8": template("8", "8Gi"), "16": template("16", "16Gi")}
	for _, tt := range []struct {
		name    string
		options []expander.Option
		want    []string
	}{
		{"twice the nodes for twice the pods", []expander.Option{option("a", 1, pods(3, "1", "1Gi")), option("b", 2, pods(6, "1", "1Gi"))}, []string{"b"}},
		// Each pod leaves 1 CPU and 1 GiB idle. The share is a quarter for the large pod and a half for the small ones.
		{"small pods on a large node", []expander.Option{option("a", 1, []*apiv1.Pod{large}), option("8", 1, []*apiv1.Pod{small, small, small, small})}, []string{"8"}},
		{"more waste for each is worse", []expander.Option{option("a", 1, []*apiv1.Pod{large}), option("16", 1, []*apiv1.Pod{small, small, small, small})}, []string{"a"}},
		{"nothing placed", []expander.Option{option("a", 1, nil), option("16", 1, []*apiv1.Pod{small})}, []string{"16"}},
	} {
		assert.Emptyf(t, cmp.Diff(tt.want, ids((&Filter{}).BestOptions(tt.options, templates))),
			"%s: best options of %v (-want +got)", tt.name, (&Filter{}).Explain(tt.options, templates))
	}
}

// The three types have the same CPU and memory by EC2. Kubelets measure and reserve a little differently on each, so the lowest
// score is chance. Before, it was g6.xlarge for the first pod, whatever it cost.
func TestNodesOfOneShapeShareTheFirstPlace(t *testing.T) {
	templates := map[string]*framework.NodeInfo{}
	for _, name := range []string{"g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g6.xlarge"} {
		facts, ok := instancetypes.Embedded().Lookup(name)
		require.Truef(t, ok, "%s is not in the catalogue", name)
		built, _ := nodetemplate.Build(nodetemplate.Input{Group: name, Region: "us-west-2", Zones: []string{"us-west-2a"},
			Members: []nodetemplate.Member{{Type: facts}}, AMIFamily: nodetemplate.AL2023})
		templates[name] = framework.NewNodeInfo(built.Node(name), nil)
	}
	for _, request := range [][2]string{{"500m", "1Gi"}, {"500m", "3Gi"}, {"3", "12Gi"}, {"3900m", "14Gi"}} {
		one := []*apiv1.Pod{asking(request[0], request[1], gpu, "1")}
		for _, order := range [][]string{{"g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g6.xlarge"}, {"g6.xlarge", "g5.xlarge", "g4dn.2xlarge", "g4dn.xlarge"}} {
			var options []expander.Option
			var want []string
			for _, name := range order {
				options = append(options, option(name, 1, one))
				if name != "g4dn.2xlarge" {
					want = append(want, name)
				}
			}
			assert.Emptyf(t, cmp.Diff(want, ids((&Filter{}).BestOptions(options, templates))),
				"pod of %v, best options of %v (-want +got)", request, (&Filter{}).Explain(options, templates))
		}
	}
}

func TestVerdictsIgnoreOrderOfOptions(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for round := range 2000 {
		var given []Explanation
		for i := range 1 + random.IntN(6) {
			nodes, pods := int64(1+random.IntN(3)), random.IntN(5)
			offered := Size{nodes * int64(1000*(1+random.IntN(4))), nodes * int64(1+random.IntN(4)) << 30, nodes * int64(random.IntN(3))}
			used := Size{min(offered.CPUMillis, int64(pods*500)), min(offered.MemoryBytes, int64(pods)<<29), min(offered.Accelerators, int64(random.IntN(3)))}
			given = append(given, Explanation{NodeGroup: strconv.Itoa(i), Nodes: int(nodes), Pods: pods, Used: used, Offered: offered,
				Score: Score(used, offered)})
		}
		shuffled := slices.Clone(given)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		judge(given)
		judge(shuffled)
		slices.SortFunc(shuffled, func(a, b Explanation) int { return strings.Compare(a.NodeGroup, b.NodeGroup) })
		require.Emptyf(t, cmp.Diff(given, shuffled), "round %d (-in order +shuffled)", round)
	}
}

func TestEachVerdictSaysWhy(t *testing.T) {
	templates := map[string]*framework.NodeInfo{"small": template("4", "8Gi"), "large": template("64", "256Gi"), "gpu": with(template("4", "8Gi"), gpu, "1")}
	options := []expander.Option{option("small", 1, pods(3, "1", "2Gi")), option("large", 1, pods(3, "1", "2Gi")), option("gpu", 1, pods(3, "1", "2Gi")), option("small", 2, pods(6, "1", "2Gi"))}
	want := []string{
		"small: 1 node(s) for 3 pod(s) leave 0.250 of CPU, 0.250 of memory idle, score 0.250: fewer pods",
		"large: 1 node(s) for 3 pod(s) leave 0.953 of CPU, 0.977 of memory idle, score 0.965: wastes more",
		"gpu: 1 node(s) for 3 pod(s) leave 0.250 of CPU, 0.250 of memory, 1.000 of nvidia.com/gpu idle, score 0.500: accelerators that no pod asks for",
		"small: 2 node(s) for 6 pod(s) leave 0.250 of CPU, 0.250 of memory idle, score 0.250: chosen",
	}
	var got []string
	for _, e := range (&Filter{}).Explain(options, templates) {
		got = append(got, e.String())
	}
	assert.Empty(t, cmp.Diff(want, got), "explanations (-want +got)")
	f := &Filter{}
	best := f.BestOptions(options, templates)
	words := f.Words()
	assert.Truef(t, len(best) == 1 && words["small"].String() == want[3] && words["unknown"] == nil,
		"best options = %+v because of %q, want the last", best, words["small"])
}
