package asg

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// Problem reasons of groups that use an older call.
const (
	ReasonLaunchDenied               = "launch-at-once-denied"
	ReasonLaunchUnanswered           = "launch-unanswered"
	ReasonBatchTerminationUnanswered = "batch-termination-unanswered"
)

// Fallback is the Problem of a group that uses an older call of Auto Scaling, or of all groups where Group is empty.
type Fallback struct {
	Group string
	launchspec.Problem
}

// Fallbacks returns the groups that use an older call because AWS denies the newer one or does not answer it, by name. One Fallback stands for all
// groups if all use it for lack of an answer.
func (c *Cache) Fallbacks() []Fallback {
	var fallbacks []Fallback
	denials := c.refusals.denials()
	for _, group := range slices.Sorted(maps.Keys(denials)) {
		action, needed, instead := denials[group].denied, ", which LaunchInstances needs", "so instances are asked for by the desired capacity: AWS then chooses the zones, and a lack of capacity shows only later"
		if action == "autoscaling:LaunchInstances" {
			needed = ""
		}
		if c.refusals.mode == LaunchSynchronous {
			instead = "and --asg-launch-mode=synchronous allows no other call"
		}
		remedy := fmt.Sprintf(`add {"Effect":"Allow","Action":%q,"Resource":"*"} to the policy of the autoscaler's role`, action)
		if _, where, explicit := strings.Cut(denials[group].reason, "with an explicit deny in "); explicit {
			remedy = fmt.Sprintf("except the autoscaler's role from the explicit deny of %s in %s", action, where)
		}
		fallbacks = append(fallbacks, Fallback{group, launchspec.Problem{Reason: ReasonLaunchDenied,
			Message: fmt.Sprintf("IAM does not allow %s%s, %s", action, needed, instead),
			Remedy:  remedy + "\nor do without LaunchInstances: --asg-launch-mode=desired-capacity"}})
	}
	add := func(outages []cooldown.Outage, reason, instead string) {
		for _, o := range outages {
			does, remedy := "does not answer", "look at the AWS Health Dashboard, or wait: it is tried again after "+o.Retry
			if awsmessage.Of("", o.Why).Class == awsmessage.Throttle {
				does, remedy = "throttles", "wait: it is tried again after "+o.Retry+", and look for other callers: aws cloudtrail lookup-events "+
					"--lookup-attributes AttributeKey=EventName,AttributeValue="+o.Call
			}
			fallbacks = append(fallbacks, Fallback{o.Group, launchspec.Problem{Reason: reason,
				Message: fmt.Sprintf("AWS %s %s (%s), so %s", does, o.Call, o.Why, instead), Remedy: remedy}})
		}
	}
	add(c.calls.launch.Outages(), ReasonLaunchUnanswered, "instances are asked for by the desired capacity")
	add(c.calls.batchTermination.Outages(), ReasonBatchTerminationUnanswered, "each is terminated by a call of its own")
	return fallbacks
}
