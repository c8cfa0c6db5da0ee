package lookup

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// maxTypesPerCall is the largest page of DescribeInstanceTypes (EC2 API reference, MaxResults).
const maxTypesPerCall = 100

type TypesAPI = ec2.DescribeInstanceTypesAPIClient

// typesAge is the time before we ask EC2 again about a type that it does not know.
const typesAge = 10 * time.Minute

// Types keeps the catalogue, and adds the types in use that it lacks: one call per hundred. Safe for concurrent use.
type Types struct {
	*Cache[struct{}] // the catalogue has the answers
	catalogue        atomic.Pointer[instancetypes.Catalogue]
}

// NewTypes makes a Types over a catalogue. A nil api never adds to it.
func NewTypes(api TypesAPI, known *instancetypes.Catalogue, c clock.Clock) *Types {
	t := &Types{}
	t.catalogue.Store(known)
	t.Cache = New(c, api != nil, Question[struct{}]{AtOnce: maxTypesPerCall, Age: typesAge,
		Ask: func(ctx context.Context, names []string) (map[string]struct{}, error) {
			found, err := DescribeTypes(ctx, api, names)
			if len(found) > 0 {
				t.catalogue.Store(t.catalogue.Load().With(found...))
				klog.FromContext(ctx).V(1).Info("Looked up instance types that the built-in list lacks", "asked", names, "found", len(found))
			}
			return nil, err
		},
		Failure: "Could not look up instance types, the groups that launch only unknown ones stay out",
		Remedy:  "allow ec2:DescribeInstanceTypes, or bring a list with --asg-instance-types-file"})
	return t
}

// Catalogue returns all known types. The pointer stays the same until a type is added.
func (t *Types) Catalogue() *instancetypes.Catalogue { return t.catalogue.Load() }

// DescribeTypes returns the facts of the named types that the region has, in no order, and the error of the others. It asks by filter: asked by name, one type the region lacks would fail all the others.
func DescribeTypes(ctx context.Context, api TypesAPI, names []string) ([]instancetypes.Type, error) {
	var found []instancetypes.Type
	var malformed error
	for some := range slices.Chunk(names, maxTypesPerCall) {
		pages := ec2.NewDescribeInstanceTypesPaginator(api, &ec2.DescribeInstanceTypesInput{
			Filters:    []ec2types.Filter{{Name: awssdk.String("instance-type"), Values: some}},
			MaxResults: awssdk.Int32(maxTypesPerCall),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return found, fmt.Errorf("describe instance types: %w", err)
			}
			for _, info := range page.InstanceTypes {
				if !slices.Contains(some, string(info.InstanceType)) {
					continue // an endpoint that ignores the filter
				}
				one, err := decode(info)
				found, malformed = append(found, one...), cmp.Or(malformed, err)
			}
		}
	}
	return found, malformed
}

// decode reads a type like a file of the AWS CLI, whose members have the names of the SDK's fields.
func decode(info ec2types.InstanceTypeInfo) ([]instancetypes.Type, error) {
	text, err := json.Marshal(ec2.DescribeInstanceTypesOutput{InstanceTypes: []ec2types.InstanceTypeInfo{info}})
	if err != nil {
		return nil, fmt.Errorf("instance types of EC2's answer: %w", err)
	}
	return instancetypes.ParseDump(text)
}
