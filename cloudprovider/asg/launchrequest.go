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
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
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
	if err == nil {
		return nil
	}
	return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", o.count, o.zone, o.group, err)
}

func meaningOf(g *group.Group, o launchRequest, e types.LaunchInstancesError) awsmessage.Meaning {
	return g.Complete(awsmessage.OfLaunch(aws.ToString(e.ErrorCode), cooldown.Bounded(aws.ToString(e.ErrorMessage)), aws.ToString(e.InstanceType),
		cmp.Or(aws.ToString(e.AvailabilityZone), o.zone), aws.ToString(e.MarketType)))
}

type launchResult struct {
	launched []group.Instance
	failures cooldown.Failures
	replayed bool // AWS replayed an answer to a previous leader
	// unweighed reports that the weight of some instances is unknown.
	unweighed bool
	missed    *unansweredError // the launches that AWS did not answer
	err       error            // why another call is not worth it now
}

func union(list, others []group.Instance) []group.Instance {
	for _, o := range others {
		if !slices.ContainsFunc(list, func(i group.Instance) bool { return i.ID == o.ID }) {
			list = append(list, o)
		}
	}
	return list
}

// coolsDown reports whether a failure of the class keeps a group of so many zones from launching for minutes. If one zone lacks capacity, other zones
// are tried at once, where they serve.
func (o launchRequest) coolsDown(class awsmessage.Class, zones int) bool {
	switch class {
	case awsmessage.NoCapacity, awsmessage.SpotLimit:
		return o.alone || zones == 1
	case awsmessage.Quota, awsmessage.Permission, awsmessage.Configuration:
		return true
	}
	return false
}
