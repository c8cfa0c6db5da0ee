// Package backoff says how long a node group is left alone after a scale-up that failed, by the cause of the failure.
//
// A group that AWS has no capacity for, or whose nodes do not come up, is left alone for as long as the stock autoscaler's
// flags say. A call that AWS refused or did not answer says nothing of the group: it is tried again after seconds, and less
// and less often while it goes on failing.
package backoff

import (
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/backoff"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

const (
	// firstPause is the pause after the first call that failed; it doubles with each further one.
	firstPause = 5 * time.Second
	// callsForgotten is how long after the last failed call the next one counts as the first.
	callsForgotten = 10 * time.Minute
)

// ByCause implements the core's Backoff. It is used by the core's loop alone.
type ByCause struct {
	calls  backoff.Backoff // of calls that failed
	groups backoff.Backoff // of everything else
}

// New makes a ByCause with the durations of the flags --initial-node-group-backoff-duration,
// --max-node-group-backoff-duration and --node-group-backoff-reset-timeout. No call pauses for longer than initial.
func New(initial, most, reset time.Duration) *ByCause {
	return &ByCause{
		calls:  backoff.NewIdBasedExponentialBackoff(min(firstPause, initial), initial, min(callsForgotten, reset)),
		groups: backoff.NewIdBasedExponentialBackoff(initial, most, reset),
	}
}

// Backoff leaves the group alone from now on, and returns until when.
func (b *ByCause) Backoff(group cloudprovider.NodeGroup, info *framework.NodeInfo, cause cloudprovider.InstanceErrorInfo, now time.Time) time.Time {
	if cause.ErrorCode == string(errors.CloudProviderError) {
		return b.calls.Backoff(group, info, cause, now)
	}
	return b.groups.Backoff(group, info, cause, now)
}

// BackoffStatus tells whether the group is left alone, and why.
func (b *ByCause) BackoffStatus(group cloudprovider.NodeGroup, info *framework.NodeInfo, now time.Time) backoff.Status {
	if status := b.groups.BackoffStatus(group, info, now); status.IsBackedOff {
		return status
	}
	return b.calls.BackoffStatus(group, info, now)
}

// RemoveBackoff forgets the group's failures.
func (b *ByCause) RemoveBackoff(group cloudprovider.NodeGroup, info *framework.NodeInfo) {
	b.calls.RemoveBackoff(group, info)
	b.groups.RemoveBackoff(group, info)
}

// RemoveStaleBackoffData forgets failures that are long over.
func (b *ByCause) RemoveStaleBackoffData(now time.Time) {
	b.calls.RemoveStaleBackoffData(now)
	b.groups.RemoveStaleBackoffData(now)
}
