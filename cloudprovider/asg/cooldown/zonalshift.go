package cooldown

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/arczonalshift"
	arctypes "github.com/aws/aws-sdk-go-v2/service/arczonalshift/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
)

const (
	shiftInterval    = 30 * time.Second // the time between two look-ups of the shifts
	shiftTimeout     = 30 * time.Second // bounds one look-up with its pages and retries
	maxResourcePages = 20               // bounds the pages of managed resources, load balancers included, that one look-up reads
)

const ZonalShift awsmessage.Class = "zonal-shift"

// ShiftAPIs are the services that say which zones are shifted.
type ShiftAPIs struct {
	Shifts arczonalshift.ListManagedResourcesAPIClient
	EC2    lookup.ZonesAPI
}

// Shifts knows from which zones Amazon Application Recovery Controller shifts groups and EKS clusters away, by ARN. Auto Scaling launches
// nothing in the shifted zone of a group, but it does not stop a launch that names the zone. EKS cordons the nodes in the shifted zone of a
// cluster, and keeps only managed node groups from launching there. Changed belongs to one goroutine, the rest is safe for concurrent use.
type Shifts struct {
	*lookup.Cache[shiftedZones]
	apis  ShiftAPIs
	clock clock.PassiveClock
	seen  map[string][]string // by Changed

	names map[string]string // zone names, by zone ID, for the look-up only
}

// NewShifts returns Shifts that know nothing yet. quiet is as in lookup.Question.
func NewShifts(apis ShiftAPIs, c clock.Clock, quiet func() bool) *Shifts {
	s := &Shifts{apis: apis, clock: c, names: map[string]string{}}
	s.Cache = lookup.New(c, apis.Shifts != nil, lookup.Question[shiftedZones]{AtOnce: 1, Whole: true, Age: shiftInterval, Ask: s.read,
		Failure: "Could not see zonal shifts, so instances may be launched in a shifted zone",
		Remedy:  "allow arc-zonal-shift:ListManagedResources and ec2:DescribeAvailabilityZones", Quiet: quiet})
	return s
}

// InZone returns the cool-down of a zone of the group that the owner of one of the ARNs is shifted away from. It makes no call.
func (s *Shifts) InZone(group, zone string, arns []string) (Period, bool) {
	now, known := s.clock.Now(), s.Known()
	for _, arn := range arns {
		zones, _ := known.Of(arn)
		until, shifted := zones[zone]
		if !shifted || !until.IsZero() && !now.Before(until) {
			continue
		}
		if until.IsZero() {
			until = now.Add(shiftInterval)
		}
		return Period{Group: group, Pool: Pool{Zone: zone}, Class: ZonalShift, Until: until,
			Message: "Amazon Application Recovery Controller shifts the group, or its EKS cluster, away from the zone"}, true
	}
	return Period{}, false
}

// Changed reports whether the shifts of the ARNs in ours are others than at its last call.
func (s *Shifts) Changed(ctx context.Context, ours map[string]bool) bool {
	zones := map[string][]string{}
	for arn, shifted := range s.Known().All() {
		if ours[arn] {
			zones[arn] = slices.Sorted(maps.Keys(shifted))
		}
	}
	if maps.EqualFunc(zones, s.seen, slices.Equal) {
		return false
	}
	s.seen = zones
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

// read asks for the shifts of all resources, with one call for each 100.
func (s *Shifts) read(ctx context.Context, _ []string) (map[string]shiftedZones, error) {
	ctx, cancel := context.WithTimeout(ctx, shiftTimeout)
	defer cancel()
	away, now := map[string]shiftedZones{}, s.clock.Now()
	pages := arczonalshift.NewListManagedResourcesPaginator(s.apis.Shifts, &arczonalshift.ListManagedResourcesInput{MaxResults: aws.Int32(100)})
	for n := 0; pages.HasMorePages() && n < maxResourcePages; n++ {
		page, err := pages.NextPage(ctx)
		var noSuchHost *net.DNSError
		switch {
		case awsclient.IsUnauthenticated(err):
			return nil, fmt.Errorf("list managed resources: %w", err)
		case awsclient.IsUnknownCall(err), errors.As(err, &noSuchHost) && noSuchHost.IsNotFound && len(s.names) == 0:
			klog.FromContext(ctx).V(5).Info("There is no zonal shift here, so no zone is shifted", "err", awsclient.Brief(err))
			return nil, nil
		case err != nil:
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
	ids, err := lookup.ZoneIDs(ctx, s.apis.EC2)
	if err != nil {
		return "", err
	}
	for name, its := range ids {
		s.names[its] = name
	}
	if s.names[id] == "" {
		s.names[id] = id // EC2 does not know the zone, so no group launches there
	}
	return s.names[id], nil
}
