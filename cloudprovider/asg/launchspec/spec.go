package launchspec

import (
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// LaunchSpec is what a group's next instances start from. It is immutable, and the same pointer while nothing in it changes.
// Where the launch templates of a policy that names its types are denied, or are not there, it has nothing but these types.
type LaunchSpec struct {
	Unread bool   // the launch templates or the EKS node group are denied, or not there, so that nodes may have labels that nobody knows
	Types  []Type // the types that the policy may launch, in its order of preference, each once
	// ImageID, UserData, Profile, BlockDevices and Image belong to the launch configuration, or to the first launch template that a type starts from.
	ImageID  string
	UserData string // base64, as AWS keeps it
	Profile  string // name or ARN of the instance profile, "" for none
	// Origins name the launch template versions, or the launch configuration, that instances start from: by number, and as the group refers to them.
	// Instance.Origin is among them if the instance started from this very description. A version is not among them if a parameter of Systems
	// Manager names its image or an override replaces the image, because it starts another image tomorrow.
	Origins []string
	// Next names the launch template versions, by number, or the launch configuration, that new instances start from, whoever names their image.
	// Like Origins, it is empty where AWS leaves out the ID or the number of one.
	Next []string
	// NextImages are the images of new instances where a parameter of Systems Manager or an override names one. There are none where the launch
	// template version alone decides, while a parameter is unread, and unless APIs.NextImages asks for them.
	NextImages []string
	// Floats reports that another launch template version may come without a change of the group. Next may be some minutes old then, or older
	// beside a Problem with ReasonLaunchSourceUnread, and NextImages always.
	Floats        bool
	BlockDevices  []BlockDevice
	Image         *Image          // nil if it is unread
	Others        []OtherTemplate // the further launch templates, which overrides name
	EFAInterfaces int             // the number of Elastic Fabric Adapters that every instance gets
	Spot          bool            // by the launch template itself: a mixed instances policy takes precedence
	PaidAhead     bool            // by a launch template itself: a capacity block, or an interruptible reservation
	Reserved      bool            // a launch template itself names capacity reservations
	OwnCapacity   bool            // a launch template itself names a placement group
	Tenancy       string          // as EC2 spells it: host or dedicated if any launch template has it, else default or "" for shared hardware
	Nodegroup     *Nodegroup      // nil if EKS does not manage the group
}

// SameLaunch reports whether a and b are alike. NextImages that one of them does not know are no difference.
func SameLaunch(a, b *LaunchSpec) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	left, right := *a, *b
	if left.NextImages == nil || right.NextImages == nil {
		left.NextImages, right.NextImages = nil, nil
	}
	return reflect.DeepEqual(left, right)
}

func (l *LaunchSpec) OwnHardware() bool {
	return l.Tenancy == string(ec2types.TenancyDedicated) || l.OnHost()
}

func (l *LaunchSpec) OnHost() bool { return l.Tenancy == string(ec2types.TenancyHost) }

// Unlisted names what AWS charges for beside Linux on shared hardware, of which price lists are, as far as that is known. A nil l is unread.
func (l *LaunchSpec) Unlisted() (extras []string) {
	if l == nil {
		return []string{"what its unread launch settings add"}
	}
	licence := ""
	switch {
	case l.windowsOfEKS():
		licence = "Windows"
	case l.Image != nil:
		licence = l.Image.Licence
	case l.Nodegroup != nil && l.Nodegroup.AMIType != "CUSTOM": // EKS's own images for Linux have none
	case l.ImageID != "" || l.Unread:
		licence = "its unread image"
	}
	if licence != "" {
		extras = append(extras, "the licence of "+licence)
	}
	if l.OwnHardware() {
		extras = append(extras, l.Tenancy+" tenancy")
	}
	return extras
}

func (l *LaunchSpec) Windows() bool { return l.windowsOfEKS() || l.Image != nil && l.Image.Windows }

// windowsOfEKS goes by the type of the image, because EKS's own image may be unread.
func (l *LaunchSpec) windowsOfEKS() bool {
	return l.Nodegroup != nil && strings.HasPrefix(l.Nodegroup.AMIType, "WINDOWS_")
}

type Type struct {
	Name   string
	Weight int // in capacity units
	VCPUs  int // left turned on by the launch template, 0 for all
	// Image is the image of the type's override, or of the override's launch template. It is nil where neither names one, and has
	// an ID alone while it is unread.
	Image *Image
	// Search is the search by attributes that found the type, the same pointer for all that it found. It is nil for a type that the policy or
	// the launch template names.
	Search *ec2types.InstanceRequirementsRequest
}

// OtherTemplate is a further launch template of a group, as far as it decides about nodes.
type OtherTemplate struct {
	UserData     string // base64
	BlockDevices []BlockDevice
	Image        *Image // as in LaunchSpec
}

type BlockDevice struct {
	Device  string
	SizeGiB int
}

// addDevice adds a volume with a stated size. Others have the image's size.
func addDevice(devices []BlockDevice, name *string, sizeGiB *int32) []BlockDevice {
	if sizeGiB == nil {
		return devices
	}
	return append(devices, BlockDevice{Device: aws.ToString(name), SizeGiB: int(*sizeGiB)})
}

// Image is a machine image, as far as it decides about nodes. Every field but ID may be empty. It is immutable.
type Image struct {
	ID           string
	Name         string
	Description  string
	Architecture string // as EC2 spells it: x86_64, arm64
	Windows      bool
	Licence      string // for which AWS charges beside the instance, in EC2's words, such as "Windows with SQL Server Web"
	RootDevice   string // the device name of its root volume
	BlockDevices []BlockDevice
	// Supported, unless it is empty, and Unsupported are patterns of the instance types that EC2 starts the image on, with * for any letters.
	Supported, Unsupported []string
}
