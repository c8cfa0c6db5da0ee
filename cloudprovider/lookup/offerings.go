package lookup

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
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

const (
	// offeringsAge is how long EC2 is left alone about a type. A zone that an answer lacked will not appear soon, but types come to
	// further zones now and then.
	offeringsAge = time.Hour
	// offeringTypesPerCall is how many values the filters of one call of EC2 may have, and offeringsPerPage the most offerings
	// of one answer (EC2 API reference, DescribeInstanceTypeOfferings, read 2026-11).
	offeringTypesPerCall = 200
	offeringsPerPage     = 1000
	// maxOfferingPages bounds one answer: 250 zones for each of its types.
	maxOfferingPages = 50
)

// OfferingsAPI is the one EC2 call that Offerings makes.
type OfferingsAPI interface {
	DescribeInstanceTypeOfferings(context.Context, *ec2.DescribeInstanceTypeOfferingsInput,
		...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error)
}

// Offered knows in which zones instance types are offered. It is immutable, and knows nothing as its zero value.
type Offered struct{ zones map[string][]string } // by type, at least one zone each

// In returns the types that the zone offers, or may offer for all that is known. It is the same slice if those are all.
func (o *Offered) In(zone string, types []launchspec.Type) []launchspec.Type {
	absent := func(t launchspec.Type) bool {
		zones, known := o.zones[t.Name]
		return known && !slices.Contains(zones, zone)
	}
	if !slices.ContainsFunc(types, absent) {
		return types
	}
	return slices.DeleteFunc(slices.Clone(types), absent)
}

// Offerings looks up where wanted instance types are offered: one call per 200 types and page. Safe for concurrent use.
type Offerings struct {
	background
	api OfferingsAPI // nil: nothing is ever known

	mu     sync.Mutex
	known  *Offered
	asked  map[string]time.Time // when EC2 was last asked about a type
	wanted []string             // types to ask for next
}

// NewOfferings makes an Offerings that knows nothing yet. With a nil api it never will.
func NewOfferings(api OfferingsAPI, c clock.Clock) *Offerings {
	o := &Offerings{api: api, known: &Offered{}, asked: map[string]time.Time{}}
	o.background = newBackground(c, o.lookUp, api != nil, "Could not look up where instance types are offered, they count as offered in every zone",
		"allow ec2:DescribeInstanceTypeOfferings")
	return o
}

// Known returns EC2's answers so far: the same pointer until there is news, never nil.
func (o *Offerings) Known() *Offered {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known
}

// Want requests a look-up of the types that nobody asked for within the hour.
func (o *Offerings) Want(types []string) {
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
		o.request()
	}
}

// lookUp publishes each answer at once. Types without an answer stay wanted.
func (o *Offerings) lookUp(ctx context.Context) error {
	o.mu.Lock()
	wanted := o.wanted
	o.wanted = nil
	o.mu.Unlock()
	if len(wanted) == 0 {
		return errNotAsked
	}
	for types := range slices.Chunk(wanted, offeringTypesPerCall) {
		zones, err := o.describe(ctx, types)
		if err != nil {
			o.mu.Lock()
			o.wanted = append(wanted, o.wanted...)
			o.mu.Unlock()
			return fmt.Errorf("describe instance type offerings: %w", err)
		}
		wanted = wanted[len(types):]
		o.learn(types, zones)
	}
	return nil
}

// learn adds the zones of the types to the known ones, and dates the request by its answer: the first try may be long ago.
func (o *Offerings) learn(types []string, found map[string][]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range types {
		o.asked[name] = o.clock.Now()
	}
	zones := make(map[string][]string, len(o.known.zones)+len(found))
	maps.Copy(zones, o.known.zones)
	maps.Copy(zones, found)
	if !maps.EqualFunc(zones, o.known.zones, slices.Equal) {
		o.known = &Offered{zones: zones}
	}
}

// describe returns the zones of the types, without types that have none. An incomplete answer is an error: a zone that it lacks may
// be on the missing page.
func (o *Offerings) describe(ctx context.Context, types []string) (map[string][]string, error) {
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
				continue // an answer to another question
			}
			zones[name] = append(zones[name], zone)
		}
	}
	return zones, nil
}
