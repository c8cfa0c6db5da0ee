package recorded

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Middleware has clients of the SDK answer from the Account. A call without recorded answers fails as one that the region lacks, so that
// its caller does without. No request is put together, let alone sent.
func (a *Account) Middleware(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Recorded",
		func(ctx context.Context, in middleware.InitializeInput, _ middleware.InitializeHandler) (
			out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
			out.Result, err = a.answer(ctx, middleware.GetOperationName(ctx), in.Parameters)
			return out, metadata, err
		}), middleware.After)
}

func (a *Account) answer(ctx context.Context, operation string, in any) (any, error) {
	switch in := in.(type) {
	case *autoscaling.DescribeAutoScalingGroupsInput:
		return a.DescribeAutoScalingGroups(ctx, in)
	case *autoscaling.DescribeScalingActivitiesInput:
		return a.DescribeScalingActivities(ctx, in)
	case *autoscaling.DescribeLaunchConfigurationsInput:
		return a.DescribeLaunchConfigurations(ctx, in)
	case *ec2.DescribeLaunchTemplateVersionsInput:
		return a.DescribeLaunchTemplateVersions(ctx, in)
	case *ec2.DescribeImagesInput:
		return a.DescribeImages(ctx, in)
	case *ec2.GetInstanceTypesFromInstanceRequirementsInput:
		return a.GetInstanceTypesFromInstanceRequirements(ctx, in)
	case *eks.DescribeNodegroupInput:
		return a.DescribeNodegroup(ctx, in)
	}
	return nil, &smithy.GenericAPIError{Code: "UnsupportedOperation", Message: "answers of " + operation + " are not recorded", Fault: smithy.FaultClient}
}
