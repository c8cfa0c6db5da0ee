package source

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// GetInstanceTypesFromInstanceRequirements answers from the catalogue. The catalogue knows no prices, generations, network or
// EBS bandwidth, so the answer includes types that EC2 would leave out because of them.
func (a *Account) GetInstanceTypesFromInstanceRequirements(in *ec2.GetInstanceTypesFromInstanceRequirementsInput) (*ec2.GetInstanceTypesFromInstanceRequirementsOutput, error) {
	out := &ec2.GetInstanceTypesFromInstanceRequirementsOutput{}
	for _, t := range a.types.Types() {
		if architectureIn(t, in.ArchitectureTypes) && in.InstanceRequirements != nil && met(in.InstanceRequirements, t) {
			out.InstanceTypes = append(out.InstanceTypes, ec2types.InstanceTypeInfoFromInstanceRequirements{InstanceType: aws.String(t.Name)})
		}
	}
	return out, nil
}

func architectureIn(t instancetypes.Type, architectures []ec2types.ArchitectureType) bool {
	want := ec2types.ArchitectureTypeX8664
	if t.Architecture == instancetypes.ArchitectureARM64 {
		want = ec2types.ArchitectureTypeArm64
	}
	isMac := strings.HasPrefix(t.Name, "mac")
	return !isMac && (len(architectures) == 0 || slices.Contains(architectures, want))
}

// met reports whether t meets the requirements, as far as the catalogue knows. Missing requirements follow EC2's defaults: no
// bare metal and no burstable types.
func met(r *ec2types.InstanceRequirementsRequest, t instancetypes.Type) bool {
	const mib = 1 << 20
	memoryMiB := t.MemoryBytes / mib
	return (r.VCpuCount == nil || between(t.VCPU, r.VCpuCount.Min, r.VCpuCount.Max)) &&
		(r.MemoryMiB == nil || between(int(memoryMiB), r.MemoryMiB.Min, r.MemoryMiB.Max)) &&
		(r.MemoryGiBPerVCpu == nil || between(float64(memoryMiB)/1024/float64(t.VCPU), r.MemoryGiBPerVCpu.Min, r.MemoryGiBPerVCpu.Max)) &&
		(r.TotalLocalStorageGB == nil || between(float64(t.LocalNVMeBytes)/1e9, r.TotalLocalStorageGB.Min, r.TotalLocalStorageGB.Max)) &&
		(r.NetworkInterfaceCount == nil || between(t.MaxENIs, r.NetworkInterfaceCount.Min, r.NetworkInterfaceCount.Max)) &&
		allowed(string(cmp.Or(r.BareMetal, ec2types.BareMetalExcluded)), t.BareMetal) &&
		allowed(string(cmp.Or(r.BurstablePerformance, ec2types.BurstablePerformanceExcluded)), burstable(t)) &&
		allowed(string(cmp.Or(r.LocalStorage, ec2types.LocalStorageIncluded)), t.LocalNVMeBytes > 0) &&
		(len(r.CpuManufacturers) == 0 || slices.Contains(r.CpuManufacturers, cpuMaker(t))) &&
		(len(r.AllowedInstanceTypes) == 0 || slices.ContainsFunc(r.AllowedInstanceTypes, like(t))) &&
		!slices.ContainsFunc(r.ExcludedInstanceTypes, like(t)) &&
		acceleratorsMet(r, t)
}

func acceleratorsMet(r *ec2types.InstanceRequirementsRequest, t instancetypes.Type) bool {
	memoryMiB := t.GPU.MemoryBytes / (1 << 20) * int64(t.GPU.Count)
	maker, kind := strings.ToLower(t.GPU.Manufacturer), ec2types.AcceleratorTypeGpu
	if t.NeuronDevices > 0 {
		maker, kind = "amazon-web-services", ec2types.AcceleratorTypeInference
	}
	name := strings.ReplaceAll(strings.ToLower(t.GPU.Name), " ", "-")
	return (r.AcceleratorCount == nil || between(t.GPU.Count+t.NeuronDevices, r.AcceleratorCount.Min, r.AcceleratorCount.Max)) &&
		(r.AcceleratorTotalMemoryMiB == nil || between(int(memoryMiB), r.AcceleratorTotalMemoryMiB.Min, r.AcceleratorTotalMemoryMiB.Max)) &&
		(len(r.AcceleratorManufacturers) == 0 || slices.Contains(r.AcceleratorManufacturers, ec2types.AcceleratorManufacturer(maker))) &&
		(len(r.AcceleratorTypes) == 0 || t.GPU.Count+t.NeuronDevices > 0 && slices.Contains(r.AcceleratorTypes, kind)) &&
		(len(r.AcceleratorNames) == 0 || slices.Contains(r.AcceleratorNames, ec2types.AcceleratorName(name)))
}

// between reports whether n is within bounds that may be missing.
func between[N int | float64, B int32 | float64](n N, least, most *B) bool {
	return (least == nil || n >= N(*least)) && (most == nil || n <= N(*most))
}

// allowed evaluates a property by EC2's three words for it.
func allowed(rule string, has bool) bool {
	return (rule != "required" || has) && (rule != "excluded" || !has)
}

// like matches the name of t against patterns such as m5.* and *3*.
func like(t instancetypes.Type) func(pattern string) bool {
	return func(pattern string) bool {
		ok, err := path.Match(pattern, t.Name)
		return err == nil && ok
	}
}

// burstable types have CPU credits: t1, t2, t3, t3a, t4g.
func burstable(t instancetypes.Type) bool {
	return len(t.Name) > 1 && t.Name[0] == 't' && t.Name[1] >= '0' && t.Name[1] <= '9'
}

// cpuMaker follows from the letters after the generation: a for AMD. ARM is AWS's own.
func cpuMaker(t instancetypes.Type) ec2types.CpuManufacturer {
	family, _, _ := strings.Cut(t.Name, ".")
	options := family[strings.IndexAny(family+"0", "0123456789"):]
	switch {
	case t.Architecture == instancetypes.ArchitectureARM64:
		return ec2types.CpuManufacturerAmazonWebServices
	case strings.Contains(options, "a"):
		return ec2types.CpuManufacturerAmd
	}
	return ec2types.CpuManufacturerIntel
}
