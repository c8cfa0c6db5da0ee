package nodetemplate

import (
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// CNI holds settings of the cluster's Amazon VPC CNI (DaemonSet kube-system/aws-node).
//
// The first two decide the number of pods where EKS counts them: a managed node group whose launch template names no image. EKS
// runs the formula of max-pods-calculator.sh and writes the result into the user data (EKS user guide, "Increase the available
// IP addresses for your Amazon EKS node", and awslabs/amazon-eks-ami, read 2026-11). Other nodes count without asking the CNI,
// so user data or tags have to state the number.
type CNI struct {
	// PrefixDelegation gives each address slot of an interface a prefix of 16 (ENABLE_PREFIX_DELEGATION).
	PrefixDelegation bool
	// CustomNetworking leaves the first interface to the node itself (AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG).
	CustomNetworking bool
	// PodInterfaces gives each pod that asks for its own security groups its own interface, on every Linux node whose type has
	// branch interfaces (ENABLE_POD_ENI, EKS user guide, "Security groups for Pods", read 2026-11).
	PodInterfaces bool
	// Other means that the cluster has another CNI in its place: no pod needs an address of the node's interfaces.
	Other bool
}

const addressesPerPrefix = 16

// xenFamilies are the families of instance types that do not run on the Nitro system and so get no prefixes (hypervisors in
// pkg/vpc of aws/amazon-vpc-cni-k8s, read 2026-11, and the EC2 instance types guide for families missing there).
var xenFamilies = []string{"c1", "c3", "c4", "cc2", "cr1", "d2", "f1", "g2", "g3", "g3s", "h1", "hs1", "i2", "i3", "m1", "m2", "m3",
	"m4", "p2", "p3", "r3", "r4", "t1", "t2", "x1", "x1e"}

// addressable returns how many pods get an address, before EKS's cap. The limits of its interfaces must be known.
func (c CNI) addressable(t instancetypes.Type) int64 {
	interfaces, each := int64(t.MaxENIs), int64(t.IPv4PerENI-1)
	if c.CustomNetworking {
		interfaces--
	}
	family, _, _ := strings.Cut(t.Name, ".") // bare metal can have prefixes, but EKS's formula asks for the Nitro hypervisor
	if c.PrefixDelegation && !t.BareMetal && !slices.Contains(xenFamilies, family) {
		each *= addressesPerPrefix
	}
	return interfaces*each + 2
}

func (c CNI) String() string {
	var on []string
	if c.PrefixDelegation {
		on = append(on, "prefix delegation")
	}
	if c.CustomNetworking {
		on = append(on, "custom networking")
	}
	return strings.Join(on, ", ")
}

// followsCNI reports whether EKS counted the pods of the group's nodes by the CNI's settings. Readable user data holds the
// result, or its nodes count for themselves.
func (in *Input) followsCNI(d Declared) bool {
	return (in.CNI.PrefixDelegation || in.CNI.CustomNetworking) && in.Nodegroup != nil && in.managed(d) && in.UserData == nil && in.Family() != Windows
}
