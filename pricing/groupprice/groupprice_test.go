package groupprice

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// market is the book of a price file. Its spot prices are a tenth of the on-demand prices, but for m5.large in two zones.
func market(t *testing.T) *pricing.Book {
	lines := "instance_type,price_per_hour,capacity_type,zone\nm5.large,0.03,spot,us-east-1a\nm5.large,0.05,spot,us-east-1b\n"
	for name, perHour := range map[string]float64{"m5.large": 0.1, "m5.xlarge": 0.2, "m5a.xlarge": 0.15, "m6g.xlarge": 0.05, "c5.large": 0.08,
		"m5.4xlarge": 0.8, "a1.large": 0.04, "g4dn.xlarge": 0.4, "u7i-12tb.224xlarge": 150} {
		lines += fmt.Sprintf("%s,%v,,\n%s,%v,spot,\n", name, perHour, name, perHour/10)
	}
	return contract(t, "us-east-1", lines)
}

func priceOf(name string, perHour float64) pricing.Price {
	return pricing.Price{InstanceType: name, Amount: pricing.Amount{PerHour: perHour, Currency: "USD"}}
}

func usd(perHour float64) pricing.Amount { return pricing.Amount{PerHour: perHour, Currency: "USD"} }

// launching makes the Launch of a group: types, each with a weight after a colon if it is not 1.
func launching(names ...string) *launchspec.LaunchSpec {
	l := &launchspec.LaunchSpec{}
	for _, name := range names {
		t := launchspec.Type{Name: name, Weight: 1}
		if _, err := fmt.Sscanf(name, "%d*%s", &t.Weight, &t.Name); err != nil {
			t.Weight, t.Name = 1, name
		}
		l.Types = append(l.Types, t)
	}
	return l
}

func mixed(base, percentage int) launchspec.Source {
	return launchspec.Source{Mixed: true, OnDemandBase: base, OnDemandPercentageAboveBase: percentage, CapacityUnit: "units"}
}

var approximately = cmpopts.EquateApprox(0, 1e-9)

// The rows with a base of 10 and 50 % are the example of the EC2 Auto Scaling user guide ("Instances distribution").
func TestSplitFillsOnDemandBaseFirst(t *testing.T) {
	for _, tt := range []struct{ base, percentage, capacity, want int }{
		{10, 50, 10, 10}, {10, 50, 20, 15}, {10, 50, 30, 20}, {10, 50, 40, 25},
		{12, 0, 10, 10}, {12, 0, 20, 12}, {12, 0, 40, 12},
		{0, 100, 10, 10}, {0, 0, 10, 0},
		{12, 100, 40, 40},
		{2, 25, 3, 3}, {2, 25, 4, 3}, {2, 25, 6, 3}, {2, 25, 7, 4}, // fractions in favour of on-demand
		{0, 1, 1, 1}, {0, 1, 100, 1}, {0, 1, 101, 2},
		{-1, 50, 2, 1}, {0, 500, 4, 4}, {0, -5, 4, 0}, {5, 50, -3, 0}, // AWS would not accept these
	} {
		assert.Equalf(t, tt.want, onDemandUnits(mixed(tt.base, tt.percentage), tt.capacity),
			"base %d, %d %%, capacity %d: on-demand", tt.base, tt.percentage, tt.capacity)
	}
}

func TestNextIsTheMixOfTheNextInstances(t *testing.T) {
	const od, spot = awsmessage.OnDemand, awsmessage.Spot
	withStrategies := func(s launchspec.Source, onDemand, spot string, pools int) launchspec.Source {
		s.OnDemandStrategy, s.SpotStrategy, s.SpotPools = onDemand, spot, pools
		return s
	}
	found := func(search *ec2types.InstanceRequirementsRequest, names ...string) *launchspec.LaunchSpec {
		l := launching(names...)
		for at := range l.Types {
			l.Types[at].Search = search
		}
		return l
	}
	search, percent := &ec2types.InstanceRequirementsRequest{}, aws.Int32
	byCapacity, tomorrow := withStrategies(mixed(0, 0), "", "capacity-optimized", 0), withStrategies(mixed(0, 100), "quantum", "", 0)
	two := found(search, "m5.xlarge", "u7i-12tb.224xlarge")
	two.Types = append(two.Types, found(&ec2types.InstanceRequirementsRequest{}, "m6g.xlarge").Types...)
	inOrder := mixed(0, 100)
	inOrder.Overrides = []launchspec.Override{{InstanceType: "m5.xlarge", Weight: 1}, {InstanceType: "m5a.xlarge", Weight: 1}}
	heavy := mixed(0, 0)
	heavy.Overrides = []launchspec.Override{{Weight: 2}, {Weight: 4}}
	weighted := mixed(2, 0)
	weighted.Overrides = []launchspec.Override{{Weight: 1}, {Weight: 2}}
	inCPUs := mixed(0, 0)
	inCPUs.CapacityUnit = "vcpu"
	part := func(capacityType string, count int, name string, perHour float64) Part {
		return Part{CapacityType: capacityType, Instances: count, Price: priceOf(name, perHour)}
	}
	for _, tt := range []struct {
		name   string
		source launchspec.Source
		launch *launchspec.LaunchSpec
		has, n int
		want   []Part
		sure   bool // nothing is estimated
	}{
		{name: "a launch template on-demand", launch: launching("m5.large"), n: 3, want: []Part{part(od, 3, "m5.large", 0.1)}, sure: true},
		{name: "a launch template that asks for spot", launch: &launchspec.LaunchSpec{Spot: true, Types: launching("m5.large").Types}, n: 2,
			want: []Part{part(spot, 2, "m5.large", 0.01)}, sure: true},
		{name: "across the base", source: mixed(2, 0), launch: launching("m5.large"), has: 1, n: 3,
			want: []Part{part(od, 1, "m5.large", 0.1), part(spot, 2, "m5.large", 0.01)}, sure: true},
		{name: "half above the base, where on-demand is ahead", source: mixed(10, 50), launch: launching("m5.large"), has: 11, n: 1,
			want: []Part{part(spot, 1, "m5.large", 0.01)}, sure: true},
		{name: "the first in order is the next on-demand", source: inOrder, launch: launching("m5.xlarge", "m5a.xlarge"), n: 1,
			want: []Part{part(od, 1, "m5.xlarge", 0.2)}, sure: true},
		{name: "the cheapest on-demand if so told", source: withStrategies(mixed(0, 100), "lowest-price", "", 0), launch: launching("m5.xlarge", "m5a.xlarge"),
			n: 1, want: []Part{part(od, 1, "m5a.xlarge", 0.15)}, sure: true},
		{name: "the cheapest on-demand where types are found by requirements, which know no order",
			source: withStrategies(mixed(0, 100), "prioritized", "", 0),
			launch: found(search, "m5.xlarge", "m5a.xlarge"), n: 1, want: []Part{part(od, 1, "m5a.xlarge", 0.15)}, sure: true},
		{name: "spot spreads over the two cheapest unless told otherwise", source: mixed(0, 0), launch: launching("m5.xlarge", "m5a.xlarge", "c5.large"), n: 4,
			want: []Part{part(spot, 2, "c5.large", 0.008), part(spot, 2, "m5a.xlarge", 0.015)}, sure: true},
		{name: "which of two pools is next is not known", source: mixed(0, 0), launch: launching("m5.xlarge", "c5.large"), n: 1,
			want: []Part{part(spot, 1, "c5.large", 0.008)}},
		{name: "one pool is the cheapest", source: withStrategies(mixed(0, 0), "", "lowest-price", 1), launch: launching("m5.xlarge", "c5.large"), n: 3,
			want: []Part{part(spot, 3, "c5.large", 0.008)}, sure: true},
		{name: "more pools than types", source: withStrategies(mixed(0, 0), "", "lowest-price", 20), launch: launching("m5.xlarge", "c5.large"), n: 2,
			want: []Part{part(spot, 1, "c5.large", 0.008), part(spot, 1, "m5.xlarge", 0.02)}, sure: true},
		{name: "by price and capacity it is probably the cheapest", source: withStrategies(mixed(0, 0), "", "price-capacity-optimized", 0),
			launch: launching("m5.xlarge", "c5.large"), n: 2, want: []Part{part(spot, 2, "c5.large", 0.008)}},
		{name: "by capacity it may be any", source: withStrategies(mixed(0, 0), "", "capacity-optimized", 0),
			launch: launching("m5.xlarge", "m5.large"), n: 2, want: []Part{part(spot, 2, "", 0.015)}},
		{name: "by capacity in order it is probably the first", source: withStrategies(mixed(0, 0), "", "capacity-optimized-prioritized", 0),
			launch: launching("m5.xlarge", "m5.large"), n: 2, want: []Part{part(spot, 2, "m5.xlarge", 0.02)}},
		{name: "a strategy of tomorrow may bring any", source: withStrategies(mixed(0, 0), "", "quantum", 0),
			launch: launching("m5.xlarge", "m5.large"), n: 1, want: []Part{part(spot, 1, "", 0.015)}},
		{name: "of one type a strategy leaves no doubt", source: withStrategies(mixed(0, 0), "", "capacity-optimized", 0),
			launch: launching("m5.large"), n: 2, want: []Part{part(spot, 2, "m5.large", 0.01)}, sure: true},
		{name: "weights count in units, and the base too", source: weighted, launch: launching("1*m5.large", "2*m5.xlarge"), has: 1, n: 5,
			want: []Part{part(od, 1, "m5.large", 0.1), part(spot, 2, "m5.large", 0.01), part(spot, 1, "m5.xlarge", 0.02)}, sure: true},
		{name: "one of two weights is one instance", source: heavy, launch: launching("2*m5.large", "4*m5.xlarge"), n: 1,
			want: []Part{part(spot, 1, "m5.large", 0.01)}},
		{name: "the pools share the instances", source: heavy, launch: launching("2*m5.large", "4*m5.xlarge"), n: 4,
			want: []Part{part(spot, 2, "m5.large", 0.01), part(spot, 1, "m5.xlarge", 0.02)}, sure: true},
		{name: "vCPUs are units", source: inCPUs, launch: launching("m5.xlarge"), n: 8, want: []Part{part(spot, 2, "m5.xlarge", 0.02)}, sure: true},
		{name: "AWS finds no type for twice the price of the cheapest usual one as spot", source: byCapacity,
			launch: found(search, "m5.large", "m5.xlarge", "u7i-12tb.224xlarge"), n: 1, want: []Part{part(spot, 1, "", 0.015)}},
		{name: "even if the cheapest is another", source: byCapacity, launch: found(search, "a1.large", "m5.xlarge", "g4dn.xlarge"), n: 1,
			want: []Part{part(spot, 1, "", (0.004+0.02+0.04)/3)}},
		{name: "and without a usual one for twice the price of the cheapest", source: byCapacity, launch: found(search, "a1.large", "g4dn.xlarge"), n: 1,
			want: []Part{part(spot, 1, "a1.large", 0.004)}, sure: true},
		{name: "nor on-demand for a fifth more", source: tomorrow, launch: found(search, "m5.xlarge", "m5a.xlarge", "u7i-12tb.224xlarge"), n: 1,
			want: []Part{part(od, 1, "m5a.xlarge", 0.15)}, sure: true},
		{name: "unless the group says for how much more", source: tomorrow, n: 1, want: []Part{part(od, 1, "", 0.175)},
			launch: found(&ec2types.InstanceRequirementsRequest{OnDemandMaxPricePercentageOverLowestPrice: percent(50)}, "m5.xlarge", "m5a.xlarge", "g4dn.xlarge")},
		{name: "also as spot", source: byCapacity, n: 1, want: []Part{part(spot, 1, "m5.large", 0.01)}, sure: true,
			launch: found(&ec2types.InstanceRequirementsRequest{SpotMaxPricePercentageOverLowestPrice: percent(0)}, "m5.large", "m5.xlarge")},
		{name: "also by on-demand prices", source: byCapacity, n: 1, want: []Part{part(spot, 1, "", 0.025)},
			launch: found(&ec2types.InstanceRequirementsRequest{MaxSpotPriceAsPercentageOfOptimalOnDemandPrice: percent(50)}, "m5.large", "g4dn.xlarge", "u7i-12tb.224xlarge")},
		{name: "even for the highest percentage", source: byCapacity, n: 1, want: []Part{part(spot, 1, "", 7.505)},
			launch: found(&ec2types.InstanceRequirementsRequest{SpotMaxPricePercentageOverLowestPrice: percent(math.MaxInt32)}, "m5.large", "u7i-12tb.224xlarge")},
		{name: "the cheapest stays", source: byCapacity, n: 1, want: []Part{part(spot, 1, "m5.large", 0.01)}, sure: true,
			launch: found(&ec2types.InstanceRequirementsRequest{MaxSpotPriceAsPercentageOfOptimalOnDemandPrice: percent(1)}, "m5.large", "g4dn.xlarge")},
		{name: "vCPUs are compared", source: withStrategies(inCPUs, "", "capacity-optimized", 0), launch: found(search, "m5.large", "m5.4xlarge", "u7i-12tb.224xlarge"), n: 9,
			want: []Part{part(spot, 1, "", 0.045)}},
		{name: "each search has its own prices", source: byCapacity, launch: two, n: 1, want: []Part{part(spot, 1, "", 0.0125)}},
		{name: "types that are named come at any price", source: byCapacity, launch: launching("m5.large", "u7i-12tb.224xlarge"), n: 1,
			want: []Part{part(spot, 1, "", 7.505)}},
		{name: "types the image does not run on do not come", source: withStrategies(mixed(0, 100), "lowest-price", "", 0),
			launch: &launchspec.LaunchSpec{Image: &launchspec.Image{Architecture: "x86_64"}, Types: launching("m6g.xlarge", "m5.xlarge").Types}, n: 1,
			want: []Part{part(od, 1, "m5.xlarge", 0.2)}, sure: true},
		{name: "types the image forbids do not come", source: withStrategies(mixed(0, 100), "lowest-price", "", 0),
			launch: &launchspec.LaunchSpec{Image: &launchspec.Image{Unsupported: []string{"*.large"}}, Types: launching("m5.large", "m5.xlarge").Types}, n: 1,
			want: []Part{part(od, 1, "m5.xlarge", 0.2)}, sure: true},
		{name: "less than none", source: mixed(0, 0), launch: launching("m5.large"), n: -3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &group.Group{Name: "g", Source: tt.source, LaunchSpec: tt.launch, DesiredCapacity: tt.has, Zones: []string{"x", "y"}}
			got, ok := New(market(t), instancetypes.Embedded()).Next(g, tt.n)
			require.True(t, ok, "no cost")
			assert.Empty(t, cmp.Diff(tt.want, got.Parts, approximately, cmpopts.IgnoreFields(pricing.Price{}, "Origin")), "parts (-want +got)")
			sum := usd(0)
			for _, p := range tt.want {
				sum.PerHour += p.Price.Amount.PerHour * float64(p.Instances)
			}
			sum.Estimated = !tt.sure && sum.PerHour > 0
			assert.Empty(t, cmp.Diff(sum, got.Amount, approximately), "amount (-want +got)")
			wantRatio := 1.0
			if tt.sure || sum.PerHour == 0 {
				wantRatio = 0
			}
			assert.Equalf(t, wantRatio, estimatedRatio(got), "estimated ratio: %+v", got.Parts)
		})
	}
}

func estimatedRatio(c Cost) float64 {
	if c.Amount.PerHour <= 0 {
		return 0
	}
	return c.Estimated.PerHour / c.Amount.PerHour
}

func TestUnpricedTypeIsEstimated(t *testing.T) {
	quarter := contract(t, "us-east-1", "# spot-ratio: 0.25\ninstance_type,price_per_hour\n")
	p := New(quarter, instancetypes.Embedded().With(instancetypes.Type{Name: "m5.3xlarge", VCPU: 12, MemoryBytes: 48 << 30, Architecture: "amd64"}))
	for _, spot := range []bool{false, true} {
		g := &group.Group{Name: "g", LaunchSpec: &launchspec.LaunchSpec{Spot: spot, Types: launching("m5.3xlarge").Types}}
		got, ok := p.Next(g, 2)
		want := 2 * 0.576 // between m5.2xlarge and m5.4xlarge
		if spot {
			want /= 4
		}
		assert.Truef(t, ok && math.Abs(got.Amount.PerHour/want-1) <= 0.01 && estimatedRatio(got) == 1 && got.Amount.Currency == "USD",
			"spot %v: Next() = %+v, %v, want about %v, all of it estimated", spot, got, ok, want)
	}
	unheard := &group.Group{Name: "g", LaunchSpec: launching("zz9.plural")}
	got, ok := p.Next(unheard, 1)
	assert.Falsef(t, ok, "Next() of a type nobody knows = %+v, want none", got)
	got = p.NextOfUnknownType(unheard, 2, "", Resources{CPUMillis: 4000, MemoryBytes: 16 << 30, Accelerators: map[string]int64{"nvidia.com/gpu": 1}})
	assert.Truef(t, got.Amount.PerHour >= 2*0.25 && got.Amount.PerHour <= 2*1 && estimatedRatio(got) == 1,
		"NextOfUnknownType() = %+v, want about two g4dn.xlarge, all of it estimated", got)
	_, ok = p.Next(&group.Group{Name: "g"}, 1)
	assert.False(t, ok, "a group of which nothing is known has a cost")
}

// The next instance starts from a launch template that nobody could read. The dearest of the present ones is as good a guess as any, and no spend cap is
// exceeded by it.
func TestGroupThatIsUnreadGoesOnLikeItsDearestInstance(t *testing.T) {
	g := &group.Group{Name: "g", Instances: []group.Instance{{Type: "m5.large", Zone: "x", Weight: 1}, {Type: "m5.xlarge", Zone: "x", Weight: 1},
		{Type: "zz9.plural", Zone: "x", Weight: 1}, {Zone: "x", Weight: 1}}}
	for _, source := range []launchspec.Source{{}, mixed(0, 100)} {
		g.Source = source
		next, ok := New(market(t), instancetypes.Embedded()).Next(g, 2)
		assert.Truef(t, ok && next.Amount == (pricing.Amount{PerHour: 0.4, Currency: "USD", Estimated: true}), "Next() = %+v, %t, want about two of m5.xlarge", next, ok)
	}
}

// AWS compares spot prices with its own prices on demand, and no discount changes what it launches.
func TestDiscountDoesNotChangeTheTypesThatAWSLaunches(t *testing.T) {
	g := &group.Group{Name: "g", Source: mixed(0, 0), Zones: []string{"x"}, LaunchSpec: launching("m5.large", "m5a.large", "c5.xlarge")}
	g.Source.SpotStrategy = "capacity-optimized"
	for i := range g.LaunchSpec.Types {
		g.LaunchSpec.Types[i].Search = &ec2types.InstanceRequirementsRequest{MaxSpotPriceAsPercentageOfOptimalOnDemandPrice: aws.Int32(50)}
	}
	list, _ := New(contract(t, "us-east-1", "# spot-ratio: 0.35\ninstance_type,price_per_hour\n"), instancetypes.Embedded()).Next(g, 1)
	half, _ := New(contract(t, "us-east-1", "# discount: all 50%\ninstance_type,price_per_hour\n"), instancetypes.Embedded()).Next(g, 1)
	assert.Equal(t, list, half)
	assert.NotZero(t, list.Amount.PerHour)
}

func TestCostWithoutATypeIsAnEstimate(t *testing.T) {
	p := New(market(t), instancetypes.Embedded())
	g := &group.Group{Name: "g", Source: mixed(0, 100), LaunchSpec: launching("zz9.plural", "m5.large"), Instances: []group.Instance{
		{Type: "zz9.plural", Zone: "x", Lifecycle: "InService", Weight: 1}, {Type: "m5.large", Zone: "x", Lifecycle: "InService", Weight: 1}}}
	next, ok := p.Next(g, 1)
	assert.Truef(t, ok && next.Amount.Estimated && next.Parts[0].Price.Basis == "without 1 of 2 types, whose price is unknown",
		"Next() = %+v, %v, want an estimate that names what it leaves out", next, ok)
	now := p.Present(g)[awsmessage.OnDemand]
	assert.Falsef(t, now.Unpriced != 1 || now.Amount != (pricing.Amount{PerHour: 0.1, Currency: "USD", Estimated: true}),
		"Present() = %+v, want one instance without a price, and the rest as an estimate", now)
	g.LaunchSpec, g.Instances = launching("m5.large"), g.Instances[1:]
	next, _ = p.Next(g, 1)
	assert.Falsef(t, next.Amount.Estimated || p.Present(g)[awsmessage.OnDemand].Amount.Estimated,
		"Next() = %+v, want the price itself", next)
}

func TestPresentDividesMixedGroupByPolicy(t *testing.T) {
	in := func(lifecycle group.Lifecycle, name, zone string) group.Instance {
		return group.Instance{ID: "i-" + name + zone, Type: name, Zone: "us-east-1" + zone, Lifecycle: lifecycle, Weight: 1}
	}
	inService := func(name string) group.Instance { return in("InService", name, "x") }
	type want struct {
		PerHour, EstimatedRatio float64
	}
	for _, tt := range []struct {
		name      string
		source    launchspec.Source
		spot      bool
		instances []group.Instance
		want      map[string]want
	}{
		{name: "no instance", source: mixed(1, 50), want: map[string]want{awsmessage.OnDemand: {}, awsmessage.Spot: {}}},
		{name: "no spot instance, ever", source: mixed(1, 100), want: map[string]want{awsmessage.OnDemand: {}}},
		{name: "no on-demand instance, ever", source: mixed(0, 0), want: map[string]want{awsmessage.Spot: {}}},
		{name: "all on-demand", instances: []group.Instance{inService("m5.large"), inService("m5.xlarge")}, want: map[string]want{awsmessage.OnDemand: {0.3, 0}}},
		{name: "all spot, each at the price of its zone", spot: true,
			instances: []group.Instance{in("InService", "m5.large", "a"), in("InService", "m5.large", "b")}, want: map[string]want{awsmessage.Spot: {0.08, 0}}},
		{name: "the starting and the idle are paid for, the terminating are not",
			instances: []group.Instance{in("Pending", "m5.large", "a"), in("Standby", "m5.large", "a"), in("Terminating", "m5.large", "a")},
			want:      map[string]want{awsmessage.OnDemand: {0.2, 0}}},
		{name: "one that AWS retains is paid for", instances: []group.Instance{in("Terminating:Retained", "m5.large", "a")},
			want: map[string]want{awsmessage.OnDemand: {0.1, 0}}},
		{name: "two of four alike are the base", source: mixed(2, 0),
			instances: []group.Instance{inService("m5.large"), inService("m5.large"), inService("m5.large"), inService("m5.large")},
			want:      map[string]want{awsmessage.OnDemand: {0.2, 0}, awsmessage.Spot: {0.02, 0}}},
		{name: "which of two kinds are spot is not known", source: mixed(1, 0), instances: []group.Instance{inService("m5.large"), inService("m5.xlarge")},
			want: map[string]want{awsmessage.OnDemand: {0.15, 1}, awsmessage.Spot: {0.015, 1}}},
		{name: "which of two zones has the spot instance is not known", source: mixed(1, 0),
			instances: []group.Instance{in("InService", "m5.large", "a"), in("InService", "m5.large", "b")},
			want:      map[string]want{awsmessage.OnDemand: {0.1, 0}, awsmessage.Spot: {0.04, 1}}},
		{name: "all in the base", source: mixed(5, 0), instances: []group.Instance{inService("m5.large"), inService("m5.xlarge")},
			want: map[string]want{awsmessage.OnDemand: {0.3, 0}, awsmessage.Spot: {}}},
		{name: "a type nobody knows is left out", instances: []group.Instance{inService("zz9.plural"), inService("m5.large")}, want: map[string]want{awsmessage.OnDemand: {0.1, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &group.Group{Name: "g", Source: tt.source, LaunchSpec: &launchspec.LaunchSpec{Spot: tt.spot}, Instances: tt.instances}
			got := map[string]want{}
			for capacityType, cost := range New(market(t), instancetypes.Embedded()).Present(g) {
				got[capacityType] = want{cost.Amount.PerHour, estimatedRatio(cost)}
			}
			assert.Empty(t, cmp.Diff(tt.want, got, approximately), "present costs (-want +got)")
		})
	}
}

func contract(t *testing.T, region, lines string) *pricing.Book {
	t.Helper()
	terms, err := pricing.ParseTerms("# region: "+region+"\n# currency: USD\n# date: 2026-11-01\n# source: our contract\n"+lines, nil)
	require.NoError(t, err)
	book := pricing.NewBook(region, time.Time{})
	require.NoError(t, book.SetTerms(terms))
	return book
}

func TestPricesOfSomethingElseAreEstimates(t *testing.T) {
	prices := pricing.NewBook("us-east-1", time.Time{})
	own := contract(t, "us-east-1", "instance_type,price_per_hour\nm5.large,0.2\n")
	windows, linux := &launchspec.Nodegroup{AMIType: "WINDOWS_CORE_2022_x86_64"}, &launchspec.Nodegroup{AMIType: "AL2023_x86_64_STANDARD"}
	for _, tt := range []struct {
		name   string
		change func(*group.Group)
		want   string
	}{
		{"Linux in a zone of the region", func(*group.Group) {}, ""},
		{"Windows", func(g *group.Group) { g.LaunchSpec.Image = &launchspec.Image{Windows: true, Licence: "Windows"} }, "Linux on shared hardware, without the licence of Windows"},
		{"Windows by EKS", func(g *group.Group) { g.LaunchSpec.Nodegroup = windows }, "Linux on shared hardware, without the licence of Windows"},
		{"Windows by EKS, with an unread image", func(g *group.Group) { g.LaunchSpec.ImageID, g.LaunchSpec.Nodegroup = "ami-1", windows },
			"Linux on shared hardware, without the licence of Windows"},
		{"unread image", func(g *group.Group) { g.LaunchSpec.ImageID = "ami-1" }, "Linux on shared hardware, without the licence of its unread image"},
		{"unread image for EKS", func(g *group.Group) {
			g.LaunchSpec.ImageID, g.LaunchSpec.Nodegroup = "ami-1", &launchspec.Nodegroup{AMIType: "CUSTOM"}
		},
			"Linux on shared hardware, without the licence of its unread image"},
		{"unread image of EKS", func(g *group.Group) { g.LaunchSpec.ImageID, g.LaunchSpec.Nodegroup = "ami-1", linux }, ""},
		{"unread node group of EKS", func(g *group.Group) { g.LaunchSpec.Unread, g.LaunchSpec.Image = true, &launchspec.Image{ID: "ami-1"} }, ""},
		{"unread launch template", func(g *group.Group) { g.LaunchSpec = nil }, "the dearest type of its instances; Linux on shared hardware, without what its unread launch settings add"},
		{"unread launch template of a policy with types", func(g *group.Group) { g.LaunchSpec.Unread = true },
			"Linux on shared hardware, without the licence of its unread image"},
		{"hardware of its own", func(g *group.Group) { g.LaunchSpec.Tenancy = "dedicated" }, "Linux on shared hardware, without dedicated tenancy"},
		{"shared hardware", func(g *group.Group) { g.LaunchSpec.Tenancy = "default" }, ""},
		{"Local Zone", func(g *group.Group) { g.Zones = []string{"us-east-1-bos-1a"} }, "the region, for a Local Zone or Wavelength Zone"},
		{"spot by the ratio, of which there is none", func(g *group.Group) { g.Source, g.DesiredCapacity = mixed(2, 0), 1 }, ""},
		{"capacity block before on-demand", func(g *group.Group) { g.Source.Segments = [][]string{{"capacity-block", "on-demand"}} },
			"on-demand, for a group that uses reserved capacity"},
		{"capacity block of the launch template", func(g *group.Group) { g.LaunchSpec.PaidAhead = true }, "on-demand, for a group that uses reserved capacity"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &group.Group{Zones: []string{"us-east-1a"}, LaunchSpec: &launchspec.LaunchSpec{Types: []launchspec.Type{{Name: "m5.large"}}}}
			tt.change(g)
			g.Instances = []group.Instance{{ID: "i-1", Type: "m5.large", Zone: g.Zones[0], Lifecycle: "InService", Weight: 1}}
			p := New(prices, instancetypes.Embedded())
			next, _ := p.Next(g, 1)
			require.Len(t, next.Parts, 1)
			assert.Equal(t, tt.want, next.Parts[0].Price.Basis, "basis")
			for capacityType, cost := range p.Present(g) {
				assert.Equalf(t, tt.want != "", cost.Amount.Estimated, "the present instances are an estimate, %s", capacityType)
			}
			assert.Equal(t, tt.want != "", p.Instance(g, &g.Instances[0]).Estimated, "the instance is an estimate")
			stated, _ := New(own, instancetypes.Embedded()).Next(g, 1)
			assert.Equal(t, g.LaunchSpec != nil, stated.Parts[0].Price.Exact(), "a price that the user states, of a type that is known")
		})
	}
}

func TestDiscountIsNotTakenOffEstimatedSpotPrices(t *testing.T) {
	plain := pricing.NewBook("us-west-2", time.Time{})
	half := contract(t, "us-west-2", "# discount: all 50%\ninstance_type,price_per_hour\n")
	r := Resources{CPUMillis: 2000, MemoryBytes: 8 << 30}
	of := func(b *pricing.Book, spot bool) float64 {
		next := New(b, instancetypes.Embedded()).NextOfUnknownType(&group.Group{LaunchSpec: &launchspec.LaunchSpec{Spot: spot}}, 1, "", r)
		return next.Amount.PerHour
	}
	assert.InDelta(t, of(plain, true), of(half, true), 1e-9, "spot")
	assert.InDelta(t, of(plain, false)/2, of(half, false), 1e-9, "on-demand")
}

// AWS compares list prices, and the user pays less for what it chooses.
func TestDiscountDoesNotChangeWhatAWSLaunches(t *testing.T) {
	search := &ec2types.InstanceRequirementsRequest{}
	found := launching("c7i.xlarge", "c6a.xlarge", "c5.xlarge")
	for i := range found.Types {
		found.Types[i].Search = search
	}
	lowest := mixed(0, 100)
	lowest.OnDemandStrategy = "lowest-price"
	p := New(contract(t, "us-east-1", "# discount: c7i 60%\ninstance_type,price_per_hour\n"), instancetypes.Embedded())
	for _, g := range []*group.Group{
		{Name: "named", Source: lowest, LaunchSpec: launching("c7i.xlarge", "c6a.xlarge")},
		{Name: "found", Source: mixed(0, 100), LaunchSpec: found},
	} {
		next, ok := p.Next(g, 1)
		require.True(t, ok && len(next.Parts) == 1, g.Name)
		assert.Equal(t, "c6a.xlarge", next.Parts[0].Price.InstanceType, g.Name)
	}
}
