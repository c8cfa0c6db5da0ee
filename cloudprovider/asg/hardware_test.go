package asg_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// hardware is a world with a group "a" whose capacity is counted in the unit, and which may launch the types.
func hardware(t *testing.T, unit string, zones int, instanceTypes ...string) *world {
	t.Helper()
	g := scalingGroup("a", 0, 0, map[string]int{"vcpu": 1_000, "memory-mib": 1_000_000}[unit])
	g.Zones = []string{"us-west-2a", "us-west-2b", "us-west-2c"}[:zones]
	g.DesiredCapacityType = unit
	g = mixing(g, fakeaws.Override{Requirements: &fakeaws.InstanceRequirements{VCPUs: fakeaws.Range{Min: 2}, MemoryMiB: fakeaws.Range{Min: 8192}, AllowedInstanceTypes: instanceTypes}})
	w := newWorldOf(t, fakeaws.Config{Delays: quick, LaunchTemplates: []fakeaws.LaunchTemplate{workers("")}, AutoScalingGroups: []fakeaws.AutoScalingGroup{g}}, discovered)
	return w.with(func(o *asg.Options) { o.LaunchMode, o.Types = asg.LaunchAuto, instancetypes.Embedded })
}

func TestCapacityInHardwareIsLaunchedOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range []asg.LaunchMode{asg.LaunchAuto, asg.LaunchDesiredCapacity} {
		for _, zones := range []int{1, 3} {
			for _, tt := range []struct {
				unit          string
				types         []string
				wantDesired   int
				wantInstances int
			}{
				{"vcpu", []string{"m5.4xlarge"}, 16, 1}, // one instance has what the eight smallest had together
				{"vcpu", []string{"m5.large", "m5.4xlarge"}, 16, 8},
				{"memory-mib", []string{"m5.4xlarge"}, 64 << 10, 1},
			} {
				t.Run(fmt.Sprintf("%s, %d zones, %s of %v", mode, zones, tt.unit, tt.types), bubbled(func(t *testing.T) {
					w := hardware(t, tt.unit, zones, tt.types...).with(func(o *asg.Options) { o.LaunchMode = mode }).started()
					w.increase(8)
					w.waitWhile("AWS has not launched all", func() bool { state, _ := w.aws.Group("a"); return len(state.Instances) < tt.wantInstances })
					w.refresh()
					g := w.group("a")
					assert.Equal(t, tt.wantDesired, w.desired("a"), "desired capacity")
					assert.Equal(t, [3]int{tt.wantInstances, 0, tt.wantInstances}, [3]int{len(g.Counted()), g.Missing(), g.TargetInstances()},
						"instances, missing, and a target in nodes")
				}))
			}
		}
	}
}

func TestHardwareOfSmallTypesIsSpreadOverZones(t *testing.T) {
	w := hardware(t, "vcpu", 3, "m5.large").started()
	w.increase(7)
	assert.Equal(t, "map[a:3 b:2 c:2]", fmt.Sprint(w.perZone("a")), "instances by zone, want them spread")
}

func TestHardwareOfUnknownTypesIsLaunchedOnce(t *testing.T) {
	for _, stated := range []bool{true, false} { // AWS states the weights, or EC2 names the types later
		t.Run(fmt.Sprintf("stated %t", stated), func(t *testing.T) {
			var known *instancetypes.Catalogue
			w := hardware(t, "vcpu", 3, "m5.4xlarge").with(func(o *asg.Options) { o.Types = func() *instancetypes.Catalogue { return known } })
			w.calls.edit = func(g *types.AutoScalingGroup) {
				for at := range g.Instances {
					weight := "16"
					if stated {
						g.Instances[at].WeightedCapacity = &weight
					}
				}
			}
			w.started()
			if !stated {
				known = instancetypes.Embedded()
			}
			w.increase(8)
			w.refresh()
			g := w.group("a")
			assert.Equal(t, [3]int{16, 1, 0}, [3]int{w.desired("a"), len(g.Counted()), g.Missing()}, "desired, instances and missing")
		})
	}
}

// AWS launches instances of types that are newer than the catalogue, and counts more for them than we know.
func TestNothingIsTakenBackWhileWeightsAreUnknown(t *testing.T) {
	w := hardware(t, "vcpu", 1, "m5.xlarge").with(func(o *asg.Options) {
		o.LaunchMode, o.Types = asg.LaunchDesiredCapacity, func() *instancetypes.Catalogue { return nil }
	}).started()
	w.increase(4)
	w.listed(2)
	w.eventuallyInService("a", 2)
	w.refresh()
	assert.Equal(t, 0, w.group("a").Withdrawable(), "instances to take back")
	w.withdraws(2, 0, 8)
	assert.Empty(t, w.kills(), "instances that AWS ended")
}
