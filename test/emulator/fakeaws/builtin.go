package fakeaws

import "github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"

// builtinTypes are the product's own facts about types. The node is computed here again, without the product's formulas.
func builtinTypes() []InstanceType {
	var out []InstanceType
	for _, t := range instancetypes.Embedded().Types() {
		out = append(out, InstanceType{
			Name: t.Name, VCPU: t.VCPU, MemoryMiB: int(t.MemoryBytes / mib), Architecture: t.Architecture,
			GPUs: t.GPU.Count, GPUManufacturer: t.GPU.Manufacturer, GPUName: t.GPU.Name, GPUMemoryMiB: int(t.GPU.MemoryBytes / mib),
			NeuronDevices: t.NeuronDevices, EFAInterfaces: t.EFAInterfaces, MaxENIs: t.MaxENIs, IPv4PerENI: t.IPv4PerENI,
			MeasuredMemoryKiB: t.MeasuredMemoryBytes / kib, BareMetal: t.BareMetal, LocalNVMeGB: int(t.LocalNVMeBytes / 1_000_000_000),
		})
	}
	return out
}
