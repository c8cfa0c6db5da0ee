package asg

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// launchRequest is one call to come: a number of instances in a zone.
type launchRequest struct {
	group string
	zone  string
	count int
	batch int // its number among the requests for the zone
	key   ledger.Key
	began time.Time // the first try
	alone bool      // no other zone serves
}

func (o launchRequest) wrap(err error) error {
	return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", o.count, o.zone, o.group, err)
}

func meaningOf(g *group.Group, o launchRequest, e types.LaunchInstancesError) awsmessage.Meaning {
	return g.Complete(awsmessage.OfLaunch(aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage), aws.ToString(e.InstanceType),
		cmp.Or(aws.ToString(e.AvailabilityZone), o.zone), aws.ToString(e.MarketType)))
}

type launchResult struct {
	launched []group.Instance
	failures cooldown.Failures
	passing  map[string]string // zones with a failure that does not close them, and AWS's words
	replayed bool              // AWS replayed an answer to a previous leader
	missed   *unansweredError  // the launches that AWS did not answer
	err      error             // why another call is not worth it now
}

func union(list, others []group.Instance) []group.Instance {
	for _, o := range others {
		if !slices.ContainsFunc(list, func(i group.Instance) bool { return i.ID == o.ID }) {
			list = append(list, o)
		}
	}
	return list
}

func (c *Cache) synchronously(g *group.Group) (bool, error) {
	if c.options.LaunchMode == LaunchDesiredCapacity {
		return false, nil
	}
	e := c.notSynchronous(g)
	if e != nil && c.options.LaunchMode == LaunchSynchronous {
		return false, e
	}
	return e == nil, nil
}

// notSynchronous returns why LaunchInstances does not serve the group now, or nil.
func (c *Cache) notSynchronous(g *group.Group) *notSynchronous {
	if e := launchableSynchronously(g); e != nil {
		return e
	}
	if why, open := c.calls.launch.Open(g.Name); open {
		return &notSynchronous{fmt.Sprintf("AWS does not answer LaunchInstances (%s)", why), "wait: it is tried again after some minutes"}
	}
	return c.refusals.of(g.Name)
}

// plan divides n instances among the available zones of the group, or puts them all into the one named zone. The zone with the fewest instances comes
// first, and AWS's order decides among equals. A zone whose cool-down has just ended gets one as a probe. The zones in without get none.
func (c *Cache) plan(g *group.Group, named string, n int, without map[string]string) []launchRequest {
	have, want, most := map[string]int{}, map[string]int{}, map[string]int{}
	for _, i := range g.Counted() {
		have[i.Zone]++
	}
	var open []string
	for _, zone := range g.Zones {
		_, closed := c.available.inZone(g, zone)
		if _, failed := without[zone]; !closed && !failed && (named == "" || zone == named) {
			open = append(open, zone)
		}
	}
	quiet := slices.DeleteFunc(slices.Clone(open), func(zone string) bool { return c.available.interruptedIn(g, zone) })
	if len(quiet) > 0 { // otherwise EC2 has lately interrupted instances in each
		open = quiet
	}
	for _, zone := range open {
		most[zone] = n
		if !slices.ContainsFunc(g.Pools(zone), func(p cooldown.Pool) bool { return !c.available.failed.Probing(g.Name, p) }) {
			most[zone] = 1
		}
	}
	for range n {
		best := ""
		for _, zone := range open {
			if want[zone] < most[zone] && (best == "" || have[zone]+want[zone] < have[best]+want[best]) {
				best = zone
			}
		}
		if best == "" {
			break
		}
		want[best]++
	}
	var orders []launchRequest
	for _, zone := range open {
		for batch := 0; want[zone] > 0; batch++ {
			count := min(want[zone], launchesPerCall)
			orders = append(orders, launchRequest{group: g.Name, zone: zone, count: count, batch: batch, alone: named != ""})
			want[zone] -= count
		}
	}
	return orders
}
