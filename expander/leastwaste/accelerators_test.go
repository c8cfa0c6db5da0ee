package leastwaste

import (
	"testing"

	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

func claiming(count int) *apiv1.Pod {
	p := pod("1", "1Gi")
	p.Spec.ResourceClaims = make([]apiv1.PodResourceClaim, count)
	return p
}

// sharing is a node whose devices a driver shares out.
func sharing(info *framework.NodeInfo, driver string, list ...resourceapi.Device) *framework.NodeInfo {
	info.LocalResourceSlices = []*resourceapi.ResourceSlice{{Spec: resourceapi.ResourceSliceSpec{Driver: driver, Devices: list}}}
	return info
}

func TestClaimsCountAsDevicesOfDrivers(t *testing.T) {
	four := make([]resourceapi.Device, 4)
	for _, tt := range []struct {
		name          string
		node          *framework.NodeInfo
		pods          []*apiv1.Pod
		used, offered int64
	}{
		{"a claim of each pod", sharing(template("8", "32Gi"), "gpu.nvidia.com", four...), []*apiv1.Pod{claiming(1), claiming(2)}, 3, 4},
		{"no claim", sharing(template("8", "32Gi"), "gpu.nvidia.com", four...), []*apiv1.Pod{pod("1", "1Gi")}, 0, 4},
		{"never more than there are", sharing(template("8", "32Gi"), "gpu.nvidia.com", four...), []*apiv1.Pod{claiming(9)}, 4, 4},
		{"network interfaces", sharing(template("8", "32Gi"), "dra.net", four...), []*apiv1.Pod{claiming(1)}, 0, 0},
		{"by count or in slices", sharing(with(template("8", "32Gi"), gpu, "4"), "gpu.nvidia.com", four...), []*apiv1.Pod{claiming(3)}, 3, 4},
		{"GPUs that a plugin publishes", with(template("8", "32Gi"), gpu, "4"), []*apiv1.Pod{claiming(1)}, 0, 4},
	} {
		got := (&Filter{}).Explain([]expander.Option{option("a", 1, tt.pods)}, map[string]*framework.NodeInfo{"a": tt.node})[0]
		assert.Truef(t, got.Used.Accelerators == tt.used && got.Offered.Accelerators == tt.offered,
			"%s: %d of %d, want %d of %d", tt.name, got.Used.Accelerators, got.Offered.Accelerators, tt.used, tt.offered)
	}
}

func TestDividedGPUsCountOnce(t *testing.T) {
	const small, large = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"
	// Two of eight GPUs are divided, into eight small parts and two large ones.
	mixed := with(template("96", "1Ti"), gpu, "6", small, "8", large, "2")
	of := func(set string) []resourceapi.DeviceCounterConsumption {
		return []resourceapi.DeviceCounterConsumption{{CounterSet: set}}
	}
	// The driver offers each of two GPUs whole and in parts.
	divisible := sharing(template("8", "32Gi"), "gpu.nvidia.com", resourceapi.Device{Name: "gpu-0", ConsumesCounters: of("gpu-0")},
		resourceapi.Device{Name: "gpu-0-1g-0", ConsumesCounters: of("gpu-0")}, resourceapi.Device{Name: "gpu-0-1g-1", ConsumesCounters: of("gpu-0")},
		resourceapi.Device{Name: "gpu-1", ConsumesCounters: of("gpu-1")}, resourceapi.Device{Name: "gpu-1-1g-0", ConsumesCounters: of("gpu-1")})
	asks := func(count string, name string) *apiv1.Pod { return asking("1", "1Gi", name, count) }
	for _, tt := range []struct {
		name    string
		node    *framework.NodeInfo
		pods    []*apiv1.Pod
		used    int64
		offered int64
	}{
		{"all there is", mixed, []*apiv1.Pod{asks("6", gpu), asks("8", small), asks("2", large)}, 16, 16},
		{"one small part", mixed, []*apiv1.Pod{asks("1", small)}, 1, 16},
		{"the small parts alone", mixed, []*apiv1.Pod{asks("8", small)}, 8, 16},
		{"nothing but parts", with(template("96", "1Ti"), small, "4", large, "1"), []*apiv1.Pod{asks("4", small), asks("1", large)}, 5, 5},
		{"a claim on GPUs that can be divided", divisible, []*apiv1.Pod{claiming(1)}, 1, 2},
	} {
		got := (&Filter{}).Explain([]expander.Option{option("a", 1, tt.pods)}, map[string]*framework.NodeInfo{"a": tt.node})[0]
		assert.Truef(t, got.Used.Accelerators == tt.used && got.Offered.Accelerators == tt.offered,
			"%s: %d of %d, want %d of %d", tt.name, got.Used.Accelerators, got.Offered.Accelerators, tt.used, tt.offered)
	}
}
