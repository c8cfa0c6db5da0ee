package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// sameMemory is the least share of the largest type's memory at which two types count as of one size.
const sameMemory = 0.95

// checkSizes compares the types of each group. A pod that fits only the larger ones gets no node, and the rest of a larger node is paid for nothing.
func checkSizes(_ context.Context, in *installation, c *Check) (looked bool) {
	if in.groups.missing(c) {
		return false
	}
	in.eachGroup(func(g *asg.Group) {
		var types []instancetypes.Type
		if g.LaunchSpec != nil {
			for _, t := range g.LaunchSpec.Types {
				if known, ok := in.groups.value.Catalogue.Lookup(t.Name); ok {
					types = append(types, known)
				}
			}
		}
		if len(types) < 2 {
			return
		}
		small := slices.MinFunc(types, bySize)
		large := slices.MaxFunc(types, bySize)
		if small.VCPU == large.VCPU && float64(small.MemoryBytes) >= sameMemory*float64(large.MemoryBytes) {
			return
		}
		c.find(group(g), fmt.Sprintf("its types differ in size: %s and %s. A new node is only known to be as large as the smallest", size(small), size(large)),
			"the types of its launch template and overrides", "asgctl template "+shellword.Quote(g.Name)+", then make one group for each size")
	})
	return true
}

func bySize(a, b instancetypes.Type) int {
	if a.VCPU != b.VCPU {
		return a.VCPU - b.VCPU
	}
	return int(a.MemoryBytes>>20 - b.MemoryBytes>>20)
}

func size(t instancetypes.Type) string {
	return fmt.Sprintf("%s with %d vCPU and %.4g GiB", t.Name, t.VCPU, float64(t.MemoryBytes)/(1<<30))
}
