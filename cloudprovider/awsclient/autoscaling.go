package awsclient

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

// AutoScaling is the client of EC2 Auto Scaling. The SDK bounds the retries of a client. Writes have a client of their own, so that many
// throttled readings cost no launch, no termination and no heartbeat its retries. So have look-ups: each write begins with a reading.
type AutoScaling struct {
	readings
	lookups
	Writes
	Hooks
}

// readings has all calls but the ones that the others make.
type readings struct{ *autoscaling.Client }

type lookups interface {
	autoscaling.DescribeScalingActivitiesAPIClient
	autoscaling.DescribeLaunchConfigurationsAPIClient
	autoscaling.DescribeInstanceRefreshesAPIClient
	autoscaling.DescribeScheduledActionsAPIClient
}

// Writes are the calls that change the size of a group.
type Writes interface {
	SetDesiredCapacity(context.Context, *autoscaling.SetDesiredCapacityInput,
		...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error)
	LaunchInstances(context.Context, *autoscaling.LaunchInstancesInput,
		...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error)
	TerminateInstanceInAutoScalingGroup(context.Context, *autoscaling.TerminateInstanceInAutoScalingGroupInput,
		...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error)
}

// Hooks are the calls about lifecycle hooks. AWS ends an instance whose heartbeat is late.
type Hooks interface {
	CompleteLifecycleAction(context.Context, *autoscaling.CompleteLifecycleActionInput,
		...func(*autoscaling.Options)) (*autoscaling.CompleteLifecycleActionOutput, error)
	RecordLifecycleActionHeartbeat(context.Context, *autoscaling.RecordLifecycleActionHeartbeatInput,
		...func(*autoscaling.Options)) (*autoscaling.RecordLifecycleActionHeartbeatOutput, error)
	DescribeLifecycleHooks(context.Context, *autoscaling.DescribeLifecycleHooksInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeLifecycleHooksOutput, error)
}

// garbledRetries bounds the repetitions of a call whose answer could not be read.
const garbledRetries = 2

// DescribeAutoScalingGroups is the call of the SDK, repeated where a page cannot be read: every loop and every command needs it.
func (a *AutoScaling) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput,
	o ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	page, err := a.Client.DescribeAutoScalingGroups(ctx, in, o...)
	for again := 0; isGarbled(err) && again < garbledRetries && ctx.Err() == nil; again++ {
		page, err = a.Client.DescribeAutoScalingGroups(ctx, in, o...)
	}
	return page, err
}

// Once has the SDK make a call once, and sets most to how often it would make the call. The caller repeats it instead, because it first finds out what
// came of it.
func Once(most *int) func(*autoscaling.Options) {
	return func(o *autoscaling.Options) {
		*most, o.Retryer = o.Retryer.MaxAttempts(), retry.AddWithMaxAttempts(o.Retryer, 1)
	}
}

// WouldRepeat reports whether the SDK would have made the call again, had Once let it.
func WouldRepeat(err error) bool {
	_, worth := errors.AsType[*retry.MaxAttemptsError](err)
	return worth
}

// IsClockSkewed reports whether AWS refused the signature of a call that Once let through because this machine's clock is off. The SDK corrects the
// next call of the client.
func IsClockSkewed(err error) bool { return IsUnauthenticated(err) && WouldRepeat(err) }
