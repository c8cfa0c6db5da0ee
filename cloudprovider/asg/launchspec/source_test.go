package launchspec

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
)

func TestDistributionHasAWSDefaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   *types.InstancesDistribution
		want Source
	}{
		{name: "none", want: Source{OnDemandPercentageAboveBase: 100}},
		{name: "empty", in: &types.InstancesDistribution{}, want: Source{OnDemandPercentageAboveBase: 100}},
		{name: "all of it", in: &types.InstancesDistribution{
			OnDemandBaseCapacity: aws.Int32(2), OnDemandPercentageAboveBaseCapacity: aws.Int32(25),
			OnDemandAllocationStrategy: aws.String("prioritized"), SpotAllocationStrategy: aws.String("lowest-price"), SpotInstancePools: aws.Int32(3)},
			want: Source{OnDemandBase: 2, OnDemandPercentageAboveBase: 25, OnDemandStrategy: "prioritized", SpotStrategy: "lowest-price", SpotPools: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Mixed, tt.want.CapacityUnit = true, "units"
			got := SourceFrom(types.AutoScalingGroup{MixedInstancesPolicy: &types.MixedInstancesPolicy{InstancesDistribution: tt.in}})
			assert.Empty(t, cmp.Diff(tt.want, got), "source (-want +got)")
		})
	}
}

// One instance that is gone would count as thousands of missing ones.
func TestUnboundMemoryIsNoLessThanEC2sSmallest(t *testing.T) {
	for name, s := range map[string]Source{
		"by the launch template": {CapacityUnit: "memory-mib"},
		"by a minimum of 0":      {CapacityUnit: "memory-mib", Overrides: []Override{{Weight: 1, Requirements: &types.InstanceRequirements{MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(0)}}}}},
	} {
		assert.Equalf(t, 512, s.MinWeight(), "the least memory of an instance, with requirements %s", name)
	}
	assert.Equal(t, 1, Source{CapacityUnit: "vcpu"}.MinWeight(), "the fewest vCPUs of an instance")
}
