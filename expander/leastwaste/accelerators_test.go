package leastwaste

import (
	"testing"

	"github.com/stretchr/testify/assert"
	apiv1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// devices are the devices that a cluster allocates by dynamic resource allocation.
type devices struct {
	claims  map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim
	classes map[string]*resourceapi.DeviceClass
}

// newDevices knows the classes of NVIDIA's driver, one that an administrator made for it, and one of network interfaces.
func newDevices() *devices {
	d := &devices{map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{}, map[string]*resourceapi.DeviceClass{}}
	for name, expression := range map[string]string{
		"gpu.nvidia.com": `device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == 'gpu'`,
		"mig.nvidia.com": `device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == 'mig'`,
		"fast":           `device.driver == "gpu.nvidia.com"`,
		"dra.net":        `device.driver == 'dra.net'`,
	} {
		class := &resourceapi.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
		class.Spec.Selectors = []resourceapi.DeviceSelector{{CEL: &resourceapi.CELDeviceSelector{Expression: expression}}}
		d.classes[name] = class
	}
	return d
}

func (d *devices) snapshot() *drasnapshot.Snapshot {
	return drasnapshot.NewSnapshot(d.claims, nil, nil, d.classes)
}

func (d *devices) claim(name string, requests ...resourceapi.DeviceRequest) string {
	claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: name}}
	claim.Spec.Devices.Requests = requests
	d.claims[drasnapshot.GetClaimId(claim)] = claim
	return name
}

func (d *devices) claimedBy(pod *apiv1.Pod, names ...string) *apiv1.Pod {
	for _, name := range names {
		pod.Spec.ResourceClaims = append(pod.Spec.ResourceClaims, apiv1.PodResourceClaim{Name: name, ResourceClaimName: &name})
	}
	return pod
}

func exactly(class string, count int64) resourceapi.DeviceRequest {
	return resourceapi.DeviceRequest{Name: class, Exactly: &resourceapi.ExactDeviceRequest{
		DeviceClassName: class, AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: count}}
}

// sharing is a node whose devices a driver shares out.
func sharing(info *framework.NodeInfo, driver string, list ...resourceapi.Device) *framework.NodeInfo {
	info.LocalResourceSlices = []*resourceapi.ResourceSlice{{Spec: resourceapi.ResourceSliceSpec{Driver: driver, Devices: list}}}
	return info
}

func TestClaimsCountByTheAcceleratorsTheyAskFor(t *testing.T) {
	d := newDevices()
	one := func() *apiv1.Pod { return pod("1", "1Gi") }
	all := exactly("gpu.nvidia.com", 0)
	all.Exactly.AllocationMode = resourceapi.DeviceAllocationModeAll
	watching := exactly("gpu.nvidia.com", 4)
	watching.Exactly.AdminAccess = new(true)
	either := resourceapi.DeviceRequest{Name: "either", FirstAvailable: []resourceapi.DeviceSubRequest{
		{DeviceClassName: "gpu.nvidia.com", Count: 2}, {DeviceClassName: "mig.nvidia.com", Count: 4}}}
	for name, request := range map[string]resourceapi.DeviceRequest{"own-0": exactly("gpu.nvidia.com", 1), "own-1": exactly("gpu.nvidia.com", 1),
		"own-2": exactly("gpu.nvidia.com", 1), "shared": exactly("gpu.nvidia.com", 2), "network": exactly("dra.net", 1), "unknown": exactly("no-such-class", 1),
		"made": exactly("fast", 3), "all": all, "watching": watching, "either": either, "nine": exactly("gpu.nvidia.com", 9)} {
		d.claim(name, request)
	}
	d.claim("both", exactly("dra.net", 1), exactly("gpu.nvidia.com", 1))
	four := sharing(template("8", "32Gi"), "gpu.nvidia.com", make([]resourceapi.Device, 4)...)
	for _, tt := range []struct {
		name string
		pods []*apiv1.Pod
		want int64 // of the 4 of one node
	}{
		{"a claim for each pod", []*apiv1.Pod{d.claimedBy(one(), "own-0"), d.claimedBy(one(), "own-1"), d.claimedBy(one(), "own-2")}, 3},
		{"one claim of all pods", []*apiv1.Pod{d.claimedBy(one(), "shared"), d.claimedBy(one(), "shared"), d.claimedBy(one(), "shared")}, 2},
		{"a network interface", []*apiv1.Pod{d.claimedBy(one(), "network")}, 0},
		{"a network interface and a GPU", []*apiv1.Pod{d.claimedBy(one(), "both")}, 1},
		{"a class that nobody knows", []*apiv1.Pod{d.claimedBy(one(), "unknown")}, 0},
		{"a claim that nobody knows", []*apiv1.Pod{d.claimedBy(one(), "lost")}, 0},
		{"an administrator's class", []*apiv1.Pod{d.claimedBy(one(), "made")}, 3},
		{"all of a node", []*apiv1.Pod{d.claimedBy(one(), "all")}, 4},
		{"administrators' access", []*apiv1.Pod{d.claimedBy(one(), "watching")}, 0},
		{"the first of alternatives", []*apiv1.Pod{d.claimedBy(one(), "either")}, 2},
		{"never more than there are", []*apiv1.Pod{d.claimedBy(one(), "nine")}, 4},
	} {
		got := New(d.snapshot).Explain([]expander.Option{option("a", 1, tt.pods)}, map[string]*framework.NodeInfo{"a": four})[0]
		assert.Truef(t, got.Accelerator == "gpu.nvidia.com" && got.Used.Accelerators == tt.want && got.Offered.Accelerators == 4,
			"%s: %d of %d %s, want %d of 4 gpu.nvidia.com", tt.name, got.Used.Accelerators, got.Offered.Accelerators, got.Accelerator, tt.want)
	}
}

func TestClaimsCountForNothingWithoutDynamicResourceAllocation(t *testing.T) {
	d := newDevices()
	claiming := d.claimedBy(pod("1", "1Gi"), d.claim("gpu", exactly("gpu.nvidia.com", 1)))
	four := sharing(template("8", "32Gi"), "gpu.nvidia.com", make([]resourceapi.Device, 4)...)
	for _, f := range []*Filter{New(nil), New(func() *drasnapshot.Snapshot { return nil })} {
		got := f.Explain([]expander.Option{option("a", 1, []*apiv1.Pod{claiming})}, map[string]*framework.NodeInfo{"a": four})[0]
		assert.EqualValues(t, 0, got.Used.Accelerators, "accelerators are used")
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
	d := newDevices()
	part := d.claimedBy(pod("1", "1Gi"), d.claim("part", exactly("mig.nvidia.com", 1)))
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
		{"a claim on GPUs that can be divided", divisible, []*apiv1.Pod{part}, 1, 2},
	} {
		got := New(d.snapshot).Explain([]expander.Option{option("a", 1, tt.pods)}, map[string]*framework.NodeInfo{"a": tt.node})[0]
		assert.Truef(t, got.Used.Accelerators == tt.used && got.Offered.Accelerators == tt.offered,
			"%s: %d of %d, want %d of %d", tt.name, got.Used.Accelerators, got.Offered.Accelerators, tt.used, tt.offered)
	}
}
