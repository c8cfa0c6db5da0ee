package typelookup

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// maxTypesPerCall is the largest page of DescribeInstanceTypes (EC2 API reference, MaxResults).
const maxTypesPerCall = 100

// API is the one EC2 call that describes instance types.
type API interface {
	DescribeInstanceTypes(context.Context, *ec2.DescribeInstanceTypesInput, ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error)
}

// Describe returns the facts of the named types that the region has, in no order. With an error, those found before it. It
// asks by filter: asked by name, one type the region lacks would fail all the others.
func Describe(ctx context.Context, api API, names []string) ([]instancetypes.Type, error) {
	var found []instancetypes.Type
	for some := range slices.Chunk(names, maxTypesPerCall) {
		pages := ec2.NewDescribeInstanceTypesPaginator(api, &ec2.DescribeInstanceTypesInput{
			Filters:    []ec2types.Filter{{Name: aws.String("instance-type"), Values: some}},
			MaxResults: aws.Int32(maxTypesPerCall),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return found, fmt.Errorf("describe instance types: %w", err)
			}
			types, err := decode(page.InstanceTypes)
			if err != nil {
				return found, err
			}
			found = append(found, types...)
		}
	}
	return found, nil
}

// decode reads the answer like a file of the AWS CLI, whose members have the names of the SDK's fields.
func decode(infos []ec2types.InstanceTypeInfo) ([]instancetypes.Type, error) {
	if len(infos) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(infos)
	if err != nil {
		return nil, fmt.Errorf("instance types of EC2's answer: %w", err)
	}
	read, err := instancetypes.ParseDump(text)
	if err != nil {
		return nil, fmt.Errorf("instance types of EC2's answer: %w", err)
	}
	return read.Types(), nil
}
