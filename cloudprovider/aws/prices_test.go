package aws_test

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestNodeHasThePriceOfItsGroup(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil), awsworld.Group("web", "m5.large", 0, 0, 5, nil))
	w.waitWhile("no instance in gpu", func() bool { return len(w.View().AutoScalingGroup("gpu").Instances) == 0 })
	prices, err := w.Pricing()
	require.NoError(t, err)
	member := w.View().AutoScalingGroup("gpu").Instances[0]
	templateOf := func(id string) *corev1.Node {
		info, err := w.NodeGroup(id).TemplateNodeInfo()
		require.NoError(t, err)
		nodemeta.NodeGroup.Set(info.Node(), id)
		return info.Node()
	}
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	gpu, web := templateOf("gpu"), templateOf("web")
	for _, tt := range []struct {
		name string
		node *corev1.Node
		like string // the type whose list price it has
	}{
		{"the template of a group with GPUs", gpu, "g4dn.xlarge"},
		{"the template of a group without instances", web, "m5.large"},
		{"an instance without labels", &corev1.Node{Spec: corev1.NodeSpec{ProviderID: nodemeta.ProviderID(member.Zone, member.ID)}}, "g4dn.xlarge"},
		{"a name that only looks like a group's", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "template-of-gpu",
			Labels: map[string]string{corev1.LabelInstanceTypeStable: "c5.large"}}}, "c5.large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			price, ok := pricing.Embedded("cn-north-1").Lookup(tt.like)
			require.Truef(t, ok, "%s has no price", tt.like)
			got, err := prices.NodePrice(tt.node, start, start.Add(2*time.Hour))
			assert.Truef(t, err == nil && math.Abs(got-2*price.Amount.PerHour) <= 1e-9,
				"NodePrice() over two hours = %v, %v, want %v", got, err, 2*price.Amount.PerHour)
		})
	}
}

func TestSpendIsShownUntilTheGroupIsDeleted(t *testing.T) {
	mixed := fakeaws.AutoScalingGroup{Name: "mixed", Min: 0, Max: 5, Desired: 3, Zones: []string{"cn-northwest-1a"},
		Tags: map[string]string{awsworld.EnabledTag: "true"},
		MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large"},
			Overrides:    []fakeaws.Override{{InstanceType: "m5.large"}},
			Distribution: fakeaws.Distribution{OnDemandBaseCapacity: 1, OnDemandPercentageAboveBaseCapacity: new(int)}}}
	w := newWorld(t, nil, mixed, awsworld.Group("idle", "g4dn.xlarge", 0, 0, 5, nil))
	const each = 1.013 // of m5.large in cn-north-1, which stands in for the region
	price, _ := pricing.Embedded("cn-north-1").Lookup("m5.large")
	require.Truef(t, price.Amount.PerHour == each, "m5.large costs %v", price.Amount)
	w.Eventually(func() string {
		return w.differs(`
# HELP asg_autoscaler_spend_per_hour What the instances of a node group cost per hour, by capacity type, in the currency of the label. Estimates included.
# TYPE asg_autoscaler_spend_per_hour gauge
asg_autoscaler_spend_per_hour{capacity_type="on-demand",currency="CNY",node_group="idle"} 0
asg_autoscaler_spend_per_hour{capacity_type="on-demand",currency="CNY",node_group="mixed"} 1.013
asg_autoscaler_spend_per_hour{capacity_type="spot",currency="CNY",node_group="mixed"} 0.7091
`, "asg_autoscaler_spend_per_hour")
	})
	if wrong := w.differs(`
# HELP asg_autoscaler_spend_estimated_per_hour How much of the spend of a node group is estimated, for want of a price or of knowing which instances are spot.
# TYPE asg_autoscaler_spend_estimated_per_hour gauge
asg_autoscaler_spend_estimated_per_hour{capacity_type="on-demand",currency="CNY",node_group="idle"} 0
asg_autoscaler_spend_estimated_per_hour{capacity_type="on-demand",currency="CNY",node_group="mixed"} 1.013
asg_autoscaler_spend_estimated_per_hour{capacity_type="spot",currency="CNY",node_group="mixed"} 0.7091
`, "asg_autoscaler_spend_estimated_per_hour"); wrong != "" {
		t.Error(wrong)
	}
}

func TestTheSeriesOfAGroupThatIsGoneVanish(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil))
	names := []string{"asg_autoscaler_spend_per_hour", "asg_autoscaler_spend_estimated_per_hour"}
	for _, name := range names {
		count, err := testutil.GatherAndCount(w.Metrics, name)
		assert.Truef(t, err == nil && count == 1, "%d series of %s, %v, want 1", count, name, err)
	}
	require.NoError(t, w.AWS.DeleteGroup("web"))
	w.Reread()
	assert.Equal(t, "", w.differs("", names...))
}

func TestSpendIsComputedWhenGroupsOrPricesChange(t *testing.T) {
	book := pricing.NewBook("cn-northwest-1", time.Time{})
	w := newAWS(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)).restartedWith(func(o *asg.Options, p *aws.Options) {
		idle(o)
		p.Prices = book
	})
	spent := func() float64 {
		s := w.Spending()
		return s.ByGroup["web"].PerHour
	}
	s := w.Spending()
	s.ByGroup["web"] = pricing.Amount{PerHour: 99}
	w.NextLoop()
	assert.EqualValues(t, 99, spent(), "spend, computed again though nothing changed")
	book.SetSpot(nil) // new prices
	w.NextLoop()
	assert.EqualValues(t, 0, spent(), "spend after prices changed, want 0 again")
}
