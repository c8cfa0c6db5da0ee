package lookup

import (
	"context"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/utils/clock"
)

// ZonesAPI is the one EC2 call that names the zones by their identifiers.
type ZonesAPI interface {
	DescribeAvailabilityZones(context.Context, *ec2.DescribeAvailabilityZonesInput,
		...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error)
}

// zonesAge is the time before we ask EC2 again: an identifier that its answer lacked will not appear soon.
const zonesAge = time.Hour

// NewZones returns the look-up of the identifiers of the region's zones, by the zone's name. One call has all zones, so callers want the key "". With a
// nil api it never knows any.
func NewZones(api ZonesAPI, c clock.Clock) *Cache[string] {
	return New(c, api != nil, Question[string]{AtOnce: 1, Age: zonesAge,
		Ask:     func(ctx context.Context, _ []string) (map[string]string, error) { return ZoneIDs(ctx, api) },
		Failure: "Could not look up zones, groups in zones without a node do not promise the label topology.k8s.aws/zone-id",
		Remedy:  "allow ec2:DescribeAvailabilityZones if pods ask for it"})
}

// ZoneIDs asks EC2 for the identifiers of the region's zones, by the zone's name.
func ZoneIDs(ctx context.Context, api ZonesAPI) (map[string]string, error) {
	out, err := api.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return nil, fmt.Errorf("describe availability zones: %w", err)
	}
	ids := map[string]string{}
	for _, zone := range out.AvailabilityZones {
		ids[awssdk.ToString(zone.ZoneName)] = awssdk.ToString(zone.ZoneId)
	}
	return ids, nil
}
