package launchspec

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
	"github.com/aws/aws-sdk-go-v2/aws"
)

// Launch is what a group's next instances would be, put together from its policy, launch template or configuration,
// image and EKS node group. It is immutable, and the same pointer for as long as nothing in it changed.
type LaunchSpec struct {
	// Types are what the policy may launch, in its order of preference, each once.
	Types []Type
	// ImageID, UserData, BlockDevices and Image are of the launch configuration, or of the first launch template that any of the
	// types starts from.
	ImageID  string
	UserData string // base64, as AWS keeps it
	// Origins name the launch template versions, or the launch configuration, that instances start from: by number, and as the
	// group refers to them. Instance.Origin is one of them if the instance started from this very description. A version whose
	// image is named by a parameter of Systems Manager, or replaced by an override, is not among them, for it starts another image
	// tomorrow.
	Origins      []string
	BlockDevices []BlockDevice
	// Image is the machine image; nil where it has nothing to tell that is not known without it, or could not be read.
	Image *Image
	// Others are the further launch templates that types start from: those of overrides that name one of their own.
	Others []OtherTemplate
	// EFAInterfaces is how many Elastic Fabric Adapters every instance gets attached.
	EFAInterfaces int
	// Spot tells that the launch template itself asks for spot instances. A mixed instances policy says otherwise.
	Spot bool
	// Nodegroup is the EKS node group the Auto Scaling group belongs to, or nil.
	Nodegroup *Nodegroup

	stated []Statement // by a launch configuration
}

// Type is one instance type a group may launch.
type Type struct {
	Name   string
	Weight int // in capacity units
	VCPUs  int // that the launch template leaves turned on; 0: all of them
	// Image is named by the override of this type, or by the override's launch template. It is nil where neither names an image, and
	// where the image could not be read.
	Image *Image
}

// OtherTemplate is a launch template beside the first one of a group, as far as it decides what a node will be.
type OtherTemplate struct {
	UserData     string // base64
	BlockDevices []BlockDevice
	Image        *Image // as in Launch
}

// BlockDevice is a volume the template asks for.
type BlockDevice struct {
	Device  string
	SizeGiB int
}

// addDevice adds a volume whose size is stated; without one it has that of the image.
func addDevice(devices []BlockDevice, name *string, sizeGiB *int32) []BlockDevice {
	if sizeGiB == nil {
		return devices
	}
	return append(devices, BlockDevice{Device: aws.ToString(name), SizeGiB: int(*sizeGiB)})
}

// CapacityType is how the next instances are bought: awsmessage.OnDemand or Spot, or "" where the policy mixes both or the spec, nil
// while it is unread, decides.
func (s Source) CapacityType(spec *LaunchSpec) string {
	switch {
	case s.Mixed && s.OnDemandPercentageAboveBase == 100:
		return awsmessage.OnDemand
	case s.Mixed && s.OnDemandBase == 0 && s.OnDemandPercentageAboveBase == 0:
		return awsmessage.Spot
	case s.Mixed, spec == nil:
		return ""
	case spec.Spot:
		return awsmessage.Spot
	}
	return awsmessage.OnDemand
}
