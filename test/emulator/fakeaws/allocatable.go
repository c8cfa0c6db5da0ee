package fakeaws

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// measuredKiB is the memory that kubelet reported on real nodes of EKS (Amazon Linux), in KiB. It comes before the measurements of the
// product's table, which are of Bottlerocket.
var measuredKiB = map[string]int64{
	"m5.large":     7845568,
	"m5.xlarge":    15919124,
	"t3.medium":    3931728,
	"t3.large":     8006060,
	"g4dn.xlarge":  16164852,
	"g5.8xlarge":   130461372,
	"trn1.2xlarge": 32332244,
	"p4d.24xlarge": 1176300008,
}

// unseenPercent is the percentage of EC2's stated memory that kubelet does not see, unless it was measured.
const unseenPercent = 5

// bootKiB of the root volume are taken by the boot partitions of AL2023, whatever the volume's size.
const bootKiB = 77844

// nodeCapacity is kubelet's report before any device plugin runs. maxPods 0 means the ENI formula.
func nodeCapacity(t InstanceType, maxPods, rootGiB int) corev1.ResourceList {
	memory := int64(t.MemoryMiB) * mib / 100 * (100 - unseenPercent) / kib * kib
	if measured := cmp.Or(measuredKiB[t.Name], t.MeasuredMemoryKiB); measured > 0 {
		memory = measured * kib
	}
	disk := int64(rootGiB)*gib - bootKiB*kib
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(t.VCPU), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(int64(first(maxPods, eniPods(t))), resource.DecimalSI),
		"hugepages-1Gi":                 *resource.NewQuantity(0, resource.DecimalSI),
		"hugepages-2Mi":                 *resource.NewQuantity(0, resource.DecimalSI),
	}
}

// eniPods is how many pods the network interfaces have addresses for. Two run on the host's own.
func eniPods(t InstanceType) int {
	if t.MaxENIs == 0 || t.IPv4PerENI == 0 {
		return 110
	}
	return t.MaxENIs*(t.IPv4PerENI-1) + 2
}

// allocatable is capacity less nodeadm's reservation and kubelet's hard eviction threshold. The reserved memory follows the ENI
// formula even where kubelet is given another number of pods.
func allocatable(t InstanceType, capacity corev1.ResourceList) corev1.ResourceList {
	out := capacity.DeepCopy()
	subtract(out, corev1.ResourceCPU, resource.NewMilliQuantity(reservedMillis(t.VCPU), resource.DecimalSI))
	subtract(out, corev1.ResourceMemory, resource.NewQuantity((255+11*int64(eniPods(t))+100)*mib, resource.BinarySI))
	disk := capacity[corev1.ResourceEphemeralStorage]
	evicted := int64(float64(disk.Value()) * float64(float32(0.1))) // kubelet keeps the threshold in single precision
	free := disk.Value() - evicted - gib
	out[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(free, resource.DecimalSI)
	return out
}

func subtract(list corev1.ResourceList, name corev1.ResourceName, reserved *resource.Quantity) {
	q := list[name]
	q.Sub(*reserved)
	list[name] = q
}

// reservedMillis of CPU: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest.
func reservedMillis(vcpu int) int64 {
	var hundredths int64 // of a millicore
	for core := 1; core <= vcpu; core++ {
		switch {
		case core == 1:
			hundredths += 6000
		case core == 2:
			hundredths += 1000
		case core <= 4:
			hundredths += 500
		default:
			hundredths += 250
		}
	}
	return hundredths / 100
}

// devices are the extended resources that device plugins publish.
func devices(t InstanceType, c NodeConfig) corev1.ResourceList {
	out := corev1.ResourceList{}
	switch {
	case t.GPUs > 0 && t.GPUManufacturer == "NVIDIA":
		for name, count := range sharedGPUs(t.GPUs, c) {
			out[corev1.ResourceName(name)] = *resource.NewQuantity(int64(count), resource.DecimalSI)
		}
	case t.GPUs > 0 && t.GPUManufacturer == "AMD":
		out["amd.com/gpu"] = *resource.NewQuantity(int64(t.GPUs), resource.DecimalSI)
	case t.GPUs > 0 && t.GPUManufacturer == "Habana":
		out["habana.ai/gaudi"] = *resource.NewQuantity(int64(t.GPUs), resource.DecimalSI)
	}
	if t.NeuronDevices > 0 {
		out["aws.amazon.com/neuron"] = *resource.NewQuantity(int64(t.NeuronDevices), resource.DecimalSI)
	}
	return out
}

// sharedGPUs are the names and numbers under which NVIDIA's device plugin publishes the GPUs of a node.
func sharedGPUs(gpus int, c NodeConfig) map[string]int {
	const whole = "nvidia.com/gpu"
	out := map[string]int{whole: gpus}
	if c.MIG != nil && c.MIG.Strategy != "none" {
		out[whole] = 0
		for profile, parts := range c.MIG.Devices {
			name := whole
			if c.MIG.Strategy == "mixed" {
				name = "nvidia.com/mig-" + profile
			}
			out[name] += gpus * parts
		}
	}
	return out
}
