package nodetemplate

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// Resources that a node of the EKS images keeps from pods: nodeadm of awslabs/amazon-eks-ami (read 2026-08), whose table
// Bottlerocket and the AL2 bootstrap script share. None of them sets system-reserved.
const (
	evictionMemoryBytes    = 100 * mib // evictionHard memory.available
	kubeReservedMemory     = 255 * mib // kube-reserved memory is this much
	kubeReservedPerPod     = 11 * mib  // and this for every pod
	kubeReservedDiskBytes  = gib       // kube-reserved ephemeral-storage
	defaultMaxPods         = 110       // kubelet's own, where interface limits are not known
	defaultRootVolumeBytes = 20 * gib  // EKS images and managed node groups
)

// Windows differs (EKS user guide, "Deploy Windows nodes", and EKS best practices guide, "Avoiding OOM errors", read 2026-11).
// Pods get their addresses from one network interface. EKS publishes the count of those addresses as a node resource and makes
// every Windows pod request it. kubelet itself gets no number of pods. The image reserves nothing, but the guide advises owners
// to reserve 2 GiB, so a template cannot count on that memory.
const (
	ResourcePrivateIPv4     = "vpc.amazonaws.com/PrivateIPv4Address"
	windowsReservedMemory   = 2 * gib
	windowsRootVolumeBytes  = 50 * gib // EKS images and managed node groups
	windowsDiskMissingBytes = gib      // boot and recovery partitions, on the safe side
)

// evictionDiskRatio is the share of the file system below which kubelet evicts. Kubelet keeps percentages as float32, and the
// error shows in the last digits of every node's allocatable ephemeral storage.
var evictionDiskRatio = float64(float32(0.1))

// amounts are resources of one node, in the units of the formulas.
type amounts struct {
	cpuMillis, memoryBytes, diskBytes, pods int64
}

// unreserved computes the part of capacity left for pods as the node does itself.
func (in *Input) unreserved(t instancetypes.Type, capacity amounts, d Declared) amounts {
	ud := cmp.Or(in.UserData, &UserData{})
	const noShare = 0 // kubelet takes ratios of the capacity for eviction alone
	reserved := func(name corev1.ResourceName, usual int64) int64 {
		return ud.KubeReserved.of(name, noShare, usual) + ud.SystemReserved.of(name, noShare, 0)
	}
	usualMemory := max(0, windowsReservedMemory-ud.SystemReserved.of(corev1.ResourceMemory, noShare, 0)) // owners may reserve it in either way
	if in.Family() != Windows {
		usualMemory = kubeReservedMemory + kubeReservedPerPod*in.reservedPods(t, capacity.pods)
	}
	memory := reserved(corev1.ResourceMemory, usualMemory) +
		ud.EvictionHard.of("memory.available", capacity.memoryBytes, evictionMemoryBytes) + in.hugePagesBytes(t, d)
	disk := reserved(corev1.ResourceEphemeralStorage, kubeReservedDiskBytes) +
		ud.EvictionHard.of("nodefs.available", capacity.diskBytes, int64(float64(capacity.diskBytes)*evictionDiskRatio))
	return amounts{
		cpuMillis:   left(capacity.cpuMillis, reserved(corev1.ResourceCPU, reservedCPUMillis(int64(t.VCPU)))),
		memoryBytes: left(capacity.memoryBytes, memory),
		diskBytes:   left(capacity.diskBytes, disk),
	}
}

func left(capacity, reserved int64) int64 { return min(capacity, max(0, capacity-reserved)) }

// reservedCPUMillis returns kube-reserved CPU: 6 % of the first core, 1 % of the second, 0.5 % of the third and fourth, 0.25 %
// of every further one. Each range is cut to whole millicores.
func reservedCPUMillis(cores int64) int64 {
	reserved := int64(0)
	for _, step := range []struct{ from, to, perCore int64 }{ // perCore in 1/100 of a millicore
		{0, 1, 6000}, {1, 2, 1000}, {2, 4, 500}, {4, cores, 250},
	} {
		reserved += max(0, min(cores, step.to)-step.from) * step.perCore / 100
	}
	return reserved
}

// Images with EFA's driver set huge pages aside at boot once an adapter is attached: 110 pages of 2 MiB for each vCPU, and one more
// (p3dn, p4de and p5 in testdata/real_nodes.csv, and bottlerocket-os/bottlerocket-core-kit#141, read 2026-11). From this many GPUs
// and adapters on, as on a p5, the memory does not count even without an adapter: no such node has been seen.
const (
	hugePagesPerVCPUBytes = 220 * mib
	hugePagesFixedBytes   = 2 * mib
	hugePagesKeptFrom     = 8
)

// HugePages2Mi is the page size that images set aside by themselves.
const HugePages2Mi = corev1.ResourceHugePagesPrefix + "2Mi"

// hugePagesBytes returns the memory that huge pages of any size take. Tags declare it, and the image decides for a size without a tag.
func (in *Input) hugePagesBytes(t instancetypes.Type, d Declared) int64 {
	total := int64(0)
	for name, q := range d.Resources {
		if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			total = min(total+q.Value(), t.MemoryBytes)
		}
	}
	kept := in.EFAInterfaces > 0 || min(t.EFAInterfaces, t.GPU.Count) >= hugePagesKeptFrom
	if _, declared := d.Resources[HugePages2Mi]; kept && !declared {
		total += ImageHugePages(t)
	}
	return total
}

// offeredHugePages is 0 without an adapter, and if observed nodes of the type left more memory for pods than the huge pages would.
func (in *Input) offeredHugePages(t instancetypes.Type) int64 {
	offered := ImageHugePages(t)
	if m, seen := in.measured(t); in.EFAInterfaces == 0 || seen && m.capacity.memoryBytes-m.allocatable.memoryBytes < offered {
		return 0
	}
	return offered
}

// ImageHugePages returns the huge pages that images set aside on a node of type t that has an adapter attached.
func ImageHugePages(t instancetypes.Type) int64 {
	if t.EFAInterfaces == 0 {
		return 0
	}
	return int64(t.VCPU)*hugePagesPerVCPUBytes + hugePagesFixedBytes
}

// reservedPods returns the number of pods for which a node reserves memory. The Amazon Linux images, and Ubuntu after them,
// count the pods that the interfaces can address, even if kubelet gets another number. Bottlerocket counts kubelet's number, and
// its user data names the family. No other image is known that reserves so much: kOps' reserves nothing. nodeadm counts the result
// of an expression instead of the addresses, whatever number kubelet gets (awslabs/amazon-eks-ami, nodeadm/internal/kubelet, read
// 2026-11). For an expression that is not understood, kubelet's default is the least safe number.
func (in *Input) reservedPods(t instancetypes.Type, effective int64) int64 {
	addressable := int64(t.ENIMaxPods())
	if addressable == 0 || in.Family() == Bottlerocket {
		return effective
	}
	if in.UserData != nil && in.UserData.PodsExpression != "" && in.Family() == AL2023 {
		pods, understood := in.UserData.PodsExpression.pods(t)
		if !understood {
			pods = max(addressable, effective, defaultMaxPods)
		}
		return pods
	}
	return addressable
}

// Parts of a volume that its file system does not offer, from the readings in testdata/real_nodes.csv. Amazon Linux 2023 has
// 77,844 KiB of boot partitions and XFS metadata at any size, Amazon Linux 2 less. Bottlerocket's ext4 loses up to 11 %. Ubuntu's loses
// 3.1 % of 128 GiB and 4 % of 20 GiB (the two rows of Ubuntu), and 24.04 a boot partition as well: df on EC2 shows 7,034,376 KiB of
// 8 GiB (read 2026-11). An unknown image counts as Amazon Linux, of which most are made.
const (
	ext4MissingDivisor         = 32
	ext4MissingBytes           = 1092088 * kib
	rootMissingBytes           = 77844 * kib
	bottlerocketMissingDivisor = 9
	instanceStoreDivisor       = 200
)

func (in *Input) diskBytes(t instancetypes.Type) int64 {
	if in.InstanceStore && t.LocalNVMeBytes > 0 {
		bytes := t.LocalNVMeBytes
		if in.Mirrored {
			bytes /= 2
		}
		return bytes - bytes/instanceStoreDivisor
	}
	volume := cmp.Or(in.RootVolumeBytes, DefaultVolumeBytes(in.Family()))
	switch in.Family() {
	case Windows:
		return max(0, volume-windowsDiskMissingBytes)
	case Bottlerocket:
		return volume - volume/bottlerocketMissingDivisor
	case Ubuntu:
		return max(0, volume-volume/ext4MissingDivisor-ext4MissingBytes)
	}
	return max(0, volume-rootMissingBytes)
}

// DefaultVolumeBytes is the assumed size of the volume for pods' data where an image of the family states none.
func DefaultVolumeBytes(family AMIFamily) int64 {
	if family == Windows {
		return windowsRootVolumeBytes
	}
	return defaultRootVolumeBytes
}
