package lookup

import (
	"context"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/utils/clock"
)

const (
	// The image of an instance changes only with its root volume, and Auto Scaling itself states it then. But a Cache forgets a key by the age of its
	// answer alone. So instances that stay are asked about daily, and those that are gone are forgotten an hour later.
	imagesAge  = 24 * time.Hour
	imagesKeep = imagesAge + time.Hour
)

// NewImages makes a Cache that finds out the images of instances, by ID. It makes one call per 200. With a nil api it knows what it learns.
func NewImages(api InstancesAPI, c clock.Clock) *Cache[string] {
	return New(c, api != nil, Question[string]{AtOnce: instancesPerCall, Age: imagesAge, Keep: imagesKeep,
		Ask: func(ctx context.Context, ids []string) (map[string]string, error) {
			images := map[string]string{}
			err := DescribeInstances(ctx, api, ids, func(i ec2types.Instance) { images[awssdk.ToString(i.InstanceId)] = awssdk.ToString(i.ImageId) })
			return images, err
		},
		Failure: "Could not see the images of instances",
		Remedy:  "allow ec2:DescribeInstances; until then no node is replaced for its image"})
}

// DescribeInstances shows the instances with the IDs, at most 200 of them, that EC2 knows. Endpoints other than AWS's may ignore
// the filter.
func DescribeInstances(ctx context.Context, api InstancesAPI, ids []string, see func(ec2types.Instance)) error {
	pages := ec2.NewDescribeInstancesPaginator(api, &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: awssdk.String("instance-id"), Values: ids}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if slices.Contains(ids, awssdk.ToString(i.InstanceId)) {
					see(i)
				}
			}
		}
	}
	return nil
}
