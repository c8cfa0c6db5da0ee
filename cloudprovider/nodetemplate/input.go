package nodetemplate

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Input is everything Build may know about a group. Only Group is required. Build does not change the Input and keeps no reference to it.
type Input struct {
	Group string            // name of the Auto Scaling group
	Tags  map[string]string // all its tags

	Region string   // "" takes the region from the first zone's name
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
	Cluster, Name string
	Labels        map[string]string
	Taints        []NodegroupTaint
	Tags          map[string]string // only the resources tags matter
	CapacityType  string            // "ON_DEMAND", "SPOT" or "CAPACITY_BLOCK", as EKS spells it
	AMIType       string            // "AL2023_x86_64_STANDARD", "CUSTOM", …
}

// NodegroupTaint is a taint as EKS spells it. The value may be empty.
type NodegroupTaint struct {
	Key, Value, Effect string // Effect: "NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"
}
