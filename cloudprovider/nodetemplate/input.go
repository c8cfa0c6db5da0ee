package nodetemplate

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Input is everything Build may know of a group. Only Group is needed; the more is given, the less is assumed.
// Build does not change it and keeps no reference to it.
type Input struct {
	Group string            // name of the Auto Scaling group
	Tags  map[string]string // all its tags

	Region string   // "" takes the region from the first zone's name
	Zones  []string // availability zones the group may launch in, in any order

	// NextZone is the zone in which the next instance will probably appear; "" takes the first by name. With
	// PinnedZone the caller sees to it that it does, and the template promises it, whatever is declared of the nodes.
	NextZone   string
	PinnedZone bool

	// Members are the instance types the group can launch, with known facts, in the policy's order. UnknownTypes names
	// those it can launch of which no facts are to be had.
	Members      []Member
	UnknownTypes []string

	OS           string    // "linux" or "windows"; "" follows AMIFamily, and is linux in the end
	AMIFamily    AMIFamily // "" when not known
	CapacityType string    // "on-demand" or "spot" if all of the group is; else ""
	// WindowsRelease is the year in the name of Windows Server, such as "2022", if all images of the group tell it; else "".
	WindowsRelease string

	// RootVolumeBytes is the size of the volume that holds kubelet's and the runtime's data; 0 takes 20 GiB, the size
	// of the EKS images, or 50 GiB for Windows. RootVolumeOfImage tells that the image gives it that size, as nothing else
	// does. With InstanceStore the node joins its local NVMe disks into one volume for that data instead, and with Mirrored that
	// volume keeps everything twice (RAID 10).
	RootVolumeBytes   int64
	RootVolumeOfImage bool
	InstanceStore     bool
	Mirrored          bool

	// EFAInterfaces is how many Elastic Fabric Adapters the launch template attaches. A type that could have more gets
	// no more.
	EFAInterfaces int

	Nodegroup *Nodegroup // nil unless EKS DescribeNodegroup answered
	UserData  *UserData  // nil unless user data could be read
	Learnt    *Learnt    // nil unless real nodes have been seen that started from the same description
	CNI       CNI        // settings of the cluster's VPC CNI; the zero value is what it does by default
}

// Member is one instance type a group can launch.
type Member struct {
	Type instancetypes.Type
	// Weight is the number of units of desired capacity one instance counts for; 0 means 1. A template always stands
	// for one whole instance, whatever it weighs: dividing by the weight would leave fractions of GPUs that no pod fits.
	Weight int
	// ImageArchitecture is that of the image which this type would start with, spelt as in Type; "" when not known.
	ImageArchitecture string
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

// Nodegroup is what EKS tells about a managed node group.
type Nodegroup struct {
	Cluster, Name string
	Labels        map[string]string
	Taints        []NodegroupTaint
	Tags          map[string]string // only its resources tags matter
	CapacityType  string            // "ON_DEMAND", "SPOT" or "CAPACITY_BLOCK", as EKS spells it
	AMIType       string            // "AL2023_x86_64_STANDARD", "CUSTOM", …
}

// NodegroupTaint is a taint as EKS spells it. The value may be empty.
type NodegroupTaint struct {
	Key, Value, Effect string // Effect: "NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"
}
