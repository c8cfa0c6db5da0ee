package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// offeringsAge is how long EC2 is left alone about a type that it was asked for. What it did not tell, it will not tell soon; and
	// types come to further zones now and then.
	offeringsAge = time.Hour
	// offeringTypesPerCall is how many values the filters of one call of EC2 may have, and offeringsPerPage the most offerings
	// of one answer (EC2 API reference, DescribeInstanceTypeOfferings, read 2026-11).
	offeringTypesPerCall = 200
	offeringsPerPage     = 1000
	// maxOfferingPages bounds the answer to one question: 250 zones for each of its types.
	maxOfferingPages = 50
)

// offeringsAPI is the one EC2 call that tells in which zones instance types are offered.
type offeringsAPI interface {
	DescribeInstanceTypeOfferings(context.Context, *ec2.DescribeInstanceTypeOfferingsInput,
		...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error)
}

// offered tells in which zones instance types are offered, as far as that is known. It is immutable.
type offered struct{ zones map[string][]string } // by type; of each at least one

// in returns those of the types that are offered in the zone, or of which it is not known: the same slice if all are.
func (o *offered) in(zone string, types []launchspec.Type) []launchspec.Type {
	absent := func(t launchspec.Type) bool {
		zones, known := o.zones[t.Name]
		return known && !slices.Contains(zones, zone)
	}
	if !slices.ContainsFunc(types, absent) {
		return types
	}
	return slices.DeleteFunc(slices.Clone(types), absent)
}

// offerings asks EC2 where instance types are offered, in the background and only once they are wanted: one call per 200
// types and page. It is safe for concurrent use.
type offerings struct {
	api     offeringsAPI // nil: nothing is ever known
	clock   clock.Clock
	wake    chan struct{}
	refused string // the reason why it could not be found out, once that was told; for run only

	mu     sync.Mutex
	told   *offered
	asked  map[string]time.Time // when EC2 was asked for a type last
	wanted []string             // types to ask for next
}

func newOfferings(api offeringsAPI, c clock.Clock) *offerings {
	return &offerings{api: api, clock: c, wake: make(chan struct{}, 1), told: &offered{}, asked: map[string]time.Time{}}
}

// known is what EC2 told: the same pointer until there is news, never nil.
func (o *offerings) known() *offered {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told
}

// want says which types matter. EC2 is asked for those that it was not asked for within the hour.
func (o *offerings) want(types []string) {
	if o.api == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock.Now()
	for _, name := range types {
		if at, asked := o.asked[name]; asked && now.Sub(at) < offeringsAge || slices.Contains(o.wanted, name) {
			continue
		}
		o.asked[name] = now
		o.wanted = append(o.wanted, name)
	}
	if len(o.wanted) > 0 {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// run asks for what is wanted until ctx ends.
func (o *offerings) run(ctx context.Context) {
	if o.api == nil {
		return
	}
	lookUps(ctx, o.clock, o.wake, 0, func(ctx context.Context) error {
		err := o.lookUp(ctx)
		if why := awsclient.Reason(err); err != nil && ctx.Err() == nil && why != o.refused {
			o.refused = why
			klog.FromContext(ctx).Info("Could not look up where instance types are offered, they count as offered in every zone",
				"err", awsclient.Brief(err), "remedy", "allow ec2:DescribeInstanceTypeOfferings")
		}
		return err
	})
}

// lookUp asks for the types that are wanted, and publishes what it learnt, even if it cannot learn all. The others stay wanted.
func (o *offerings) lookUp(ctx context.Context) error {
	o.mu.Lock()
	wanted := o.wanted
	o.wanted = nil
	o.mu.Unlock()
	if len(wanted) == 0 {
		return nil // asked for already, together with others
	}
	found := map[string][]string{}
	defer func() { o.learn(found) }()
	for types := range slices.Chunk(wanted, offeringTypesPerCall) {
		zones, err := o.describe(ctx, types)
		if err != nil {
			o.mu.Lock()
			o.wanted = append(wanted, o.wanted...)
			o.mu.Unlock()
			return fmt.Errorf("describe instance type offerings: %w", err)
		}
		maps.Copy(found, zones)
		wanted = wanted[len(types):]
		o.answered(types)
	}
	o.refused = ""
	return nil
}

// answered notes that EC2 has answered about the types now, be it that it was asked for the first time long ago.
func (o *offerings) answered(types []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range types {
		o.asked[name] = o.clock.Now()
	}
}

// learn adds what was found to what is known.
func (o *offerings) learn(found map[string][]string) {
	if len(found) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	zones := make(map[string][]string, len(o.told.zones)+len(found))
	maps.Copy(zones, o.told.zones)
	maps.Copy(zones, found)
	if !maps.EqualFunc(zones, o.told.zones, slices.Equal) {
		o.told = &offered{zones: zones}
	}
}

// describe returns the zones of the types, of those that have any. An answer that is not complete tells nothing: a zone that
// is not in it may be on the page that is missing.
func (o *offerings) describe(ctx context.Context, types []string) (map[string][]string, error) {
	zones := map[string][]string{}
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(o.api, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone,
		Filters:      []ec2types.Filter{{Name: awssdk.String("instance-type"), Values: types}},
		MaxResults:   awssdk.Int32(offeringsPerPage),
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxOfferingPages {
			return nil, fmt.Errorf("more than %d pages for %d instance types", maxOfferingPages, len(types))
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, offer := range page.InstanceTypeOfferings {
			name, zone := string(offer.InstanceType), awssdk.ToString(offer.Location)
			if zone == "" || offer.LocationType != ec2types.LocationTypeAvailabilityZone || !slices.Contains(types, name) {
				continue // not what EC2 was asked for
			}
			zones[name] = append(zones[name], zone)
		}
	}
	return zones, nil
}
