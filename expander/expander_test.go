package expander

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type group struct {
	cloudprovider.NodeGroup
	id   string
	size int
}

func (g *group) Id() string { return g.id }

func (g *group) TargetSize() (int, error) { return g.size, nil }

func (*group) Exist() bool { return true }

func (g *group) GetOptions(defaults config.NodeGroupAutoscalingOptions) (*config.NodeGroupAutoscalingOptions, error) {
	return &defaults, nil
}

type unpriced struct{ cloudprovider.CloudProvider }

// priced is a provider where all nodes and pods cost the same.
type priced struct{ cloudprovider.CloudProvider }

func (p priced) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) { return p, nil }
func (priced) NodePrice(*apiv1.Node, time.Time, time.Time) (float64, error)    { return 1, nil }
func (priced) PodPrice(*apiv1.Pod, time.Time, time.Time) (float64, error)      { return 1, nil }
func (priced) GPULabel() string                                                { return "gpu" }

// flat costs the same per node of a group, whatever its template.
type flat map[string]float64

func (f flat) NodeCost(group string, _ *apiv1.Node, count int) (pricing.Amount, bool) {
	perHour, ok := f[group]
	return pricing.Amount{PerHour: perHour * float64(count), Currency: "USD"}, ok
}

func template(cpu, memory string) *framework.NodeInfo {
	list := apiv1.ResourceList{
		apiv1.ResourceCPU:    resource.MustParse(cpu),
		apiv1.ResourceMemory: resource.MustParse(memory),
		apiv1.ResourcePods:   resource.MustParse("110"),
	}
	return framework.NewNodeInfo(&apiv1.Node{Status: apiv1.NodeStatus{Capacity: list, Allocatable: list}}, nil)
}

func pod() *apiv1.Pod {
	return &apiv1.Pod{Spec: apiv1.PodSpec{Containers: []apiv1.Container{{Resources: apiv1.ResourceRequirements{
		Requests: apiv1.ResourceList{apiv1.ResourceCPU: resource.MustParse("1"), apiv1.ResourceMemory: resource.MustParse("1Gi")},
	}}}}}
}

// Three groups: b and a waste the same, large wastes more and takes more pods, one of which selects it.
func options() ([]coreexpander.Option, map[string]*framework.NodeInfo) {
	two := []*apiv1.Pod{pod(), pod()}
	two[1].Spec.NodeSelector = map[string]string{"size": "large"}
	one := two[:1]
	return []coreexpander.Option{
			{NodeGroup: &group{id: "large"}, NodeCount: 1, Pods: two},
			{NodeGroup: &group{id: "b"}, NodeCount: 1, Pods: one},
			{NodeGroup: &group{id: "a"}, NodeCount: 1, Pods: one},
		}, map[string]*framework.NodeInfo{
			"large": template("16", "64Gi"), "a": template("2", "4Gi"), "b": template("2", "4Gi"),
		}
}

func ids(options []coreexpander.Option) (list []string) {
	for _, o := range options {
		list = append(list, o.NodeGroup.Id())
	}
	return list
}

// parsed is New with the names of a flag.
func parsed(flag string, config Config) (*Chain, error) {
	names, err := Parse(flag)
	if err != nil {
		return nil, err
	}
	return New(names, config), nil
}

func TestChainDecidesAndNamesBreakTies(t *testing.T) {
	for _, tt := range []struct{ names, want string }{
		{"least-waste", "a"},
		{"most-pods", "large"},
		{"least-nodes", "a"},
		{"least-nodes,most-pods", "large"},
		{"least-nodes,least-waste", "a"},
		{"least-waste, most-pods", "a"},
		{"least-waste-stock", "a"},
		{"least-cost", "large"}, // for one of the pods it is needed anyway
		{"most-pods,least-cost,least-waste", "large"},
		{"least-cost,random", "large"},
		{"most-pods,random", "large"},
	} {
		t.Run(tt.names, func(t *testing.T) {
			costs := flat{"a": 1, "b": 2, "large": 9}
			strategy, err := parsed(tt.names, Config{Provider: unpriced{}, Costs: costs, LeastCost: leastcost.New(costs, nil, nil, time.Minute, clock.RealClock{})})
			require.NoError(t, err)
			for range 20 {
				list, templates := options()
				got := strategy.BestOption(list, templates)
				require.Truef(t, got != nil && got.NodeGroup.Id() == tt.want, "best option = %+v, want %q", got, tt.want)
			}
		})
	}
}

// An expander before least-cost decides the second scale-up alone. The nodes of the first plan are not those of its choice.
func TestPlanEndsWhereAnotherExpanderChooses(t *testing.T) {
	costs := flat{"a": 1, "b": 2, "large": 9}
	planner := leastcost.New(costs, nil, nil, time.Minute, clock.RealClock{})
	strategy, err := parsed("most-pods,least-cost", Config{Provider: unpriced{}, Costs: costs, LeastCost: planner})
	require.NoError(t, err)
	list, templates := options()
	strategy.BestOption(list[1:], templates) // of equally many pods
	chosen, _ := planner.Plan()
	require.Len(t, chosen, 1, "nodes of the plan")
	got := strategy.BestOption(list, templates)
	chosen, later := planner.Plan()
	assert.Truef(t, got.NodeGroup.Id() == "large" && len(chosen)+len(later) == 0, "group %q, and %d nodes of a plan, want large and none",
		got.NodeGroup.Id(), len(chosen)+len(later))
}

func TestAnyExpanderLeavesNodesToBeBalanced(t *testing.T) {
	for _, names := range []string{"least-waste", "least-nodes,price", "most-pods,least-waste-stock", "least-cost,price", "price"} {
		costs := flat{"a": 1, "b": 1, "c": 1}
		lister := kubeutil.NewTestNodeLister(nil)
		chain, err := parsed(names, Config{Provider: priced{}, Costs: costs, LeastCost: leastcost.New(costs, nil, nil, time.Minute, clock.RealClock{}),
			Clients: &cacontext.AutoscalingKubeClients{ListerRegistry: kubeutil.NewListerRegistry(lister, lister, nil, nil, nil, nil, nil, nil, nil)}})
		require.NoError(t, err)
		list := offer("a", "b", "c")
		for i := range list {
			list[i].SimilarNodeGroups = []cloudprovider.NodeGroup{&group{id: "a"}, &group{id: "b"}, &group{id: "c"}}
		}
		balances := func(pods ...*apiv1.Pod) bool {
			for i := range list {
				list[i].Pods = pods
			}
			templates := map[string]*framework.NodeInfo{"a": typed("a"), "b": typed("b"), "c": typed("c")}
			chosen := chain.BestOption(slices.Clone(list), templates).NodeGroup.Id()
			return chain.Balances(chosen, "b") && chain.Balances(chosen, "c")
		}
		near := func(topologyKey string) *apiv1.Pod {
			p, labels := pod(), map[string]string{"app": "training"}
			p.Labels = labels
			terms := []apiv1.PodAffinityTerm{{LabelSelector: &metav1.LabelSelector{MatchLabels: labels}, TopologyKey: topologyKey}}
			p.Spec.Affinity = &apiv1.Affinity{PodAffinity: &apiv1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
			return p
		}
		assert.Truef(t, balances(pod()), "%s: other groups may not grow", names)
		assert.Truef(t, balances(near(apiv1.LabelTopologyZone)), "%s: other groups may not grow for one pod", names)
		assert.Truef(t, balances(near(apiv1.LabelHostname), near(apiv1.LabelHostname)), "%s: no other group may grow for pods of a node", names)
		assert.Falsef(t, balances(near(apiv1.LabelTopologyZone), near(apiv1.LabelTopologyZone)), "%s: groups of other zones grow", names)
	}
}

// mixed has costs of the first and of each further node, by the instance type in the template's label.
type mixed map[string][2]float64

func (m mixed) NodeCost(_ string, template *apiv1.Node, count int) (pricing.Amount, bool) {
	perHour, ok := m[template.Labels[apiv1.LabelInstanceTypeStable]]
	return pricing.Amount{PerHour: perHour[0] + perHour[1]*float64(count-1), Currency: "USD"}, ok
}

type pricedNext struct {
	priced
	costs mixed
}

func (p pricedNext) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) { return p, nil }

func (p pricedNext) NodePrice(node *apiv1.Node, _, _ time.Time) (float64, error) {
	cost, _ := p.costs.NodeCost("", node, 1)
	return cost.PerHour, nil
}

// The next node of a mixed group is on-demand or spot by its present size. A raise has both.
func TestPriceExpanderCountsAllNodesOfAMixedGroup(t *testing.T) {
	lister := kubeutil.NewTestNodeLister(nil)
	clients := &cacontext.AutoscalingKubeClients{ListerRegistry: kubeutil.NewListerRegistry(lister, lister, nil, nil, nil, nil, nil, nil, nil)}
	for _, tt := range []struct {
		name  string
		costs mixed
		nodes int
		want  string
	}{
		{name: "the next node is on-demand, the others are spot", costs: mixed{"mixed": {0.384, 0.1344}, "other": {0.344, 0.344}}, nodes: 10, want: "mixed"},
		{name: "the next node is spot, the others are on-demand", costs: mixed{"mixed": {0.1344, 0.384}, "other": {0.344, 0.344}}, nodes: 10, want: "other"},
		{name: "one node", costs: mixed{"mixed": {0.384, 0.1344}, "other": {0.344, 0.344}}, nodes: 1, want: "other"},
		{name: "cost not known", costs: mixed{"other": {0.344, 0.344}}, nodes: 10, want: "mixed"}, // as the provider says
	} {
		t.Run(tt.name, func(t *testing.T) {
			chain, err := parsed("price", Config{Provider: pricedNext{costs: tt.costs}, Costs: tt.costs, Clients: clients})
			require.NoError(t, err)
			list := offer("mixed", "other")
			list[0].NodeCount, list[1].NodeCount = tt.nodes, tt.nodes
			got := chain.BestOption(list, map[string]*framework.NodeInfo{"mixed": typed("mixed"), "other": typed("other")})
			assert.Truef(t, got != nil && got.NodeGroup.Id() == tt.want, "best option = %+v, want %s", got, tt.want)
		})
	}
}

func TestNoOptionIsChosenFromNone(t *testing.T) {
	strategy, err := parsed("least-waste", Config{})
	require.NoError(t, err)
	got := strategy.BestOption(nil, nil)
	assert.Truef(t, got == nil, "best option = %+v, want none", got)
	list, _ := options()
	got = strategy.BestOption(list, nil)
	assert.Truef(t, got == nil, "best option without templates = %+v, want none", got)
}

func TestUnworkableChainIsRefused(t *testing.T) {
	for _, tt := range []struct{ names, want string }{
		{"", `expander "" is unknown: use one of grpc, least-cost, least-nodes, least-waste, least-waste-stock, most-pods, price, priority, random`},
		{"cheapest", `expander "cheapest" is unknown`},
		{"least-waste,least-waste", "multiple times"},
		{"random,least-waste", "came after"},
		{"first by name", `expander "first by name" is unknown`},
	} {
		t.Run(tt.names, func(t *testing.T) {
			_, err := Parse(tt.names)
			assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "Parse = %v, want an error with %q", err, tt.want)
		})
	}
}

func TestEventAndLogSayWhyOptionWasChosen(t *testing.T) {
	for _, tt := range []struct {
		name        string
		interrupted []string
		want        string // why
		group       string
	}{
		{name: "three options", group: "a", want: "least-waste: a: 1 node(s) for 1 pod(s) leave 0.500 of CPU, 0.750 of memory idle, score 0.625: chosen"},
		{name: "one option left by interruptions", interrupted: []string{"a", "b"}, group: "large",
			want: "least-waste: large: 1 node(s) for 2 pod(s) leave 0.875 of CPU, 0.969 of memory idle, score 0.922: chosen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := captureLog(t)
			var events []string
			strategy, err := parsed("least-waste", Config{
				Interrupted: func(id string) bool { return slices.Contains(tt.interrupted, id) },
				Event: func(eventType, reason, message string) {
					events = append(events, eventType+" "+reason+": "+message)
				},
			})
			require.NoError(t, err)
			list, templates := options()
			strategy.BestOption(list, templates)
			strategy.BestOption(nil, nil)
			want := []string{fmt.Sprintf("Normal ScaleUpOptionChosen: node group %q, of 3 options: %s", tt.group, tt.want)}
			assert.Truef(t, slices.Equal(events, want), "events = %q, want %q", events, want)
			klog.Flush()
			line := fmt.Sprintf("why=%q", tt.want)
			assert.Containsf(t, log.String(), line, "the log has no %s:\n%s", line, log)
		})
	}
}

// captureLog returns the log of V(2) as the test goes on.
func captureLog(t *testing.T) *bytes.Buffer {
	t.Helper()
	t.Cleanup(klog.CaptureState().Restore)
	var flags flag.FlagSet
	klog.InitFlags(&flags)
	require.NoError(t, flags.Parse([]string{"-v=2", "-logtostderr=false", "-alsologtostderr=false", "-stderrthreshold=FATAL"}))
	log := &bytes.Buffer{}
	klog.SetOutput(log)
	return log
}
