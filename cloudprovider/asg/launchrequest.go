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

// launchRequest is one call to come: so many instances in a zone.
type launchRequest struct {
	group string
	zone  string
	count int
	batch int // of the orders for this zone, which it is
	key   idempotencyKey
	began time.Time // when AWS was first asked
	alone bool      // the zone is the only one that will do
}

// wrap says which launch failed; nil stays nil.
func (o launchRequest) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("launch %d instances in %s of auto scaling group %q: %w", o.count, o.zone, o.group, err)
}

// meaningOf is what one error of an answer says.
func (g *Group) meaningOf(o launchRequest, e types.LaunchInstancesError) awsmessage.Meaning {
	return g.complete(awsmessage.OfLaunch(aws.ToString(e.ErrorCode), cooldown.Bounded(aws.ToString(e.ErrorMessage)), aws.ToString(e.InstanceType),
		cmp.Or(aws.ToString(e.AvailabilityZone), o.zone), aws.ToString(e.MarketType)))
}

// launchResult is what came of one call, or of several.
type launchResult struct {
	launched []Instance
	failures cooldown.Failures
	replayed bool // AWS repeated an answer that a process before us had
	// unweighed tells that it is not known how much the instances count for.
	unweighed bool
	missed    *unansweredError // what AWS did not answer to
	err       error            // why the group is not worth another call now
}

// LaunchError tells why AWS launched nothing, in AWS's words.
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
