package dryrun

import (
	"context"
	"fmt"
	"regexp"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// AWS puts the Guard outermost into the middleware of a client of AWS, so that no write is even put together.
func (g *Guard) AWS(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("DryRun",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error) {
			operation := middleware.GetOperationName(ctx)
			if !reads.MatchString(operation) {
				if err := g.answer(operation); err != nil {
					return middleware.InitializeOutput{}, middleware.Metadata{}, err
				}
				out, err := g.carriedOut(operation, in.Parameters)
				return middleware.InitializeOutput{Result: out}, middleware.Metadata{}, err
			}
			out, metadata, err := next.HandleInitialize(ctx, in)
			if err != nil && operation == "DescribeAutoScalingGroups" && ctx.Err() == nil {
				g.failed(fmt.Errorf("read the Auto Scaling groups: %w", err))
			}
			return out, metadata, err
		}), middleware.Before)
}

// reads are known by their names, which AWS keeps to in the services that the autoscaler uses.
var reads = regexp.MustCompile("^(Describe|List|Get)")

// carriedOut is AWS's answer to a write that succeeds. A write without an answer here is refused.
func (g *Guard) carriedOut(operation string, in any) (any, error) {
	switch in := in.(type) {
	case *autoscaling.LaunchInstancesInput:
		return &autoscaling.LaunchInstancesOutput{AutoScalingGroupName: in.AutoScalingGroupName, ClientToken: in.ClientToken,
			Instances: []types.InstanceCollection{g.launch(in)}}, nil
	case *autoscaling.SetDesiredCapacityInput:
		return &autoscaling.SetDesiredCapacityOutput{}, nil
	}
	return nil, &smithy.GenericAPIError{Code: "DryRunOperation", Message: operation + " is not carried out in a dry run", Fault: smithy.FaultClient}
}

// launch makes up the instances of a launch. Their type stays unknown, because AWS chooses it.
func (g *Guard) launch(in *autoscaling.LaunchInstancesInput) types.InstanceCollection {
	g.mu.Lock()
	defer g.mu.Unlock()
	instances := types.InstanceCollection{}
	if len(in.AvailabilityZones) > 0 {
		instances.AvailabilityZone = awssdk.String(in.AvailabilityZones[0])
	}
	for range awssdk.ToInt32(in.RequestedCapacity) {
		g.launched++
		instances.InstanceIds = append(instances.InstanceIds, fmt.Sprintf("i-dryrun%011d", g.launched))
	}
	return instances
}
