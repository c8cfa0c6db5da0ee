package aws

import (
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

const mib = 1 << 20

// typeFrom turns EC2's description of an instance type into its facts. Every field of it may be missing.
func typeFrom(info ec2types.InstanceTypeInfo) instancetypes.Type {
	t := instancetypes.Type{
		Name:         string(info.InstanceType),
		Architecture: instancetypes.ArchitectureAMD64,
		BareMetal:    awssdk.ToBool(info.BareMetal),
		Source:       "ec2:DescribeInstanceTypes",
	}
	if info.VCpuInfo != nil {
		t.VCPU = int(awssdk.ToInt32(info.VCpuInfo.DefaultVCpus))
	}
	if info.MemoryInfo != nil {
		t.MemoryBytes = awssdk.ToInt64(info.MemoryInfo.SizeInMiB) * mib
	}
	if info.ProcessorInfo != nil {
		for _, a := range info.ProcessorInfo.SupportedArchitectures {
			if a == ec2types.ArchitectureTypeArm64 || a == ec2types.ArchitectureTypeArm64Mac {
				t.Architecture = instancetypes.ArchitectureARM64
			}
		}
	}
	if info.GpuInfo != nil {
		t.GPU = gpuFrom(info.GpuInfo.Gpus)
	}
	if info.NeuronInfo != nil {
		for _, d := range info.NeuronInfo.NeuronDevices {
			t.NeuronDevices += int(awssdk.ToInt32(d.Count))
		}
	}
	networkFrom(info.NetworkInfo, &t)
	if s := info.InstanceStorageInfo; s != nil && (s.NvmeSupport == ec2types.EphemeralNvmeSupportRequired || s.NvmeSupport == ec2types.EphemeralNvmeSupportSupported) {
		t.LocalNVMeBytes = awssdk.ToInt64(s.TotalSizeInGB) * 1_000_000_000
	}
	return t
}

// gpuFrom counts the GPUs. A type with a fraction of one reports none whole; it is taken for one, as its driver publishes
// it.
func gpuFrom(devices []ec2types.GpuDeviceInfo) instancetypes.GPU {
	var gpu instancetypes.GPU
	for _, d := range devices {
		gpu.Manufacturer, gpu.Name = awssdk.ToString(d.Manufacturer), awssdk.ToString(d.Name)
		gpu.Count += max(1, int(awssdk.ToInt32(d.Count)))
		if d.MemoryInfo != nil {
			gpu.MemoryBytes = int64(awssdk.ToInt32(d.MemoryInfo.SizeInMiB)) * mib
		}
	}
	return gpu
}

// networkFrom takes the interfaces of the default network card, from which pods get their addresses.
func networkFrom(n *ec2types.NetworkInfo, t *instancetypes.Type) {
	if n == nil {
		return
	}
	t.IPv4PerENI = int(awssdk.ToInt32(n.Ipv4AddressesPerInterface))
	t.MaxENIs = int(awssdk.ToInt32(n.MaximumNetworkInterfaces))
	if card := int(awssdk.ToInt32(n.DefaultNetworkCardIndex)); card >= 0 && card < len(n.NetworkCards) {
		if most := int(awssdk.ToInt32(n.NetworkCards[card].MaximumNetworkInterfaces)); most > 0 {
			t.MaxENIs = most
		}
	}
	if awssdk.ToBool(n.EfaSupported) && n.EfaInfo != nil {
		t.EFAInterfaces = int(awssdk.ToInt32(n.EfaInfo.MaximumEfaInterfaces))
	}
}
