package lookup

import (
	"context"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"
)

const (
	// A zone that an answer about a type lacked will not appear soon, but types come to further zones now and then.
	offeringsAge = time.Hour
	// offeringTypesPerCall is the most values that the filters of one call of EC2 may have, and offeringsPerPage the most offerings
	// of one answer (EC2 API reference, DescribeInstanceTypeOfferings, read 2026-11).
	offeringTypesPerCall = 200
	offeringsPerPage     = 1000
	maxOfferingPages     = 50 // bounds one answer: 250 zones for each of its types
)

type OfferingsAPI = ec2.DescribeInstanceTypeOfferingsAPIClient

// NewOfferings makes a Cache of the zones in which instance types are offered, by type, at least one each. It makes one call per 200
// types and page. With a nil api it never knows anything.
func NewOfferings(api OfferingsAPI, c clock.Clock) *Cache[[]string] {
	return New(c, api != nil, Question[[]string]{AtOnce: offeringTypesPerCall, Age: offeringsAge,
		Ask: func(ctx context.Context, types []string) (map[string][]string, error) {
			return offeredIn(ctx, api, types)
		},
		Failure: "Could not look up where instance types are offered, they count as offered in every zone",
		Remedy:  "allow ec2:DescribeInstanceTypeOfferings"})
}

// offeredIn returns the zones of the types, without types that have none. An incomplete answer is an error.
func offeredIn(ctx context.Context, api OfferingsAPI, types []string) (map[string][]string, error) {
	zones := map[string][]string{}
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(api, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone,
		Filters:      []ec2types.Filter{{Name: awssdk.String("instance-type"), Values: types}},
		MaxResults:   awssdk.Int32(offeringsPerPage),
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxOfferingPages {
			return nil, fmt.Errorf("describe instance type offerings: more than %d pages for %d instance types", maxOfferingPages, len(types))
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe instance type offerings: %w", err)
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
