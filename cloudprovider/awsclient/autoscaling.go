package awsclient

import (
	"cmp"
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
	readings
	lookups
	Writes
}

// readings has all calls but the ones that the other two make.
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

// impatientTimeout replaces attemptTimeout for calls whose callers have an alternative.
const impatientTimeout = 4 * time.Second

// Impatient gives a call 4 s, and has the SDK repeat it where AWS throttles it and nowhere else: the caller first finds out what came of it.
func Impatient(o *autoscaling.Options) {
	o.Retryer = only{o.Retryer, IsThrottled}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Impatient",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				ctx, cancel := context.WithTimeout(ctx, impatientTimeout)
				defer cancel()
				return next.HandleFinalize(ctx, in)
			}), "Retry", middleware.After)
	})
}

// RepeatIf has the SDK call still before each repetition of a call, and not repeat it after an error of still. A setting without a condition needs it:
// what it was computed from may have changed since the first attempt. The call fails with the first error that leaves open whether AWS carried it out, if
// there is one: a refusal of a later attempt says nothing about that.
func RepeatIf(still func() error) func(*autoscaling.Options) {
	return func(o *autoscaling.Options) {
		o.Retryer = only{o.Retryer, func(err error) bool {
			var changed *changedError
			return !errors.As(err, &changed)
		}}
		r := &repetition{still: still}
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return errors.Join(stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RepeatIf", r.call), middleware.Before),
				stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("RepeatIf", r.attempt), "Retry", middleware.After))
		})
	}
}

// repetition is a call with RepeatIf. Its attempts follow one another.
type repetition struct {
	still      func() error
	last, open error // of the attempts. open leaves open whether AWS carried the call out
}

func (r *repetition) attempt(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput,
	meta middleware.Metadata, err error) {
	if r.last != nil {
		if err := r.still(); err != nil {
			return out, meta, &changedError{err}
		}
	}
	out, meta, r.last = next.HandleFinalize(ctx, in)
	if r.open == nil && r.last != nil && !IsRefused(r.last) {
		r.open = r.last
	}
	return out, meta, r.last
}

func (r *repetition) call(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput,
	meta middleware.Metadata, err error) {
	out, meta, err = next.HandleInitialize(ctx, in)
	var changed *changedError
	switch {
	case errors.As(err, &changed):
		err = fmt.Errorf("%w; not repeated: %v", cmp.Or(r.open, r.last), changed.why)
	case err != nil && r.open != nil && IsRefused(err):
		err = fmt.Errorf("%w; then: %v", r.open, err)
	}
	return out, meta, err
}

// A changedError is why a call was not repeated.
type changedError struct{ why error }

func (e *changedError) Error() string { return e.why.Error() }

// only is a Retryer that repeats a call after some errors only.
type only struct {
	aws.Retryer
	after func(error) bool
}

func (r only) IsErrorRetryable(err error) bool {
	return r.after(err) && r.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken forwards to the Retryer. The SDK would not find it in the embedded interface.
func (r only) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if limited, ok := r.Retryer.(aws.RetryerV2); ok {
		return limited.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}
