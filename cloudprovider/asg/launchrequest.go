package asg

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// launchRequest is one call to come: a number of instances in a zone.
type launchRequest struct {
	group string
	zone  string
	count int
	batch int // its number among the requests for the zone
	key   idempotencyKey
	began time.Time // the first try
	alone bool      // no other zone serves
}

// wrap adds the failed launch to the error. nil stays nil.
func (o launchRequest) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", o.count, o.zone, o.group, err)
}

// meaningOf returns the meaning of one error of an answer.
func meaningOf(g *Group, o launchRequest, e types.LaunchInstancesError) awsmessage.Meaning {
	return g.complete(awsmessage.OfLaunch(aws.ToString(e.ErrorCode), cooldown.Bounded(aws.ToString(e.ErrorMessage)), aws.ToString(e.InstanceType),
		cmp.Or(aws.ToString(e.AvailabilityZone), o.zone), aws.ToString(e.MarketType)))
}

// launchResult is the result of one call, or of several.
type launchResult struct {
	launched []Instance
	failures cooldown.Failures
	replayed bool // AWS replayed an answer to a previous leader
	// unweighed reports that the weight of some instances is unknown.
	unweighed bool
	missed    *unansweredError // the launches that AWS did not answer
	err       error            // why another call is not worth it now
}

// LaunchError is the error of a launch that brought nothing, in AWS's words.
type LaunchError struct {
	Group string
	cooldown.Failures
}

func (e *LaunchError) Error() string {
	var all []string
	for _, k := range e.Kinds() {
		all = append(all, fmt.Sprintf("%s (%s): %s", k.Code, k.Pools(), k.Message))
	}
	return fmt.Sprintf("launch in auto scaling group %q: %s", e.Group, strings.Join(all, "; "))
}
