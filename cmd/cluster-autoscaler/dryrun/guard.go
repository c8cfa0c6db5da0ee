package dryrun

import (
	"context"
	"fmt"
	"regexp"
	"sync"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Guard keeps the writes of one dry run. It is safe for concurrent use.
type Guard struct {
	failed  context.CancelCauseFunc
	refuses bool   // see Refusing
	lease   string // the path of the one lease that may be written

	mu       sync.Mutex
	answered []string
	launches int // calls that ask for instances
	launched int // instances
}

const mostNamed = 10_000

// Refusing makes a Guard that refuses every write except to the process's own lease, in a process that goes on reading and in which nobody should
// try one.
func Refusing(namespace, lease string) *Guard {
	return &Guard{refuses: true, lease: "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases/" + lease, failed: func(error) {}}
}

// New makes a Guard. It calls failed once a read fails without which a dry run decides nothing.
func New(failed context.CancelCauseFunc) *Guard { return &Guard{failed: failed} }

// Answered names the writes that the Guard answered itself or refused, in their order.
func (g *Guard) Answered() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.answered...)
}

func (g *Guard) Launches() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.launches
}

// answer notes a write. The error refuses it.
func (g *Guard) answer(write string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered = append(g.answered[:min(len(g.answered), mostNamed-1)], write)
	if write == "LaunchInstances" || write == "SetDesiredCapacity" {
		g.launches++
	}
	if !g.refuses {
		return nil
	}
	return fmt.Errorf("a shadow writes nothing: %s was refused within the process", write)
}

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
