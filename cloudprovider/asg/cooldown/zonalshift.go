package cooldown

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
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
)

const ZonalShift awsmessage.Class = "zonal-shift"

// ShiftAPIs are the services that say which zones are shifted.
type ShiftAPIs struct {
	Shifts arczonalshift.ListManagedResourcesAPIClient
	EC2    lookup.ZonesAPI
}

// Shifts remembers from which zones Amazon Application Recovery Controller shifts groups away. Auto Scaling launches nothing there, but it
// does not stop a launch that names the zone. Look belongs to one goroutine, InZone is safe for concurrent use.
type Shifts struct {
	apis  ShiftAPIs
	clock clock.PassiveClock

	// Used by Look only.
	due    time.Time         // the next look-up
	failed int               // times in a row
	said   bool              // the log says already that the shifts cannot be seen
	names  map[string]string // zone names, by zone ID

	mu   sync.Mutex
	away map[string]shiftedZones // by the ARN of the group
}

func NewShifts(apis ShiftAPIs, c clock.PassiveClock) *Shifts {
	return &Shifts{apis: apis, clock: c, names: map[string]string{}}
}

// InZone returns the cool-down of a zone that the group with the ARN is shifted away from. It makes no call.
func (s *Shifts) InZone(group, arn, zone string) (Period, bool) {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	until, shifted := s.away[arn][zone]
	if !shifted || !until.IsZero() && !now.Before(until) {
		return Period{}, false
	}
	return Period{Group: group, Pool: Pool{Zone: zone}, Class: ZonalShift, Until: now.Add(ShiftInterval),
		Message: "Amazon Application Recovery Controller shifts the group away from the zone"}, true
}

// Look looks up which zones are shifted, if that is due, and reports whether that is news. Without an answer, the last one stays.
func (s *Shifts) Look(ctx context.Context) (news bool) {
	now := s.clock.Now()
	if now.Before(s.due) {
		return false
	}
	away, err := s.read(ctx, now)
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		s.fail(ctx, now, err)
		return false
	}
	s.mu.Lock()
	zones, before := zonesByResource(away), zonesByResource(s.away)
	s.away, s.said, s.failed = away, false, 0
	s.mu.Unlock()
	if maps.EqualFunc(before, zones, slices.Equal) {
		return false
	}
	klog.FromContext(ctx).Info("Zonal shifts changed: shifted zones get no launches, and their nodes are not removed", "zones", zones)
	return true
}

// shiftedZones holds the end of each zone's shift, by name or ID. The zero time stands for an unknown end.
type shiftedZones map[string]time.Time

// add adds a shift. The later end of two shifts counts.
func (z shiftedZones) add(zone string, until time.Time) {
	if before, there := z[zone]; !there || until.IsZero() || !before.IsZero() && until.After(before) {
		z[zone] = until
	}
}

func zonesByResource(away map[string]shiftedZones) map[string][]string {
	zones := make(map[string][]string, len(away))
	for arn, shifted := range away {
		zones[arn] = slices.Sorted(maps.Keys(shifted))
	}
	return zones
}

// read asks for the shifts of all resources, with one call for each 100.
func (s *Shifts) read(ctx context.Context, now time.Time) (map[string]shiftedZones, error) {
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

// zonesOf returns the IDs of the zones from which the owner, AWS or a practice run shifts a resource away.
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

// nameOf asks EC2 once.
func (s *Shifts) nameOf(ctx context.Context, id string) (string, error) {
	if name := s.names[id]; name != "" {
		return name, nil
	}
	out, err := s.apis.EC2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return "", fmt.Errorf("describe availability zones: %w", err)
	}
	for _, zone := range out.AvailabilityZones {
		s.names[aws.ToString(zone.ZoneId)] = aws.ToString(zone.ZoneName)
	}
	if s.names[id] == "" {
		s.names[id] = id // EC2 does not know the zone, so no group launches there
	}
	return s.names[id], nil
}

// fail logs once why the shifts cannot be seen, and plans the next look. No zone counts as shifted any more if the cause will not pass by
// itself.
func (s *Shifts) fail(ctx context.Context, now time.Time, err error) {
	log, said := klog.FromContext(ctx), s.said
	s.failed++
	s.due = now.Add(awsclient.RetryAfter(err, s.failed))
	var noSuchHost *net.DNSError
	switch {
	case awsclient.IsDenied(err) && !strings.HasPrefix(awsclient.Code(err), "ExpiredToken"):
		s.forget()
		if !said {
			log.Info("Could not see zonal shifts, so instances may be launched in a shifted zone", "err", awsclient.Brief(err),
				"remedy", "allow arc-zonal-shift:ListManagedResources and ec2:DescribeAvailabilityZones")
		}
	case awsclient.IsUnknownCall(err), errors.As(err, &noSuchHost) && noSuchHost.IsNotFound && len(s.away) == 0:
		s.forget()
		s.due = now.Add(noShiftsRetry)
		log.V(2).Info("There is no zonal shift here, so no zone is shifted", "err", awsclient.Brief(err))
	default:
		log.V(2).Info("Could not see zonal shifts, the last ones stay", "err", awsclient.Brief(err))
	}
}

func (s *Shifts) forget() {
	s.said = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = nil
}
