package nodeinfos

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	drautils "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/utils"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
)

// nvidiaDriver is NVIDIA's driver for dynamic resource allocation, and the device class it installs for whole GPUs
// (github.com/NVIDIA/k8s-dra-driver-gpu, read 2026-11).
const nvidiaDriver = "gpu.nvidia.com"

// sharing describes how a cluster shares its GPUs by dynamic resource allocation.
type sharing struct {
	// alsoByCount is set where the driver also serves pods that ask for nvidia.com/gpu.
	alsoByCount bool
	nodes       map[string]shown // by Auto Scaling group
}

// shown collects how the live nodes of a group publish their GPUs.
type shown struct {
	byPlugin bool                         // as nvidia.com/gpu, or in parts of it
	byDriver bool                         // in slices
	slices   []*resourceapi.ResourceSlice // the driver's, from one of the nodes whose type the group still launches
}

// sharing looks at the cluster. It returns nil without the device class of NVIDIA's driver.
func (n *Provider) sharing(ctx *cacontext.AutoscalingContext, nodes []*corev1.Node) *sharing {
	if ctx == nil || !ctx.DynamicResourceAllocationEnabled || ctx.ClusterSnapshot == nil {
		return nil
	}
	devices := ctx.ClusterSnapshot.DraSnapshot()
	if devices == nil {
		return nil
	}
	class, err := devices.DeviceClasses().Get(nvidiaDriver)
	if err != nil {
		return nil // there is no such class
	}
	s := &sharing{nodes: map[string]shown{},
		alsoByCount: ptr.Deref(class.Spec.ExtendedResourceName, "") == instancetypes.ResourceNVIDIA}
	for _, node := range nodes {
		if group := n.provider.NodeGroupOf(node); group != nil {
			seen := s.nodes[group.AutoScalingGroup()]
			seen.byPlugin = seen.byPlugin || showsGPUs(node)
			all, _ := devices.NodeResourceSlices(node.Name)
			published := ofDriver(all)
			seen.byDriver = seen.byDriver || len(published) > 0
			v := n.provider.View()
			own, _ := stated(v, node)
			if len(seen.slices) == 0 && !ofFormerType(own, v.Group(group.Id()), v.Catalogue()) {
				seen.slices = published
			}
			s.nodes[group.AutoScalingGroup()] = seen
		}
	}
	return s
}

func showsGPUs(node *corev1.Node) bool {
	q := node.Status.Allocatable[instancetypes.ResourceNVIDIA]
	return !q.IsZero() || divided(node.Status.Allocatable, instancetypes.ResourceNVIDIA)
}

func nvidias(s *resourceapi.ResourceSlice) bool { return s.Spec.Driver == nvidiaDriver }

// ofDriver returns the slices that the driver itself has published.
func ofDriver(all []*resourceapi.ResourceSlice) []*resourceapi.ResourceSlice {
	return slices.DeleteFunc(slices.Clone(all), func(s *resourceapi.ResourceSlice) bool { return !nvidias(s) || nodemeta.Assumed.On(s) })
}

// complete gives info the devices that the group's next node will show. A live node is the first source if all types of the group
// have the same GPUs, the driver's rules for the types are the second. A group whose nodes publish their GPUs by count, through the device
// plugin, gets none. Nodes of a driver that serves counts show no count, and the next one has the template's. counted reports whether info is
// the cached NodeInfo of a node with a count.
func (s *sharing) complete(info *framework.NodeInfo, counted bool, t *fromgroup.Template, catalogue *instancetypes.Catalogue) {
	seen := s.nodes[t.Group]
	cached := ofDriver(info.LocalResourceSlices)
	live := len(cached) > 0 || seen.byDriver
	if live && !seen.byPlugin && s.alsoByCount != showsGPUs(info.Node()) {
		node := info.Node()
		delete(node.Status.Capacity, instancetypes.ResourceNVIDIA)
		delete(node.Status.Allocatable, instancetypes.ResourceNVIDIA)
		if promised, is := t.Capacity[instancetypes.ResourceNVIDIA]; is && s.alsoByCount {
			node.Status.Capacity[instancetypes.ResourceNVIDIA], node.Status.Allocatable[instancetypes.ResourceNVIDIA] = promised, promised
		}
		info.SetNode(node)
	}
	switch {
	case len(cached) > 0 && sameGPUs(t.InstanceTypes, catalogue):
		for _, slice := range cached {
			if !seen.byDriver {
				nodemeta.Assumed.Mark(slice)
			}
		}
	case len(seen.slices) > 0 && sameGPUs(t.InstanceTypes, catalogue):
		assume(info, renamed(seen.slices, info.Node().Name))
	case live || !seen.byPlugin && !counted && !divided(info.Node().Status.Allocatable, instancetypes.ResourceNVIDIA) &&
		!t.Seen.Learnt.Lacks(instancetypes.ResourceNVIDIA):
		var assumed []*resourceapi.ResourceSlice
		if devices := nvidiaDevices(t.InstanceTypes, catalogue); len(devices) > 0 {
			assumed = append(assumed, nvidiaSlice(info.Node().Name, devices))
		}
		assume(info, assumed)
	}
}

// sameGPUs reports whether the types have the same GPUs, in the same number.
func sameGPUs(types []string, catalogue *instancetypes.Catalogue) bool {
	return !slices.ContainsFunc(types, func(name string) bool {
		first, _ := catalogue.Lookup(types[0])
		its, _ := catalogue.Lookup(name)
		return its.GPU != first.GPU
	})
}

// assume leaves info these slices of the driver alone, which it marks as assumed.
func assume(info *framework.NodeInfo, assumed []*resourceapi.ResourceSlice) {
	for _, slice := range assumed {
		nodemeta.Assumed.Mark(slice)
	}
	info.LocalResourceSlices = append(slices.DeleteFunc(info.LocalResourceSlices, nvidias), assumed...)
}

// renamed returns copies of a node's slices for another.
func renamed(others []*resourceapi.ResourceSlice, node string) []*resourceapi.ResourceSlice {
	copies, _, err := drautils.SanitizedNodeResourceSlices(others, node, node)
	if err != nil {
		return nil // a slice without a node, which the snapshot does not list by node
	}
	return copies
}

// nvidiaSlice returns a slice as the driver publishes it: one pool for each node, with the node's name.
func nvidiaSlice(node string, devices []resourceapi.Device) *resourceapi.ResourceSlice {
	return &resourceapi.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: node + "-" + nvidiaDriver},
		Spec: resourceapi.ResourceSliceSpec{
			Driver:   nvidiaDriver,
			NodeName: &node,
			Pool:     resourceapi.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1},
			Devices:  devices,
		},
	}
}

// nvidiaDevices returns the devices that a node of any of the types has: the smallest number, the least memory, and the attributes
// that all types share. It returns none if a type is unknown or has no NVIDIA GPU.
func nvidiaDevices(types []string, catalogue *instancetypes.Catalogue) (devices []resourceapi.Device) {
	for i, name := range types {
		facts, ok := catalogue.Lookup(name)
		if !ok || facts.GPU.Manufacturer != "NVIDIA" || facts.GPU.Count == 0 {
			return nil
		}
		of := devicesOf(facts.GPU)
		if i == 0 {
			devices = of
		}
		devices = devices[:min(len(devices), len(of))]
		for d := range devices {
			devices[d] = common(devices[d], of[d])
		}
	}
	return devices
}

// devicesOf returns the devices of one type, named and described as the driver does. It leaves out facts that only the node knows:
// the GPU's own identifier, its place on the bus, the versions of the software.
func devicesOf(gpu instancetypes.GPU) []resourceapi.Device {
	devices := make([]resourceapi.Device, gpu.Count)
	model, memory := gpuModelOf(gpu)
	for i := range devices {
		devices[i] = resourceapi.Device{
			Name:       fmt.Sprintf("gpu-%d", i),
			Attributes: model.attributes(),
			Capacity: map[resourceapi.QualifiedName]resourceapi.DeviceCapacity{
				"memory": {Value: *resource.NewQuantity(memory, resource.BinarySI)},
			},
		}
	}
	return devices
}

// common returns the facts that hold for both devices, which have the same name. It changes a.
func common(a, b resourceapi.Device) resourceapi.Device {
	for name, value := range a.Attributes {
		other := b.Attributes[name]
		if ptr.Deref(value.StringValue, "") != ptr.Deref(other.StringValue, "") ||
			ptr.Deref(value.VersionValue, "") != ptr.Deref(other.VersionValue, "") {
			delete(a.Attributes, name)
		}
	}
	const memory = "memory"
	if mine, theirs := a.Capacity[memory].Value, b.Capacity[memory]; theirs.Value.Cmp(mine) < 0 {
		a.Capacity[memory] = theirs
	}
	return a
}

// gpuModel describes a GPU of EC2 as NVIDIA's management library does, and with it NVIDIA's DRA driver.
type gpuModel struct {
	product      string // "" where it is not known
	architecture string
	compute      string // compute capability as a semantic version
	memoryMiB    int64  // as the library counts it, which may be less than the size sold, 0 where it is not known
}

// gpuModels are keyed by EC2's name of the GPU and its memory in MiB. The memory comes from nvidia-smi (github.com/modal-labs/modal-client
// pull 2797, 2025-01), or from EC2 where that is less. Product, architecture and compute capability carry NVIDIA's names. Listings of EC2
// instances confirm Tesla T4 and NVIDIA A10G. The other products are unchecked. A live node replaces all of them.
var gpuModels = map[string]map[int64]gpuModel{
	"V100": {16384: {product: "Tesla V100-SXM2-16GB", architecture: "Volta", compute: "7.0.0"},
		32768: {product: "Tesla V100-SXM2-32GB", architecture: "Volta", compute: "7.0.0"}},
	"T4":   {16384: {product: "Tesla T4", architecture: "Turing", compute: "7.5.0", memoryMiB: 15360}},
	"T4g":  {16384: {product: "NVIDIA T4G", architecture: "Turing", compute: "7.5.0"}},
	"A10G": {22888: {product: "NVIDIA A10G", architecture: "Ampere", compute: "8.6.0", memoryMiB: 22888}},
	"A100": {40960: {product: "NVIDIA A100-SXM4-40GB", architecture: "Ampere", compute: "8.0.0", memoryMiB: 40960},
		81920: {product: "NVIDIA A100-SXM4-80GB", architecture: "Ampere", compute: "8.0.0", memoryMiB: 81920}},
	"L4":   {22888: {product: "NVIDIA L4", architecture: "Ada Lovelace", compute: "8.9.0", memoryMiB: 22888}},
	"L40S": {45776: {product: "NVIDIA L40S", architecture: "Ada Lovelace", compute: "8.9.0", memoryMiB: 45776}},
	"H100": {81920: {product: "NVIDIA H100 80GB HBM3", architecture: "Hopper", compute: "9.0.0", memoryMiB: 81559}},
	"H200": {144384: {product: "NVIDIA H200", architecture: "Hopper", compute: "9.0.0"}},
}

// gpuModelOf returns the model of a GPU and its memory in bytes, never more than the library will count. Where that is not known, it
// takes a sixteenth off EC2's figure. A fraction of a card has no known model.
func gpuModelOf(gpu instancetypes.GPU) (gpuModel, int64) {
	const mib = 1 << 20
	var model gpuModel
	if gpu.Fraction == 0 {
		model = gpuModels[gpu.Name][gpu.MemoryBytes/mib]
	}
	if model.memoryMiB > 0 {
		return model, model.memoryMiB * mib
	}
	return model, gpu.MemoryBytes / 16 * 15
}

// attributes returns the attributes of the driver's GPUs that are known beforehand, by the driver's names.
func (m gpuModel) attributes() map[resourceapi.QualifiedName]resourceapi.DeviceAttribute {
	attributes := map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{"type": {StringValue: ptr.To("gpu")}}
	if m.product != "" {
		attributes["productName"] = resourceapi.DeviceAttribute{StringValue: &m.product}
		attributes["architecture"] = resourceapi.DeviceAttribute{StringValue: &m.architecture}
		attributes["cudaComputeCapability"] = resourceapi.DeviceAttribute{VersionValue: &m.compute}
	}
	return attributes
}
