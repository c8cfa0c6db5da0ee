package aws

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/stretchr/testify/require"
)

var _ cloudprovider.PricingModel = (*Model)(nil)

// cluster has the groups by name.
type cluster map[string]*group.Group

// newModel makes the Model of a Provider whose view has the groups.
func newModel(groups cluster, prices *pricing.Book) *Model {
	p := &Provider{types: lookup.NewTypes(nil, instancetypes.Embedded(), clock.RealClock{})}
	p.view.Store(&View{groups: groups, basis: basis{snapshot: &group.Snapshot{}}})
	return &Model{provider: p, prices: prices}
}

func (c cluster) add(name, instanceType string, spot bool) {
	c[name] = &group.Group{Name: name, Source: launchspec.Source{CapacityUnit: "units"},
		LaunchSpec: &launchspec.LaunchSpec{Spot: spot, Types: []launchspec.Type{{Name: instanceType, Weight: 1}}}}
}

// node is one of the group, with what its instance type has.
func node(t *testing.T, group, instanceType string) *corev1.Node {
	t.Helper()
	facts, ok := instancetypes.Embedded().Lookup(instanceType)
	require.Truef(t, ok, "%s is not in the catalogue", instanceType)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(facts.VCPU), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(facts.MemoryBytes, resource.BinarySI),
	}
	for name, count := range facts.Accelerators() {
		capacity[corev1.ResourceName(name)] = *resource.NewQuantity(int64(count), resource.DecimalSI)
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: group, Labels: map[string]string{corev1.LabelInstanceTypeStable: instanceType}},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity}}
	nodemeta.NodeGroup.Set(n, group)
	return n
}

func pod(requests ...string) *corev1.Pod {
	list := corev1.ResourceList{}
	for i := 0; i < len(requests); i += 2 {
		list[corev1.ResourceName(requests[i])] = resource.MustParse(requests[i+1])
	}
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: list}}}}}
}

var start = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func TestNoKnownGroupIsWithoutAPrice(t *testing.T) {
	groups := cluster{"unread": {Name: "unread"}}
	groups.add("known", "m5.large", false)
	groups.add("unknown-type", "zz9.xlarge", false)
	groups.add("unknown-type-spot", "zz9.xlarge", true)
	for _, region := range []string{"us-east-1", "cn-north-1", "us-gov-east-1", "eu-west-3", "us-iso-east-1"} {
		m := newModel(groups, pricing.NewBook(region, time.Time{}))
		for name := range groups {
			got, err := m.NodePrice(node(t, name, "m5.large"), start, start.Add(time.Hour))
			assert.Truef(t, err == nil && (got > 0) && !math.IsInf(got, 0), "%s: NodePrice(%s) = %v, %v, want a price", region, name, got, err)
			amount, ok := m.NodeCost(name, node(t, name, "m5.large"), 3)
			assert.Truef(t, ok && amount.PerHour >= 2.9*got && amount.Currency != "",
				"%s: NodeCost(%s, 3) = %v, %v, want three times %v", region, name, amount, ok, got)
		}
		foreign := node(t, "foreign", "c5.large")
		got, err := m.NodePrice(foreign, start, start.Add(time.Hour))
		assert.Truef(t, err == nil && got > 0, "%s: NodePrice() of a node of no group = %v, %v, want a price", region, got, err)
		amount, ok := m.NodeCost("foreign", foreign, 1)
		assert.Falsef(t, ok, "%s: NodeCost() of no group = %v, want none", region, amount)
	}
}

// Its node says more than its resources do: a GPU of unknown model counts as the cheapest.
func TestAGroupThatCannotBeReadIsPricedByTheTypeOfItsNode(t *testing.T) {
	mixed := launchspec.Source{Mixed: true, OnDemandBase: 1, CapacityUnit: "units"}
	groups := cluster{"unread": {Name: "unread"}, "mixed": {Name: "mixed", Source: mixed, DesiredCapacity: 1}}
	groups.add("unknown-type", "zz9.xlarge", false)
	groups.add("read", "m5.large", false)
	book := pricing.NewBook("us-east-1", time.Time{})
	m, p4d := newModel(groups, book), node(t, "foreign", "p4d.24xlarge")
	onDemand, _ := book.OnDemand("p4d.24xlarge")
	spot, _ := book.Spot("p4d.24xlarge", nil)
	for group, want := range map[string]pricing.Price{"unread": onDemand, "mixed": spot, "unknown-type": onDemand} {
		for _, label := range []string{corev1.LabelInstanceTypeStable, corev1.LabelInstanceType} {
			p4d.Labels = map[string]string{label: "p4d.24xlarge"}
			got, ok := m.NodeCost(group, p4d, 2)
			assert.Truef(t, ok && math.Abs(got.PerHour-2*want.Amount.PerHour) <= 1e-9 && got.Estimated,
				"NodeCost(%s, 2) by %s = %v, %v, want about twice %v", group, label, got, ok, want.Amount)
		}
		p4d.Labels = map[string]string{corev1.LabelInstanceTypeStable: "zz9.xlarge"}
		got, ok := m.NodeCost(group, p4d, 2)
		assert.Truef(t, ok && got.PerHour < 2*want.Amount.PerHour && got.Estimated, "NodeCost(%s, 2) by resources = %v, %v", group, got, ok)
	}
	got, _ := m.NodeCost("read", p4d, 1)
	assert.InDelta(t, 0.096, got.PerHour, 1e-9, "a group whose types are known")
}

// A file without prices states the currency of a partition that has no list.
func TestNothingHasAPriceWithoutAnyOfTheCurrency(t *testing.T) {
	terms, err := pricing.ParseTerms("# region: eusc-de-east-1\n# currency: EUR\n# date: 2026-11-01\n# source: our contract\n# discount: all 8%\n", nil)
	require.NoError(t, err)
	book := pricing.NewBook("eusc-de-east-1", time.Time{})
	require.NoError(t, book.SetTerms(terms))
	groups := cluster{"unread": {Name: "unread"}}
	groups.add("known", "m5.large", false)
	for name := range groups {
		amount, ok := newModel(groups, book).NodeCost(name, node(t, name, "m5.large"), 3)
		assert.Falsef(t, ok, "NodeCost(%s) = %v, want none", name, amount)
	}
}

func TestPricesAreForTheTimeAskedFor(t *testing.T) {
	groups := cluster{}
	groups.add("web", "m5.large", false)
	m := newModel(groups, pricing.NewBook("us-east-1", time.Time{}))
	for _, tt := range []struct {
		time time.Duration
		want float64
	}{{time.Hour, 0.096}, {90 * time.Minute, 0.144}, {0, 0}, {-time.Hour, 0}} {
		got, err := m.NodePrice(node(t, "web", "m5.large"), start, start.Add(tt.time))
		assert.Truef(t, err == nil && math.Abs(got-tt.want) <= 1e-9, "NodePrice() over %v = %v, %v, want %v", tt.time, got, err, tt.want)
	}
}

func TestPodsArePricedWithTheirAccelerators(t *testing.T) {
	m := newModel(cluster{}, pricing.NewBook("us-east-1", time.Time{}))
	price := func(requests ...string) float64 {
		got, err := m.PodPrice(pod(requests...), start, start.Add(time.Hour))
		assert.Truef(t, err == nil && got >= 0, "PodPrice(%v) = %v, %v", requests, got, err)
		return got
	}
	small, large := price("cpu", "1", "memory", "4Gi"), price("cpu", "2", "memory", "8Gi")
	assert.Truef(t, math.Abs(large-2*small) <= 1e-12 && small >= 0.03 && small <= 0.07,
		"1 CPU with 4 GiB costs %v, twice that %v, want half an m5.large (0.048) and its double", small, large)
	for _, accelerator := range []string{"nvidia.com/gpu", "aws.amazon.com/neuron", "habana.ai/gaudi", "nvidia.com/mig-1g.5gb"} {
		with := price("cpu", "1", "memory", "4Gi", accelerator, "1")
		assert.Truef(t, with >= small+0.05, "with %s it costs %v, without %v, want more", accelerator, with, small)
	}
	assert.EqualValues(t, 0, price(), "a pod that asks for nothing costs")
}

func TestThePricerIsNewWhenPricesAre(t *testing.T) {
	book := pricing.NewBook("us-east-1", time.Time{})
	m := newModel(cluster{}, book)
	before := m.Pricer()
	assert.True(t, m.Pricer() == before, "another pricer without need")
	book.SetSpot([]pricing.SpotQuote{{InstanceType: "m5.large", Zone: "us-east-1a", PerHour: 0.01, ReadAt: start}})
	assert.True(t, m.Pricer() != before, "the pricer of before the new spot prices")
}
