package nodetemplate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Input is everything Build may know about a group. Only Group is required. Build does not change the Input and keeps no reference to it.
type Input struct {
	Group string            // name of the Auto Scaling group
	Tags  map[string]string // all its tags

	Region string   // "" where it is not known
	Zones  []string // availability zones the group may launch in, in AWS's order

	// PinnedZone is the zone that the caller guarantees for every instance, or "". The template promises it, whatever was declared.
	PinnedZone string

	// Members are the instance types the group can launch, with known facts, in the policy's order. UnknownTypes names the
	// other types it can launch.
	Members      []Member
	UnknownTypes []string

	AMIFamily    AMIFamily // "" when unknown, which ends as an image of Linux
	CapacityType string    // "on-demand" or "spot" if the whole group is, else ""
	// WindowsRelease is the year in the name of Windows Server, such as "2022", if all images of the group state it, else "".
	WindowsRelease string

	// RootVolumeBytes is the size of the volume for kubelet's and the runtime's data. 0 takes 20 GiB, the size of the EKS images, or 50
	// GiB for Windows. RootVolumeOfImage means that only the image sets that size. With InstanceStore the node joins its local NVMe disks
	// into one volume for that data instead. With Mirrored that volume keeps everything twice (RAID 10).
	RootVolumeBytes   int64
	RootVolumeOfImage bool
	InstanceStore     bool
	Mirrored          bool

	// EFAInterfaces is the number of Elastic Fabric Adapters that the launch template attaches. It bounds types that could have more.
	EFAInterfaces int

	Nodegroup *Nodegroup // nil unless EKS DescribeNodegroup answered
	UserData  *UserData  // nil unless user data could be read
	Learnt    *Learnt    // nil unless real nodes were observed that started from the same description
	CNI       CNI        // settings of the cluster's VPC CNI, zero for its defaults
}

// Member is one instance type a group can launch. Its weight does not matter, because a template stands for one whole instance:
// dividing by the weight would leave fractions of GPUs that no pod fits.
type Member struct {
	Type instancetypes.Type
	// ImageArchitecture is the architecture of the image for this type, spelt as in Type, or "" when unknown.
	ImageArchitecture string
	ImageForbids      bool // EC2 does not start the image on the type
	LabelsGPUs        bool // the image labels its node where that has a GPU of NVIDIA
}

// AMIFamily is the family of operating system images that decides how a node reserves resources for itself.
type AMIFamily string

const (
	AL2          AMIFamily = "AL2"
	AL2023       AMIFamily = "AL2023"
	Bottlerocket AMIFamily = "Bottlerocket"
	Ubuntu       AMIFamily = "Ubuntu"
	Windows      AMIFamily = "Windows"
)

// Nodegroup holds what EKS reports about a managed node group.
type Nodegroup struct {
	Name         string
	Labels       map[string]string
	Taints       []NodegroupTaint
	Tags         map[string]string // only the resources tags matter
	CapacityType string            // "ON_DEMAND", "SPOT" or "CAPACITY_BLOCK", as EKS spells it
	AMIType      string            // "AL2023_x86_64_STANDARD", "CUSTOM", …
}

// NodegroupTaint is a taint as EKS spells it. The value may be empty.
type NodegroupTaint struct {
	Key, Value, Effect string // Effect: "NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"
}

// UserData holds the settings that a launch template's user data gives the node. Package userdata reads it.
type UserData struct {
	// Form names the form of the user data for Source.Detail: "bootstrap.sh", "nodeadm NodeConfig", …, or "".
	Form string

	Labels  map[string]string
	Taints  []corev1.Taint
	MaxPods int // 0 when it states none
	// MostPods bounds the pods where MaxPods is 0, unless it is 0 as well: one of several launch templates or branches states it.
	MostPods    int
	PodsPerCore int // bounds the pods by the CPUs of the type, 0 when it states none
	// IgnoreAddresses makes the image not limit pods by the addresses of its network interfaces (bootstrap.sh --use-max-pods
	// false, or no bootstrap of EKS). Where MaxPods is 0, kubelet's own default holds.
	IgnoreAddresses bool
	// PodsExpression computes the number of pods where MaxPods is 0. Memory is reserved for its result even where MaxPods has
	// another number.
	PodsExpression PodsExpression

	KubeReserved, SystemReserved, EvictionHard Reservation
}

// Reservation holds the amounts that kubelet is configured to keep from pods: CPU, memory and ephemeral storage by the names of the
// resources, or the free amounts below which it evicts pods by signal, such as "memory.available".
type Reservation struct {
	Amounts map[corev1.ResourceName]Amount
	// Whole means that this replaces the image's own amounts. Otherwise these stay where a name is missing.
	Whole  bool
	Others []Reservation // of other launch templates or branches: the largest counts
}

// Amount is a quantity, or a ratio of the capacity where Ratio is above zero.
type Amount struct {
	Quantity resource.Quantity
	Ratio    float64 // 0 to 1
}

// of returns the amount kept under a name, CPU in millicores and all else in bytes. usual is the image's own.
func (r Reservation) of(name corev1.ResourceName, capacity, usual int64) int64 {
	kept, ok := r.Amounts[name]
	amount := usual
	switch {
	case ok && kept.Ratio > 0:
		amount = int64(float64(capacity) * float64(float32(kept.Ratio)))
	case ok && name == corev1.ResourceCPU:
		amount = kept.Quantity.MilliValue()
	case ok:
		amount = kept.Quantity.Value()
	case r.Whole:
		amount = 0
	}
	for _, other := range r.Others {
		amount = max(amount, other.of(name, capacity, usual))
	}
	return amount
}
