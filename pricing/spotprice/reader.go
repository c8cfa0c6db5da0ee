package spotprice

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Intervals of reading. Spot prices follow the demand of days, and change a few times a day at most (EC2 User Guide, "Spot
// Instance pricing history").
const (
	interval    = 10 * time.Minute
	lookEvery   = 15 * time.Second // for a type that came into use
	callTimeout = time.Minute      // for the calls of a hundred types and their retries
	firstLimit  = 5 * time.Second  // for the first loop to wait
	oldAfter    = 24 * time.Hour
)

type Options struct {
	API        ec2.DescribeSpotPriceHistoryAPIClient
	InUse      func() Pools // the types and zones to read, the Reader does not change them
	Book       *pricing.Book
	Clock      clock.Clock
	Registerer prometheus.Registerer
}

// Reader keeps the live spot prices of a book fresh.
type Reader struct {
	Options
	types  *lookup.Cache[struct{}]   // the book has the answers
	quotes []pricing.SpotQuote       // of all answers, used by look-ups only
	readAt atomic.Pointer[time.Time] // of the last answer, nil before it
}

// New makes a Reader. It reads nothing yet.
func New(o Options) *Reader {
	r := &Reader{Options: o}
	r.types = lookup.New(o.Clock, true, lookup.Question[struct{}]{AtOnce: maxTypesPerCall, Age: interval, Ask: r.ask,
		Failure: "Could not read spot prices, the last ones or a ratio of the on-demand price count",
		Remedy:  "allow ec2:DescribeSpotPriceHistory, or set --asg-spot-prices=off"})
	o.Registerer.MustRegister(ageMetric{r})
	return r
}

// Run reads at once, then every ten minutes, and earlier where a type comes into use, until ctx ends. It returns nil.
func (r *Reader) Run(ctx context.Context) error {
	var reading sync.WaitGroup
	reading.Go(func() { r.types.Run(ctx) })
	defer reading.Wait()
	wait.UntilWithContext(ctx, func(context.Context) { r.want() }, lookEvery)
	return nil
}

// Read reads once, where prices are due. It does not go with Run, but may come before it.
func (r *Reader) Read(ctx context.Context) {
	r.want()
	r.types.Once(ctx)
}

// ReadFirst is Read for the first loop, which does not wait longer than some seconds.
func (r *Reader) ReadFirst(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstLimit)
	defer cancel()
	r.Read(ctx)
}

// want requests the prices that are due, and marks old ones.
func (r *Reader) want() {
	if pools := r.InUse(); len(pools.Zones) > 0 {
		r.types.Want(pools.Types...)
	}
	if at := r.readAt.Load(); at != nil && r.Clock.Since(*at) >= oldAfter {
		r.Book.AgeSpot()
	}
}

func (r *Reader) ask(ctx context.Context, types []string) (map[string]struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now := r.Clock.Now()
	quotes, err := Describe(ctx, r.API, Pools{types, r.InUse().Zones}, now)
	if err != nil {
		return nil, err
	}
	known := slices.DeleteFunc(r.quotes, func(q pricing.SpotQuote) bool { return slices.Contains(types, q.InstanceType) })
	r.quotes = append(known, quotes...)
	held := r.Book.SetSpot(r.quotes)
	r.readAt.Store(&now)
	klog.FromContext(ctx).V(4).Info("Read the spot prices", "instanceTypes", len(types), "prices", held, "duration", r.Clock.Since(now))
	return nil, nil
}

// ageMetric is the age of the spot prices. It has no value before the first answer.
type ageMetric struct{ r *Reader }

var ageDesc = prometheus.NewDesc("asg_autoscaler_spot_price_age_seconds",
	"Age of the last answer of EC2 with spot prices, in seconds. Absent before the first one.", nil, nil)

func (m ageMetric) Describe(descs chan<- *prometheus.Desc) { descs <- ageDesc }

func (m ageMetric) Collect(metrics chan<- prometheus.Metric) {
	if at := m.r.readAt.Load(); at != nil {
		metrics <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, m.r.Clock.Since(*at).Seconds())
	}
}

// InUse returns the types, sorted, of future launches and present instances of the groups that may launch spot instances. It returns
// the zones of all groups, because a zone that comes into use waits for the next reading of each type.
func InUse(groups []*group.Group) Pools {
	types, zones := map[string]bool{}, map[string]bool{}
	for _, g := range groups {
		for _, zone := range g.Zones {
			zones[zone] = true
		}
		if g.CapacityType() == awsmessage.OnDemand {
			continue
		}
		if g.LaunchSpec != nil {
			for _, t := range g.LaunchSpec.Types {
				types[t.Name] = true
			}
		}
		for _, i := range g.Instances {
			types[i.Type], zones[i.Zone] = true, true
		}
	}
	delete(types, "")
	delete(zones, "")
	return Pools{Types: slices.Sorted(maps.Keys(types)), Zones: slices.Sorted(maps.Keys(zones))}
}

// maxTypesPerCall is below the 200 values that EC2 takes in a filter. A hundred types in six zones fit into one of its pages of 1,000
// prices (EC2 API reference, read 2026-08).
const maxTypesPerCall = 100

// products are EC2's names for Linux, with and without the network that all have today.
var products = []string{"Linux/UNIX", "Linux/UNIX (Amazon VPC)"}

// Pools are the instance types and zones to read prices for: each type in each zone.
type Pools struct {
	Types []string
	Zones []string
}

// Describe returns the prices that hold now, in no order, of up to 100 types. Types that are not sold in a zone have none there. An
// error means that some are missing. It uses filters: by name, one type that the region lacks would fail all the others.
func Describe(ctx context.Context, api ec2.DescribeSpotPriceHistoryAPIClient, pools Pools, now time.Time) ([]pricing.SpotQuote, error) {
	latest := map[[2]string]ec2types.SpotPrice{} // by type and zone
	// With now as the start, EC2 returns the prices in effect and later changes.
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(api, &ec2.DescribeSpotPriceHistoryInput{
		StartTime: aws.Time(now),
		Filters: []ec2types.Filter{
			{Name: aws.String("instance-type"), Values: pools.Types},
			{Name: aws.String("availability-zone"), Values: pools.Zones},
			{Name: aws.String("product-description"), Values: products},
		},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe spot price history: %w", err)
		}
		for _, p := range page.SpotPriceHistory {
			pool := [2]string{string(p.InstanceType), aws.ToString(p.AvailabilityZone)}
			if !slices.Contains(pools.Types, pool[0]) || !slices.Contains(pools.Zones, pool[1]) {
				continue // EC2 answers only the question, but any other endpoint must not fill the memory
			}
			if before, ok := latest[pool]; !ok || aws.ToTime(before.Timestamp).Before(aws.ToTime(p.Timestamp)) {
				latest[pool] = p
			}
		}
	}
	quotes := make([]pricing.SpotQuote, 0, len(latest))
	for pool, p := range latest {
		perHour, _ := strconv.ParseFloat(aws.ToString(p.SpotPrice), 64) // the book takes no 0
		quotes = append(quotes, pricing.SpotQuote{InstanceType: pool[0], Zone: pool[1], PerHour: perHour, ReadAt: now})
	}
	return quotes, nil
}
