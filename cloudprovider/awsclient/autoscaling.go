package awsclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/smithy-go/middleware"
)

// AutoScaling is the client of EC2 Auto Scaling. Once AWS throttles a reading, readings come more slowly by the SDK's adaptive
// rate. Writes have a rate of their own, so that many readings hold up no launch and no termination. So have look-ups: each write begins with a
// reading of its group, which no look-up holds up.
type AutoScaling struct {
	*autoscaling.Client // of readings
	lookups             *autoscaling.Client
	writes              *autoscaling.Client
}

// garbledRetries is how often an answer that could not be read is asked for again.
const garbledRetries = 2

// DescribeAutoScalingGroups is the call of the SDK, repeated where a page cannot be read: every loop and every command needs it.
func (a *AutoScaling) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput,
	o ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	page, err := a.Client.DescribeAutoScalingGroups(ctx, in, o...)
	for again := 0; IsGarbled(err) && again < garbledRetries && ctx.Err() == nil; again++ {
		page, err = a.Client.DescribeAutoScalingGroups(ctx, in, o...)
	}
	return page, err
}

// DescribeScalingActivities is the call of the SDK.
func (a *AutoScaling) DescribeScalingActivities(ctx context.Context, in *autoscaling.DescribeScalingActivitiesInput,
	o ...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error) {
	return a.lookups.DescribeScalingActivities(ctx, in, o...)
}

// DescribeLaunchConfigurations is the call of the SDK.
func (a *AutoScaling) DescribeLaunchConfigurations(ctx context.Context, in *autoscaling.DescribeLaunchConfigurationsInput,
	o ...func(*autoscaling.Options)) (*autoscaling.DescribeLaunchConfigurationsOutput, error) {
	return a.lookups.DescribeLaunchConfigurations(ctx, in, o...)
}

// SetDesiredCapacity is the call of the SDK.
func (a *AutoScaling) SetDesiredCapacity(ctx context.Context, in *autoscaling.SetDesiredCapacityInput,
	o ...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error) {
	return a.writes.SetDesiredCapacity(ctx, in, o...)
}

// LaunchInstances is the call of the SDK.
func (a *AutoScaling) LaunchInstances(ctx context.Context, in *autoscaling.LaunchInstancesInput,
	o ...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error) {
	return a.writes.LaunchInstances(ctx, in, o...)
}

// TerminateInstanceInAutoScalingGroup is the call of the SDK.
func (a *AutoScaling) TerminateInstanceInAutoScalingGroup(ctx context.Context, in *autoscaling.TerminateInstanceInAutoScalingGroupInput,
	o ...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	return a.writes.TerminateInstanceInAutoScalingGroup(ctx, in, o...)
}

// impatientTimeout replaces attemptTimeout for calls whose callers have an alternative.
const impatientTimeout = 4 * time.Second

// Impatient gives a call 4 s, and has the SDK repeat it where AWS throttles it and nowhere else: the caller first finds out what came of it.
func Impatient(o *autoscaling.Options) {
	o.Retryer = onlyThrottled{o.Retryer}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Impatient",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				ctx, cancel := context.WithTimeout(ctx, impatientTimeout)
				defer cancel()
				return next.HandleFinalize(ctx, in)
			}), "Retry", middleware.After)
	})
}

// RepeatIf has the SDK call still before each repetition of a call, and not repeat it after an error of still. The call then fails with the error of
// its last attempt as well. A setting without a condition needs it: what it was computed from may have changed since the first attempt.
func RepeatIf(still func() error) func(*autoscaling.Options) {
	return func(o *autoscaling.Options) {
		o.Retryer = unlessChanged{o.Retryer}
		var last error
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("RepeatIf",
				func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput, meta middleware.Metadata, err error) {
					if last != nil {
						if err := still(); err != nil {
							return out, meta, &changedError{why: err, last: last}
						}
					}
					out, meta, last = next.HandleFinalize(ctx, in)
					return out, meta, last
				}), "Retry", middleware.After)
		})
	}
}

// A changedError is why a call was not repeated after its last error.
type changedError struct{ why, last error }

func (e *changedError) Error() string { return fmt.Sprintf("%v; not repeated: %v", e.last, e.why) }

// Unwrap gives what came of the call. What came of still says nothing about it.
func (e *changedError) Unwrap() error { return e.last }

type unlessChanged struct{ aws.Retryer }

func (r unlessChanged) IsErrorRetryable(err error) bool {
	var changed *changedError
	return !errors.As(err, &changed) && r.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken forwards to the Retryer. The SDK would not find it in the embedded interface.
func (r unlessChanged) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	return attemptToken(ctx, r.Retryer)
}

type onlyThrottled struct{ aws.Retryer }

func (r onlyThrottled) IsErrorRetryable(err error) bool {
	return IsThrottled(err) && r.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken forwards to the Retryer. The SDK would not find it in the embedded interface.
func (r onlyThrottled) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	return attemptToken(ctx, r.Retryer)
}

func attemptToken(ctx context.Context, r aws.Retryer) (func(error) error, error) {
	if limited, ok := r.(aws.RetryerV2); ok {
		return limited.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}
