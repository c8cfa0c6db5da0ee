package asg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/arczonalshift"
	arctypes "github.com/aws/aws-sdk-go-v2/service/arczonalshift/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// Auto Scaling launches nothing in a zone under a zonal shift of Amazon Application Recovery Controller. We name the zone of a launch
// ourselves, so we look up the shifts of the groups whose impairment policy enables them.

const (
	// shiftLook is how often the shifts are looked up while a group enables them.
	shiftLook = 30 * time.Second
	// shiftRetry is how long the service is left alone where it does not exist.
	shiftRetry = time.Hour
	// shiftTimeout bounds one look-up, its pages and retries included.
	shiftTimeout = 30 * time.Second
	// maxResourcePages bounds the pages of managed resources, load balancers included, that one look-up reads.
	maxResourcePages = 20
)

// ZonalShift is the class of the cool-down of a zone under a zonal shift.
const ZonalShift awsmessage.Class = "zonal-shift"

// ShiftAPIs are the services that say which zones are shifted. Without Shifts no zone is.
type ShiftAPIs struct {
	Shifts ManagedResourcesAPI
	EC2    ZonesAPI
}

// ManagedResourcesAPI is the call that lists the zonal shifts and autoshifts of all resources of the account.
type ManagedResourcesAPI interface {
	ListManagedResources(context.Context, *arczonalshift.ListManagedResourcesInput,
		...func(*arczonalshift.Options)) (*arczonalshift.ListManagedResourcesOutput, error)
}

// ZonesAPI is the call that names the zones, which shifts identify by ID.
type ZonesAPI interface {
	DescribeAvailabilityZones(context.Context, *ec2.DescribeAvailabilityZonesInput,
		...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error)
}

// shifts remembers which zones groups are shifted away from.
type shifts struct {
	apis ShiftAPIs

	// Used by the loop only.
	due    time.Time         // when to look next
	failed int               // times in a row
	said   bool              // that the shifts cannot be seen
	names  map[string]string // of zones, by ID

	mu   sync.Mutex
	away map[string]shiftedZones // by the ARN of the group
}

// shiftedZones are zones that something is shifted away from, by name or ID, and when that ends. The zero time is no end that is known.
type shiftedZones map[string]time.Time

// add adds a shift. The later end counts where two shifts are of the same zone.
func (z shiftedZones) add(zone string, until time.Time) {
	if before, there := z[zone]; !there || until.IsZero() || !before.IsZero() && until.After(before) {
		z[zone] = until
	}
}

// Shifted reports whether the group is shifted away from the zone. It makes no call and is safe for concurrent use.
func (c *Cache) Shifted(g *Group, zone string) bool {
	c.shifts.mu.Lock()
	defer c.shifts.mu.Unlock()
	until, shifted := c.shifts.away[g.arn][zone]
	return g.ZonalShift && shifted && (until.IsZero() || c.clock.Now().Before(until))
}

// closedIn is why nothing can be launched in a zone of the group now: a zonal shift, or a cool-down of its pools.
func (c *Cache) closedIn(g *Group, zone string) (Rest, bool) {
	if c.Shifted(g, zone) {
		return Rest{Group: g.Name, Pool: Pool{Zone: zone}, Class: ZonalShift, Until: c.clock.Now().Add(shiftLook),
			Message: "Amazon Application Recovery Controller shifts the group away from the zone"}, true
	}
	return c.rests.closed(g, zone)
}

func (c *Cache) shiftLoop(ctx context.Context) {
	if c.shifts.apis.Shifts == nil {
		return
	}
	for {
		c.lookForShifts(ctx)
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(shiftLook):
		}
	}
}

// lookForShifts looks up which zones are shifted, and wakes the core when that is news. It makes no call while no group enables
// zonal shift. While AWS does not answer, the last answer stays.
func (c *Cache) lookForShifts(ctx context.Context) {
	enabled := slices.ContainsFunc(slices.Collect(maps.Values(c.Snapshot().groups)), func(g *Group) bool { return g.ZonalShift })
	now := c.clock.Now()
	if !enabled || now.Before(c.shifts.due) {
		return
	}
	away, err := c.shifts.read(ctx, now)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		c.shifts.fail(ctx, now, err)
		return
	}
	c.shifts.mu.Lock()
	zones, before := zonesByResource(away), zonesByResource(c.shifts.away)
	news := !maps.EqualFunc(before, zones, slices.Equal)
	c.shifts.away, c.shifts.said, c.shifts.failed = away, false, 0
	c.shifts.mu.Unlock()
	if news {
		klog.FromContext(ctx).Info("Zonal shifts changed: shifted zones get no launches, and their nodes are not removed", "zones", zones)
		signal(c.changed)
	}
}

// zonesByResource are the zones alone, sorted.
func zonesByResource(away map[string]shiftedZones) map[string][]string {
	zones := make(map[string][]string, len(away))
	for arn, shifted := range away {
		zones[arn] = slices.Sorted(maps.Keys(shifted))
	}
	return zones
}

// read asks for the shifts of all resources: a call for each 100 of them.
func (s *shifts) read(ctx context.Context, now time.Time) (map[string]shiftedZones, error) {
	ctx, cancel := context.WithTimeout(ctx, shiftTimeout)
	defer cancel()
	away := map[string]shiftedZones{}
	pages := arczonalshift.NewListManagedResourcesPaginator(s.apis.Shifts, &arczonalshift.ListManagedResourcesInput{MaxResults: aws.Int32(100)})
	for n := 0; pages.HasMorePages() && n < maxResourcePages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list managed resources: %w", err)
		}
		for _, resource := range page.Items {
			for id, until := range zonesOf(resource, now) {
				name, err := s.nameOf(ctx, id)
				if err != nil {
					return nil, err
				}
				arn := aws.ToString(resource.Arn)
				if away[arn] == nil {
					away[arn] = shiftedZones{}
				}
				away[arn].add(name, until)
			}
		}
	}
	return away, nil
}

// zonesOf are the IDs of the zones that a resource is shifted away from: by its owner, by AWS, or in a practice run.
func zonesOf(resource arctypes.ManagedResourceSummary, now time.Time) shiftedZones {
	zones := shiftedZones{}
	for _, shift := range resource.ZonalShifts {
		if shift.AppliedStatus == arctypes.AppliedStatusApplied && (shift.ExpiryTime == nil || now.Before(*shift.ExpiryTime)) {
			zones.add(aws.ToString(shift.AwayFrom), aws.ToTime(shift.ExpiryTime))
		}
	}
	for _, shift := range resource.Autoshifts {
		if shift.AppliedStatus == arctypes.AutoshiftAppliedStatusApplied {
			zones.add(aws.ToString(shift.AwayFrom), time.Time{})
		}
	}
	return zones
}

// nameOf is the name of the zone with the ID. EC2 is asked once.
func (s *shifts) nameOf(ctx context.Context, id string) (string, error) {
	if name := s.names[id]; name != "" {
		return name, nil
	}
	out, err := s.apis.EC2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return "", fmt.Errorf("describe availability zones: %w", err)
	}
	if s.names == nil {
		s.names = map[string]string{}
	}
	for _, zone := range out.AvailabilityZones {
		s.names[aws.ToString(zone.ZoneId)] = aws.ToString(zone.ZoneName)
	}
	if s.names[id] == "" {
		s.names[id] = id // a zone of which EC2 knows nothing: no group launches there
	}
	return s.names[id], nil
}

// fail says once why the shifts cannot be seen, and plans the next look. Where the cause will not pass by itself, no zone counts as
// shifted any more.
func (s *shifts) fail(ctx context.Context, now time.Time, err error) {
	log, said := klog.FromContext(ctx), s.said
	s.failed++
	s.due = now.Add(awsclient.RetryAfter(err, s.failed))
	var noSuchHost *net.DNSError
	switch {
	case awsclient.IsDenied(err) && !strings.HasPrefix(awsclient.Code(err), "ExpiredToken"):
		s.leave()
		if !said {
			log.Info("Could not see zonal shifts, so instances may be launched in a shifted zone", "err", awsclient.Brief(err),
				"remedy", "allow arc-zonal-shift:ListManagedResources and ec2:DescribeAvailabilityZones")
		}
	case awsclient.IsUnknownCall(err), errors.As(err, &noSuchHost) && noSuchHost.IsNotFound && len(s.away) == 0:
		s.leave()
		s.due = now.Add(shiftRetry)
		log.V(2).Info("There is no zonal shift here, so no zone is shifted", "err", awsclient.Brief(err))
	default:
		log.V(2).Info("Could not see zonal shifts, the last ones stay", "err", awsclient.Brief(err))
	}
}

// leave forgets the shifts.
func (s *shifts) leave() {
	s.said = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = nil
}
