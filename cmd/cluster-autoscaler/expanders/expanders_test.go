package expanders

import (
	"slices"
	"strings"
	"testing"
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

type group struct {
	cloudprovider.NodeGroup
	id string
}

func (g *group) Id() string { return g.id }

func (g *group) GetOptions(defaults config.NodeGroupAutoscalingOptions) (*config.NodeGroupAutoscalingOptions, error) {
	return &defaults, nil
}

type unpriced struct{ cloudprovider.CloudProvider }

func (unpriced) Pricing() (cloudprovider.PricingModel, errors.AutoscalerError) {
	return nil, errors.NewAutoscalerError(errors.ConfigurationError, "no price list")
}

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
func options() ([]expander.Option, map[string]*framework.NodeInfo) {
	two := []*apiv1.Pod{pod(), pod()}
	two[1].Spec.NodeSelector = map[string]string{"size": "large"}
	one := two[:1]
	return []expander.Option{
			{NodeGroup: &group{id: "large"}, NodeCount: 1, Pods: two},
			{NodeGroup: &group{id: "b"}, NodeCount: 1, Pods: one},
			{NodeGroup: &group{id: "a"}, NodeCount: 1, Pods: one},
		}, map[string]*framework.NodeInfo{
			"large": template("16", "64Gi"), "a": template("2", "4Gi"), "b": template("2", "4Gi"),
		}
}

func TestTheChainDecidesAndNamesBreakTies(t *testing.T) {
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
			strategy, err := New(Config{Names: tt.names, Provider: unpriced{}, Costs: costs, LeastCost: leastcost.New(costs, nil, time.Minute, clock.RealClock{})})
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				list, templates := options()
				if got := strategy.BestOption(list, templates); got == nil || got.NodeGroup.Id() != tt.want {
					t.Fatalf("best option = %+v, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestNoOptionIsChosenFromNone(t *testing.T) {
	strategy, err := New(Config{Names: "least-waste"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strategy.BestOption(nil, nil); got != nil {
		t.Errorf("best option = %+v, want none", got)
	}
	list, _ := options()
	if got := strategy.BestOption(list, nil); got != nil {
		t.Errorf("best option without templates = %+v, want none", got)
	}
}

func TestAChainThatCannotWorkIsRefused(t *testing.T) {
	for _, tt := range []struct{ names, want string }{
		{"", `expander "" is unknown: use one of grpc, least-cost, least-nodes, least-waste, least-waste-stock, most-pods, price, priority, random`},
		{"cheapest", `expander "cheapest" is unknown`},
		{"least-waste,least-waste", "multiple times"},
		{"random,least-waste", "came after"},
		{"by-name,", `expander "by-name" is unknown`},
		{"by-price,", `expander "by-price" is unknown`},
		{"least-waste,price", "no price list"},
		{"least-cost", `expander "least-cost" needs prices`},
	} {
		t.Run(tt.names, func(t *testing.T) {
			_, err := New(Config{Names: tt.names, Provider: unpriced{}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestAnEventSaysWhyAnOptionWasChosen(t *testing.T) {
	var events []string
	strategy, err := New(Config{Names: "least-waste", Event: func(eventType, reason, message string) {
		events = append(events, eventType+" "+reason+": "+message)
	}})
	if err != nil {
		t.Fatal(err)
	}
	list, templates := options()
	strategy.BestOption(list, templates)
	strategy.BestOption(nil, nil)
	want := []string{`Normal ScaleUpOptionChosen: node group "a", of 3 options: least-waste: a: 1 node(s) for 1 pod(s) leave 0.500 of CPU, ` +
		"0.750 of memory idle, score 0.625: chosen"}
	if !slices.Equal(events, want) {
		t.Errorf("events = %q, want %q", events, want)
	}
}

func TestNamesAreSorted(t *testing.T) {
	if !slices.IsSorted(Names) {
		t.Errorf("names = %q", Names)
	}
}
