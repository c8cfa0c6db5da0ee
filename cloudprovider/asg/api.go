package asg

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// AutoScalingAPI has this package's calls to EC2 Auto Scaling.
type AutoScalingAPI interface {
	groupsAPI
	launchspec.ConfigurationsAPI
	writesAPI
}

type groupsAPI interface {
	DescribeAutoScalingGroups(context.Context, *autoscaling.DescribeAutoScalingGroupsInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error)
	DescribeScalingActivities(context.Context, *autoscaling.DescribeScalingActivitiesInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error)
}

type writesAPI interface {
	SetDesiredCapacity(context.Context, *autoscaling.SetDesiredCapacityInput,
		...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error)
	LaunchInstances(context.Context, *autoscaling.LaunchInstancesInput,
		...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error)
	TerminateInstanceInAutoScalingGroup(context.Context, *autoscaling.TerminateInstanceInAutoScalingGroupInput,
		...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error)
}

// ErrGroupNotFound is the error of a write to a group that AWS no longer lists.
var ErrGroupNotFound = errors.New("auto scaling group not found: it was deleted, or lost the tags that select it")
