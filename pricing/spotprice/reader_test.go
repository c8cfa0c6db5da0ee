package spotprice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// market is an EC2 that sells every type in every zone at one price, and counts.
type market struct {
	mu      sync.Mutex
	price   string
	err     error
	failing string // a type that fails its call
	inUse   Pools
	takes   time.Duration   // before it answers
	at      []time.Duration // of the calls, since it began
	began   time.Time
}

func (m *market) change(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
}

func (m *market) calls() []time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.at)
}

func (m *market) pools() Pools {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inUse
}

func (m *market) DescribeSpotPriceHistory(ctx context.Context, in *ec2.DescribeSpotPriceHistoryInput, _ ...func(*ec2.Options)) (*ec2.DescribeSpotPriceHistoryOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = append(m.at, time.Since(m.began))
	select {
	case <-time.After(m.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.err != nil {
		return nil, m.err
	}
	if m.failing != "" && slices.Contains(in.Filters[0].Values, m.failing) {
		return nil, errors.New("connection reset")
	}
	out := &ec2.DescribeSpotPriceHistoryOutput{NextToken: aws.String("")}
	for _, name := range in.Filters[0].Values {
		for _, zone := range in.Filters[1].Values {
			out.SpotPriceHistory = append(out.SpotPriceHistory, ec2types.SpotPrice{
				InstanceType: ec2types.InstanceType(name), AvailabilityZone: aws.String(zone), SpotPrice: aws.String(m.price)})
		}
	}
	return out, nil
}

func newReader(t *testing.T, m *market, inUse func() Pools) *Reader {
	t.Helper()
	book := pricing.NewBook("us-east-1", time.Time{})
	return New(Options{API: m, InUse: inUse, Book: book, Clock: clock.RealClock{}, Registerer: prometheus.NewRegistry()})
}

// running runs a Reader beside test, in time that passes only while all wait.
func running(t *testing.T, test func(t *testing.T, m *market, r *Reader)) {
	synctest.Test(t, func(t *testing.T) {
		m := &market{price: "0.2", began: time.Now(), inUse: Pools{Types: []string{"g4dn.xlarge"}, Zones: []string{"us-east-1a"}}}
		r := newReader(t, m, m.pools)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		test(t, m, r)
		cancel()
		assert.NoError(t, <-ended, "Run()")
	})
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func spotOf(t *testing.T, r *Reader, instanceType string) string {
	t.Helper()
	price, ok := r.Book.Spot(instanceType, []string{"us-east-1a"})
	if !ok {
		return "unknown"
	}
	if !price.Exact() {
		return price.Amount.String() + " by " + price.Basis
	}
	return price.Amount.String()
}

func TestPricesAreReadAtOnceAndPeriodically(t *testing.T) {
	running(t, func(t *testing.T, m *market, r *Reader) {
		assert.Equal(t, "0.2 USD/h", spotOf(t, r, "g4dn.xlarge"), "price after the first reading")
		m.change(func() { m.price = "0.3" })
		pass(9 * time.Minute)
		got := spotOf(t, r, "g4dn.xlarge")
		assert.Truef(t, got == "0.2 USD/h" && len(m.calls()) == 1, "price after 9 minutes: %s, %d calls, want the first", got, len(m.calls()))
		pass(2 * time.Minute)
		got = spotOf(t, r, "g4dn.xlarge")
		assert.Truef(t, got == "0.3 USD/h" && len(m.calls()) == 2, "price after 11 minutes: %s, %d calls", got, len(m.calls()))
	})
}

func TestFirstLoopWaitsSecondsAtMost(t *testing.T) {
	for takes, want := range map[time.Duration]string{time.Second: "0.2 USD/h", time.Minute / 2: "0.1841 USD/h by 0.35 × on-demand list price"} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			m := &market{price: "0.2", began: began, takes: takes}
			r := newReader(t, m, func() Pools { return Pools{Types: []string{"g4dn.xlarge"}, Zones: []string{"us-east-1a"}} })
			r.ReadFirst(t.Context())
			assert.Equal(t, want, spotOf(t, r, "g4dn.xlarge"), "price for the first loop")
			assert.Equal(t, min(takes, 5*time.Second), time.Since(began), "wait")
			ctx, cancel := context.WithTimeout(t.Context(), 2*takes)
			defer cancel()
			assert.NoError(t, r.Run(ctx))
			assert.Equal(t, "0.2 USD/h", spotOf(t, r, "g4dn.xlarge"), "price after it")
			assert.LessOrEqual(t, len(m.calls()), 2, "calls")
		})
	}
}

func TestNewTypeIsReadWithinSeconds(t *testing.T) {
	running(t, func(t *testing.T, m *market, r *Reader) {
		assert.Equal(t, "0.0336 USD/h by 0.35 × on-demand list price", spotOf(t, r, "m5.large"),
			"price of a type that nobody uses")
		m.change(func() { m.inUse = Pools{Types: []string{"m5.large"}, Zones: []string{"us-east-1a"}} })
		pass(lookEvery)
		assert.Equal(t, "0.2 USD/h", spotOf(t, r, "m5.large"), "price of a type in use")
		pass(5 * time.Minute)
		assert.Len(t, m.calls(), 2, "calls")
	})
}

func TestFailedReadingKeepsLastPricesAndAge(t *testing.T) {
	running(t, func(t *testing.T, m *market, r *Reader) {
		began := time.Now()
		m.change(func() { m.err = errors.New("connection refused") })
		pass(3 * time.Hour)
		price, _ := r.Book.Spot("g4dn.xlarge", []string{"us-east-1a"})
		assert.Truef(t, price.Date.Equal(began) && price.Exact() && price.Source == "EC2 spot price history",
			"price %+v, want that of the reading 3 hours ago", price)
		age := collectedAge(t, r)
		assert.Truef(t, age == (3*time.Hour).Seconds(), "age %v s, want 3 h", age)
		m.change(func() { m.err, m.price = nil, "0.4" })
		pass(interval)
		got, age := spotOf(t, r, "g4dn.xlarge"), collectedAge(t, r)
		assert.Falsef(t, got != "0.4 USD/h" || age > interval.Seconds(), "after it works again: %s, %v s old", got, age)
	})
}

func TestDayOldPricesAreEstimates(t *testing.T) {
	running(t, func(t *testing.T, m *market, r *Reader) {
		m.change(func() { m.err = errors.New("connection refused") })
		pass(oldAfter - interval)
		assert.Equal(t, "0.2 USD/h", spotOf(t, r, "g4dn.xlarge"), "price within the day")
		pass(2 * interval)
		assert.Equal(t, "0.2 USD/h by an old quote", spotOf(t, r, "g4dn.xlarge"), "price after a day")
		m.change(func() { m.err = nil })
		pass(interval)
		assert.Equal(t, "0.2 USD/h", spotOf(t, r, "g4dn.xlarge"), "price of a new reading")
	})
}

// A hundred types are asked about at once. A failure of one call loses no price of another.
func TestFailedCallLosesNoOtherPrices(t *testing.T) {
	running(t, func(t *testing.T, m *market, r *Reader) {
		m.change(func() {
			m.failing = "m5.large"
			for i := range 250 {
				m.inUse.Types = append(m.inUse.Types, fmt.Sprintf("c5.%dxlarge", i+1))
			}
			m.inUse.Types = append(m.inUse.Types, "m5.large")
		})
		pass(lookEvery)
		assert.Equal(t, "0.2 USD/h 0.2 USD/h", spotOf(t, r, "c5.1xlarge")+" "+spotOf(t, r, "g4dn.xlarge"), "prices of the other calls")
		m.change(func() { m.failing = "" })
		pass(time.Minute)
		assert.Equal(t, "0.2 USD/h", spotOf(t, r, "m5.large"), "price after it works again")
	})
}

func TestNothingInUseIsNotAskedAbout(t *testing.T) {
	running(t, func(t *testing.T, m *market, r *Reader) {
		m.change(func() { m.inUse.Zones = nil })
		pass(time.Hour)
		assert.Len(t, m.calls(), 1, "calls, want that of the start alone")
	})
}

// once reads the price of g4dn.xlarge in the first zone of a region.
func once(t *testing.T, region string, api ec2.DescribeSpotPriceHistoryAPIClient) *Reader {
	t.Helper()
	book := pricing.NewBook(region, time.Time{})
	r := New(Options{API: api, Book: book, Clock: clock.RealClock{}, Registerer: prometheus.NewRegistry(),
		InUse: func() Pools { return Pools{Types: []string{"g4dn.xlarge"}, Zones: []string{region + "a"}} }})
	r.Read(t.Context())
	return r
}

func TestLivePricesUseRegionCurrency(t *testing.T) {
	_, api := emulate(t, "cn-northwest-1", fakeaws.SpotPrice{InstanceType: "g4dn.xlarge", Zone: "cn-northwest-1a", PerHour: 1.7})
	price, _ := once(t, "cn-northwest-1", api).Book.Spot("g4dn.xlarge", []string{"cn-northwest-1a"})
	assert.Truef(t, price.Exact() && price.Amount.String() == "1.7 CNY/h", "Spot() = %+v, want EC2's 1.7 CNY/h", price)
}

func TestDeniedCallKeepsRatio(t *testing.T) {
	server, api := emulate(t, "us-east-1", fakeaws.SpotPrice{InstanceType: "g4dn.xlarge", Zone: "us-east-1a", PerHour: 0.2})
	server.Deny("DescribeSpotPriceHistory")
	r := once(t, "us-east-1", api)
	assert.Equal(t, "0.1841 USD/h by 0.35 × on-demand list price", spotOf(t, r, "g4dn.xlarge"), "price")
}

func collectedAge(t *testing.T, r *Reader) float64 {
	t.Helper()
	families, err := r.Registerer.(*prometheus.Registry).Gather()
	require.Truef(t, err == nil && len(families) == 1 && families[0].GetName() == "asg_autoscaler_spot_price_age_seconds",
		"metrics %v, error %v", families, err)
	return families[0].Metric[0].Gauge.GetValue()
}

func TestInUseCoversTypesOfSpotGroupsAndAllZones(t *testing.T) {
	launch := func(spot bool, types ...string) *launchspec.LaunchSpec {
		l := &launchspec.LaunchSpec{Spot: spot}
		for _, name := range types {
			l.Types = append(l.Types, launchspec.Type{Name: name})
		}
		return l
	}
	got := InUse([]*group.Group{
		{Name: "template", Zones: []string{"z-1b", "z-1a"}, LaunchSpec: launch(true, "m5.large")},
		{Name: "mixed", Zones: []string{"z-1a"}, LaunchSpec: launch(false, "g5.xlarge", "g4dn.xlarge"),
			Source:    launchspec.Source{Mixed: true, OnDemandPercentageAboveBase: 50},
			Instances: []group.Instance{{Type: "g5.2xlarge", Zone: "z-1c"}, {}}},
		{Name: "on-demand", Zones: []string{"z-1d"}, LaunchSpec: launch(false, "c5.large")},
		{Name: "mixed, on-demand only", Zones: []string{"z-1d"}, LaunchSpec: launch(true, "c5.large"),
			Source: launchspec.Source{Mixed: true, OnDemandPercentageAboveBase: 100}},
		{Name: "not known yet", Zones: []string{"z-1d"}, Source: launchspec.Source{Mixed: true}},
	})
	want := Pools{Types: []string{"g4dn.xlarge", "g5.2xlarge", "g5.xlarge", "m5.large"}, Zones: []string{"z-1a", "z-1b", "z-1c", "z-1d"}}
	assert.Empty(t, cmp.Diff(want, got), "pools (-want +got)")
}
