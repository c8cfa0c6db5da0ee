package aws

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/grouptemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
)

// zonesAPI is the one EC2 call that tells the identifiers of zones.
type zonesAPI interface {
	DescribeAvailabilityZones(context.Context, *ec2.DescribeAvailabilityZonesInput,
		...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error)
}

// zoneIDs are the identifiers of zones by their names, which mean other zones in other AWS accounts. It is immutable, and
// empty where the cluster's nodes carry no such label: cloud controllers before Kubernetes 1.30 set none, and no node may
// be promised with a label that it will not have. A cluster without any node promises none either.
type zoneIDs struct{ byName map[string]string }

// learnZoneIDs reads the identifiers off the cluster's nodes. For the zones of groups that have no node, EC2 is asked in the
// background.
func (p *Provider) learnZoneIDs(nodes []*corev1.Node, v *view) *zoneIDs {
	shown := map[string]string{}
	for _, node := range nodes {
		zone, id := node.Labels[corev1.LabelTopologyZone], node.Labels[podzone.LabelZoneID]
		if zone != "" && id != "" {
			shown[zone] = id
		}
	}
	ids := &zoneIDs{byName: map[string]string{}}
	if len(shown) > 0 {
		maps.Copy(ids.byName, p.zones.found())
		maps.Copy(ids.byName, shown)
		if ids.lacks(v) {
			p.zones.want()
		}
	}
	p.zoneIDs.Store(ids)
	return ids
}

// lacks reports whether a group may launch in a zone of which the identifier is not known.
func (z *zoneIDs) lacks(v *view) bool {
	for name := range v.templates {
		for _, zone := range v.groups[name].Zones {
			if z.byName[zone] == "" {
				return true
			}
		}
	}
	return false
}

// nameOf returns the name of the zone with that identifier; "" where it is not known.
func (z *zoneIDs) nameOf(id string) string {
	for name, known := range z.byName {
		if known == id {
			return name
		}
	}
	return ""
}

// complete adds the identifier of its zone to the labels of the NodeInfo's node, which is the core's own copy. What a tag
// or the node itself says stays.
func (z *zoneIDs) complete(info *framework.NodeInfo, t *grouptemplate.Template) {
	node := info.Node()
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	if id := z.byName[node.Labels[corev1.LabelTopologyZone]]; id != "" && node.Labels[podzone.LabelZoneID] == "" {
		node.Labels[podzone.LabelZoneID] = id
	}
	if _, several := t.Assumed[corev1.LabelTopologyZone]; several {
		node.Labels[LabelZoneAssumed] = "true"
	}
}

// zonesAge is how long EC2 is left alone after it answered: what it did not tell, it will not tell soon.
const zonesAge = time.Hour

// zoneLookup asks EC2 for the identifiers of the region's zones, in the background and only once they are wanted: one call.
// It is safe for concurrent use.
type zoneLookup struct {
	api   zonesAPI // nil: nobody is asked
	clock clock.Clock
	wake  chan struct{}
	said  string // why zones could not be looked up; of the goroutine that looks up

	mu     sync.Mutex
	known  map[string]string
	asked  time.Time
	wanted bool
}

func newZoneLookup(api zonesAPI, c clock.Clock) *zoneLookup {
	return &zoneLookup{api: api, clock: c, wake: make(chan struct{}, 1)}
}

// found are the identifiers that EC2 told, by the zone's name. Not to be changed.
func (l *zoneLookup) found() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// want says that an identifier is missing.
func (l *zoneLookup) want() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.clock.Now(); l.asked.IsZero() || now.Sub(l.asked) >= zonesAge {
		l.asked, l.wanted = now, true
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (l *zoneLookup) run(ctx context.Context) {
	if l.api == nil {
		return
	}
	lookUps(ctx, l.clock, l.wake, 0, l.lookUp)
}

// lookUp asks for the zones if they are wanted, and says once why it could not.
func (l *zoneLookup) lookUp(ctx context.Context) error {
	l.mu.Lock()
	wanted := l.wanted
	l.mu.Unlock()
	if !wanted {
		return nil
	}
	out, err := l.api.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		if why := awsclient.Reason(err); ctx.Err() == nil && why != l.said {
			l.said = why
			klog.FromContext(ctx).Info("Could not look up zones, groups in zones without a node do not promise the label "+podzone.LabelZoneID,
				"err", awsclient.Brief(err), "remedy", "allow ec2:DescribeAvailabilityZones if pods ask for it")
		}
		return fmt.Errorf("describe availability zones: %w", err)
	}
	l.said = ""
	known := map[string]string{}
	for _, zone := range out.AvailabilityZones {
		known[awssdk.ToString(zone.ZoneName)] = awssdk.ToString(zone.ZoneId)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.wanted = known, false
	return nil
}
