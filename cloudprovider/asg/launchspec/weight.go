package launchspec

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// MinWeight is the least capacity that one more instance adds. Where capacity counts vCPUs or memory, it is the requirements' minimum. Without one it is
// EC2's smallest, 512 MiB (t3.nano, read 2026-11).
func (s Source) MinWeight() int {
	if least := s.leastRequired(); least > 0 {
		return least
	}
	if s.CapacityUnit == unitMemory {
		return 512
	}
	return max(1, slices.MinFunc(s.entries(), func(a, b Override) int { return cmp.Compare(a.Weight, b.Weight) }).Weight)
}

// MaxWeight is the most capacity that one more instance adds, as far as the policy states it.
func (s Source) MaxWeight() int {
	weight := s.MinWeight()
	for _, o := range s.Overrides {
		weight = max(weight, o.Weight)
	}
	return weight
}

// Weighted reports whether an instance may count for more than one.
func (s Source) Weighted() bool { return s.MaxWeight() > 1 || s.CountsHardware() }

const (
	unitVCPU   = "vcpu"
	unitMemory = "memory-mib"
)

// CountsHardware reports whether an instance counts for its type's vCPUs or memory.
func (s Source) CountsHardware() bool {
	return s.CapacityUnit == unitVCPU || s.CapacityUnit == unitMemory
}

func (s Source) leastRequired() int {
	least := 0
	for _, o := range s.Overrides {
		var floor *int32
		switch {
		case o.Requirements == nil:
		case s.CapacityUnit == unitVCPU && o.Requirements.VCpuCount != nil:
			floor = o.Requirements.VCpuCount.Min
		case s.CapacityUnit == unitMemory && o.Requirements.MemoryMiB != nil:
			floor = o.Requirements.MemoryMiB.Min
		}
		if f := int(aws.ToInt32(floor)); f > 0 && (least == 0 || f < least) {
			least = f
		}
	}
	return least
}

// WeightOf returns the capacity that an instance of the type adds: the least, and false, for a type that types, maybe nil, do not know, or that no
// override of several weights names.
func (s Source) WeightOf(instanceType string, types *instancetypes.Catalogue) (weight int, known bool) {
	if s.CountsHardware() {
		var facts instancetypes.Type
		if types != nil {
			facts, _ = types.Lookup(instanceType)
		}
		weight := int(facts.MemoryBytes >> 20)
		if s.CapacityUnit == unitVCPU {
			weight = facts.VCPU
		}
		return cmp.Or(weight, s.MinWeight()), weight > 0
	}
	for _, o := range s.Overrides {
		if instanceType != "" && o.InstanceType == instanceType {
			return o.Weight, true
		}
	}
	return s.MinWeight(), s.MinWeight() == s.MaxWeight()
}
