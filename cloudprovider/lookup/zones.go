package lookup

import (
	"context"
	"fmt"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/utils/clock"
)

// ZonesAPI is the one EC2 call that Zones makes.
type ZonesAPI interface {
	DescribeAvailabilityZones(context.Context, *ec2.DescribeAvailabilityZonesInput,
		...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error)
}

// zonesAge is how long EC2 is left alone after a request: an identifier that its answer lacked will not appear soon.
const zonesAge = time.Hour

// Zones looks up the identifiers of the region's zones once somebody wants them: one call. Safe for concurrent use.
type Zones struct {
	background
	api ZonesAPI // nil: nobody is asked

	mu     sync.Mutex
	known  map[string]string
	asked  time.Time
	wanted bool
}

// NewZones makes a Zones that knows nothing yet. With a nil api it never will.
func NewZones(api ZonesAPI, c clock.Clock) *Zones {
	z := &Zones{api: api}
	z.background = newBackground(c, z.lookUp, api != nil, "Could not look up zones, groups in zones without a node do not promise the label topology.k8s.aws/zone-id",
		"allow ec2:DescribeAvailabilityZones if pods ask for it")
	return z
}

// IDs returns the identifiers by the zone's name, nil before EC2 has answered. Callers must not change the map.
func (z *Zones) IDs() map[string]string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.known
}

// Want requests a look-up, unless there was a request within the hour.
func (z *Zones) Want() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if now := z.clock.Now(); z.asked.IsZero() || now.Sub(z.asked) >= zonesAge {
		z.asked, z.wanted = now, true
		z.request()
	}
}

func (z *Zones) lookUp(ctx context.Context) error {
	z.mu.Lock()
	wanted := z.wanted
	z.mu.Unlock()
	if !wanted {
		return errNotAsked
	}
	out, err := z.api.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return fmt.Errorf("describe availability zones: %w", err)
	}
	known := map[string]string{}
	for _, zone := range out.AvailabilityZones {
		known[awssdk.ToString(zone.ZoneName)] = awssdk.ToString(zone.ZoneId)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.known, z.wanted = known, false
	return nil
}
