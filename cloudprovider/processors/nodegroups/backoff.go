package nodegroups

import (
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/backoff"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

const (
	// firstPause is the pause after the first call that failed. It doubles with each further one, up to longestPause: where AWS throttled
	// for minutes, the groups should not stand still for minutes after that.
	firstPause, longestPause = 5 * time.Second, time.Minute
	// callsForgotten is how long after the last failed call the next one counts as the first.
	callsForgotten = 10 * time.Minute
)

// Pauses implements the core's Backoff. It is used by the core's loop alone.
type Pauses struct {
	calls  backoff.Backoff // calls that failed, and launches that failed for a reason that passes by itself
	pools  backoff.Backoff // launches that have a cool-down of their own
	groups backoff.Backoff // everything else
}

// NewPauses makes a Pauses with the durations of the flags --initial-node-group-backoff-duration, --max-node-group-backoff-duration and
// --node-group-backoff-reset-timeout. Failed calls and refused launches never pause a group for longer than initial, nor failed
// calls for longer than longestPause.
func NewPauses(initial, most, reset time.Duration) *Pauses {
	return &Pauses{
		calls:  backoff.NewIdBasedExponentialBackoff(min(firstPause, initial), min(longestPause, initial), min(callsForgotten, reset)),
		pools:  backoff.NewIdBasedExponentialBackoff(min(cooldown.ShortestPoolCoolDown, initial), min(cooldown.ShortestPoolCoolDown, initial), reset),
		groups: backoff.NewIdBasedExponentialBackoff(initial, most, reset),
	}
}

func (b *Pauses) Backoff(group cloudprovider.NodeGroup, info *framework.NodeInfo, cause cloudprovider.InstanceErrorInfo, now time.Time) time.Time {
	class := awsmessage.Of(cause.ErrorCode, cause.ErrorMessage).Class
	switch {
	case cause.ErrorCode == string(metrics.Timeout): // its text is the core's, with the group's name
	case cause.ErrorCode == string(errors.CloudProviderError), class == awsmessage.Transient, class == awsmessage.Throttle:
		return b.calls.Backoff(group, info, cause, now)
	case class != awsmessage.Unknown && class != awsmessage.Cancelled:
		return b.pools.Backoff(group, info, cause, now)
	}
	return b.groups.Backoff(group, info, cause, now)
}

func (b *Pauses) BackoffStatus(group cloudprovider.NodeGroup, info *framework.NodeInfo, now time.Time) backoff.Status {
	for _, causes := range []backoff.Backoff{b.groups, b.pools} {
		if status := causes.BackoffStatus(group, info, now); status.IsBackedOff {
			return status
		}
	}
	return b.calls.BackoffStatus(group, info, now)
}

func (b *Pauses) RemoveBackoff(group cloudprovider.NodeGroup, info *framework.NodeInfo) {
	b.calls.RemoveBackoff(group, info)
	b.pools.RemoveBackoff(group, info)
	b.groups.RemoveBackoff(group, info)
}

func (b *Pauses) RemoveStaleBackoffData(now time.Time) {
	b.calls.RemoveStaleBackoffData(now)
	b.pools.RemoveStaleBackoffData(now)
	b.groups.RemoveStaleBackoffData(now)
}
