package awsclient

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

// AutoScaling is the client of EC2 Auto Scaling. Once AWS throttles a reading, readings come more slowly by the SDK's adaptive
// rate; writes have a rate of their own, so that many readings hold up no launch and no termination.
type AutoScaling struct {
	*autoscaling.Client // of readings
	writes              *autoscaling.Client
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
