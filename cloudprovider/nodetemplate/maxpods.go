package nodetemplate

import (
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Managed node groups without an image of their own cap the pods of a node (EKS user guide, "Choosing an optimal
// Amazon EC2 node instance type", read 2026-08).
const (
	managedMaxPods      = 110
	managedMaxPodsLarge = 250
	managedLargeVCPU    = 30 // from here on the larger cap applies
)

// maxPods returns the number of pods on a node of type t, and its source. User data overrules observed nodes, those overrule
// the CNI's settings, and these the plain formula. The cap of a managed node group overrules everything that is not observed,
// unless the group brings its own image.
func (in *Input) maxPods(t instancetypes.Type, d Declared) (int64, Source) {
	pods, source := in.unboundedPods(t, d)
	ud := in.UserData
	if ud != nil && ud.MostPods > 0 && int64(ud.MostPods) < pods {
		pods, source = int64(ud.MostPods), Source{Kind: SourceUserData, Detail: "max pods of one launch template or branch"}
	}
	if ud != nil && ud.PodsPerCore > 0 && int64(ud.PodsPerCore*t.VCPU) < pods {
		pods, source = int64(ud.PodsPerCore*t.VCPU), Source{Kind: SourceUserData, Detail: "pods per core"}
	}
	return pods, source
}

func (in *Input) unboundedPods(t instancetypes.Type, d Declared) (int64, Source) {
	pods, source := int64(t.ENIMaxPods()), Source{Kind: SourceFormula, Detail: "addresses of the network interfaces"}
	// Only the images of EKS have kubelet count addresses, whatever the CNI.
	if pods == 0 || in.Family() == Windows || in.CNI.Other && in.Family() == "" && !in.managed(d) {
		pods, source = defaultMaxPods, Source{Kind: SourceDefault, Detail: "kubelet's default"}
	}
	m, seen := in.measured(t)
	switch ud := in.UserData; {
	case ud != nil && ud.MaxPods > 0:
		pods, source = int64(ud.MaxPods), Source{Kind: SourceUserData, Detail: "max pods"}
	case ud != nil && ud.PodsExpression.Understood() && t.ENIMaxPods() > 0:
		pods, _ = ud.PodsExpression.pods(t)
		source = Source{Kind: SourceUserData, Detail: "maxPodsExpression"}
	case ud != nil && ud.IgnoreAddresses:
		pods, source = defaultMaxPods, Source{Kind: SourceUserData, Detail: "kubelet's default, as addresses are not to count"}
	case seen:
		return m.capacity.pods, observedSource(t) // the cap is in it
	case in.followsCNI(d) && t.ENIMaxPods() > 0:
		pods, source = in.CNI.addressable(t), Source{Kind: SourceCNI, Detail: in.CNI.String()}
	}
	limit := int64(managedMaxPods)
	if t.VCPU >= managedLargeVCPU {
		limit = managedMaxPodsLarge
	}
	if in.managed(d) && pods > limit {
		if source.Kind == SourceCNI {
			return limit, Source{Kind: SourceCNI, Detail: source.Detail + ", up to the cap of EKS managed node groups"}
		}
		return limit, Source{Kind: SourceFormula, Detail: "cap of EKS managed node groups"}
	}
	return pods, source
}

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
