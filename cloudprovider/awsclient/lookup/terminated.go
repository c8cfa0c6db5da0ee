package lookup

import (
	"context"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"
)

const (
	instancesPerCall = 200       // the most values a filter of DescribeInstances takes (EC2 API reference, Filters)
	terminatedAge    = time.Hour // the time for which we remember an instance that left its group. Its node is long deleted by then
)

type InstancesAPI = ec2.DescribeInstancesAPIClient

// NewTerminated makes a Cache that finds out whether instances that left their groups were terminated, or detached and still run. It makes
// one call per 200. With a nil api it knows what it learns.
func NewTerminated(api InstancesAPI, c clock.Clock) *Cache[bool] {
	return New(c, api != nil, Question[bool]{AtOnce: instancesPerCall, Keep: terminatedAge,
		Ask: func(ctx context.Context, ids []string) (map[string]bool, error) {
			terminated := map[string]bool{}
			for _, id := range ids {
				terminated[id] = true // also where EC2 has it no more
			}
			err := DescribeInstances(ctx, api, ids, func(i ec2types.Instance) {
				if !IsTerminated(i) {
					terminated[awssdk.ToString(i.InstanceId)] = false
				}
			})
			if err != nil {
				return nil, err
			}
			return terminated, nil
		},
		Failure: "Could not see whether instances that left their groups were terminated",
		Remedy:  "allow ec2:DescribeInstances; until then their nodes are left to Kubernetes"})
}

// IsTerminated reports whether EC2 terminates the instance or has terminated it.
func IsTerminated(i ec2types.Instance) bool {
	return i.State != nil && (i.State.Name == ec2types.InstanceStateNameTerminated || i.State.Name == ec2types.InstanceStateNameShuttingDown)
}
