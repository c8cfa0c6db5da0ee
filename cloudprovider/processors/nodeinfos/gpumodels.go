package nodeinfos

import (
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

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
