package asg

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// capacity writes desired capacities, and repairs lost updates of its writes.
type capacity struct {
	groups     *groups
	reader     *reader
	locks      *locks
	activities *activities
	api        writesAPI
	clock      clock.PassiveClock
}

// setDesired sets the desired capacity and returns when AWS accepted it, by AWS's clock if the answer has its time. The caller has the
// group lock, and g is fresh.
func (w *capacity) setDesired(ctx context.Context, g *Group, desired int) (accepted time.Time, err error) {
	accepted = w.clock.Now()
	out, err := w.api.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
		AutoScalingGroupName: aws.String(g.Name), DesiredCapacity: aws.Int32(int32(desired)), HonorCooldown: aws.Bool(false),
	})
	if err != nil {
		return accepted, fmt.Errorf("set desired capacity of auto scaling group %q from %d to %d: %w", g.Name, g.DesiredCapacity, desired, err)
	}
	if told, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		accepted = told
	}
	klog.FromContext(ctx).V(0).Info("Set desired capacity", "group", g.Name, "from", g.DesiredCapacity, "to", desired)
	return accepted, nil
}
