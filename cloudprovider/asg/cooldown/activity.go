package cooldown

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// FailedLaunch is a launch that AWS gave up, by AWS's clock.
type FailedLaunch struct {
	Failure
	Ended time.Time
}

// FailedLaunches returns the failed launches among the activities, in their order.
func FailedLaunches(activities []types.Activity) []FailedLaunch {
	var failures []FailedLaunch
	for _, a := range activities {
		if !failed(a) {
			continue
		}
		f := FailedLaunch{Failure: *failureFrom(aws.ToString(a.StatusMessage), aws.ToTime(a.StartTime)), Ended: aws.ToTime(a.EndTime)}
		if f.Ended.Before(f.At) {
			f.Ended = f.At
		}
		failures = append(failures, f)
	}
	return failures
}

// failed reports whether the activity is a launch that failed: EC2 refused it, or the instance died before it was in service. AWS calls
// the second "Cancelled", as it does a launch that somebody took back.
func failed(a types.Activity) bool {
	if !strings.HasPrefix(aws.ToString(a.Description), "Launching") {
		return false
	}
	return a.StatusCode == types.ScalingActivityStatusCodeFailed ||
		a.StatusCode == types.ScalingActivityStatusCodeCancelled && strings.Contains(aws.ToString(a.StatusMessage), "became unhealthy")
}

// Lasts reports whether AWS's next attempt has no better chance than the failed one.
func (f FailedLaunch) Lasts() bool {
	return f.Class != awsmessage.Transient && f.Class != awsmessage.Throttle
}

// Newest returns the first of the failures that counts, or nil.
func Newest(failures []FailedLaunch, counts func(FailedLaunch) bool) *Failure {
	if at := slices.IndexFunc(failures, counts); at >= 0 {
		return &failures[at].Failure
	}
	return nil
}

// Subject reads what an activity does to which instance, such as "Launching a new EC2 instance: i-1" or "Terminating EC2 instance: i-1".
// The ID is empty where the description names none.
func Subject(a types.Activity) (id string, launching, terminating bool) {
	act, rest, _ := strings.Cut(aws.ToString(a.Description), "EC2 instance: ")
	id, _, _ = strings.Cut(rest, " ")
	return id, strings.HasPrefix(act, "Launching"), strings.HasPrefix(act, "Terminating")
}
