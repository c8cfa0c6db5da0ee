package nodetemplate

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// Template describes the Node that a group would add. Treat it as immutable. Node makes copies.
type Template struct {
	Group string

	// Labels are the labels that every node of the group will carry with exactly this value.
	Labels map[string]string

	// Assumed are labels that every node will carry, but with values that differ between nodes: the zone of a group with
	// several, the instance type of a mixed group. The value here is one possible node's.
	//
	// Node includes them, because the scheduler needs some value. Without a zone label, an empty group would never fit a pod
	// with a topology spread constraint, a zone affinity that lists all zones of the group, or a storage class with allowed
	// topologies. They are no promise: a pod that needs exactly this zone may get a node in another one.
	Assumed map[string]string

	Taints      []corev1.Taint // sorted by key and effect
	Capacity    corev1.ResourceList
	Allocatable corev1.ResourceList
	Sources     Sources
	Options     Options

	// InstanceTypes are the names of the types the template stands for, in the policy's order.
	InstanceTypes []string

	// Kinds are the labels of the types among which AWS chooses, where it has a choice that the labels of a node show. Among stands for
	// all of them in the value of nodemeta.KindAssumed.
	Kinds []Kind
	Among string
}

// Kind holds the labels of a node that follow from its instance type.
type Kind struct {
	InstanceType string
	Architecture string // "" where all types have the same, or where it is not known
	GPU          string // NVIDIA's, as EC2 spells it, "" as for the architecture
}

// labelGPUProduct is the label that NVIDIA's feature discovery gives a node. No source but a declared label knows its value.
const labelGPUProduct = "nvidia.com/gpu.product"

// Label returns the value of a label, and whether it follows from the instance type. The product of a GPU has more words than EC2's name for
// it, such as in Tesla-T4-SHARED. So it is the first of the asked values that has these words.
func (k Kind) Label(key string, asked ...string) (value string, follows bool) {
	switch key {
	case corev1.LabelInstanceTypeStable, corev1.LabelInstanceType:
		value = k.InstanceType
	case corev1.LabelArchStable, "beta.kubernetes.io/arch":
		value = k.Architecture
	case labelGPUProduct:
		value = k.GPU
		if at := slices.IndexFunc(asked, k.isProduct); value != "" && at >= 0 {
			value = asked[at]
		}
	}
	return value, value != ""
}

func (k Kind) isProduct(product string) bool {
	words := strings.Split(strings.ToLower(product), "-")
	return !slices.ContainsFunc(strings.Fields(strings.ToLower(k.GPU)), func(word string) bool { return !slices.Contains(words, word) })
}

// Usable reports whether the template says enough to place a pod. A scale-up cannot use a group without it.
func (t Template) Usable() bool {
	return t.Allocatable.Cpu().Sign() > 0 && t.Allocatable.Memory().Sign() > 0 && t.Allocatable.Pods().Sign() > 0
}

// acceleratorPrefixes begin the resource names under which device plugins publish accelerators, whole or in slices.
var acceleratorPrefixes = []string{"nvidia.com/", "amd.com/gpu", "habana.ai/", "aws.amazon.com/neuron", "gpu.intel.com/"}

// acceleratorDrivers share accelerators out by dynamic resource allocation, by the domain of the names that device plugins give these.
var acceleratorDrivers = map[string]string{"nvidia.com": "gpu.nvidia.com", "amd.com": "gpu.amd.com", "gpu.intel.com": "gpu.intel.com",
	"aws.amazon.com": "neuron.aws.com"}

// SharesAccelerators reports whether the driver shares accelerators out by dynamic resource allocation.
func SharesAccelerators(driver string) bool {
	return slices.Contains(slices.Collect(maps.Values(acceleratorDrivers)), driver)
}

// InSlices reports whether such a driver publishes devices in the resource slices. A slice may be left without any.
func InSlices(published []*resourceapi.ResourceSlice, such func(driver string) bool) bool {
	return slices.ContainsFunc(published, func(s *resourceapi.ResourceSlice) bool { return len(s.Spec.Devices) > 0 && such(s.Spec.Driver) })
}

// Shares reports whether the driver shares out accelerators of the vendor of this one.
func Shares(driver string, accelerator corev1.ResourceName) bool {
	domain, _, _ := strings.Cut(string(accelerator), "/")
	return IsAccelerator(accelerator) && driver == acceleratorDrivers[domain]
}

// Accelerators returns what a node publishes once its device plugin runs. It is empty, not nil, for a group without.
func (t Template) Accelerators() corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, q := range t.Capacity {
		if IsAccelerator(name) && !q.IsZero() {
			list[name] = q.DeepCopy()
		}
	}
	return list
}

// IsAccelerator also reports slices of an accelerator. A device plugin publishes them some time after the node is Ready.
func IsAccelerator(name corev1.ResourceName) bool {
	return slices.ContainsFunc(acceleratorPrefixes, func(prefix string) bool {
		return strings.HasPrefix(string(name), prefix)
	})
}

// HasAccelerator reports whether there are accelerators or slices of some among the resources.
func HasAccelerator(resources corev1.ResourceList) bool {
	for name, shown := range resources {
		if IsAccelerator(name) && !shown.IsZero() {
			return true
		}
	}
	return false
}

// Divides reports whether part is another accelerator of whole's vendor, such as a part (MIG) or a renamed time slice. A node seldom shows
// both. Neuron's nodes show the devices and their cores, and neither divides the other.
func Divides(part, whole corev1.ResourceName) bool {
	vendor, _, _ := strings.Cut(string(whole), "/")
	return part != whole && strings.HasPrefix(string(part), vendor+"/") && IsAccelerator(part) && IsAccelerator(whole) &&
		!strings.HasPrefix(string(whole), instancetypes.ResourceNeuron)
}

// Extended reports whether something that may start later than the node publishes the resource, rather than kubelet itself.
func Extended(name corev1.ResourceName) bool {
	return !slices.Contains([]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods, corev1.ResourceEphemeralStorage}, name)
}

// Node returns a new Ready node called name as the group would add it, with the Assumed labels and without a provider ID.
func (t Template) Node(name string) *corev1.Node {
	labels := map[string]string{}
	maps.Copy(labels, t.Assumed)
	maps.Copy(labels, t.Labels)
	labels[corev1.LabelHostname] = name
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       corev1.NodeSpec{Taints: slices.Clone(t.Taints)},
		Status: corev1.NodeStatus{
			Capacity:    t.Capacity.DeepCopy(),
			Allocatable: t.Allocatable.DeepCopy(),
			Conditions: []corev1.NodeCondition{ // Their zero times mean that it was always so.
				{Type: corev1.NodeReady, Status: corev1.ConditionTrue},
				{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse},
				{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
				{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
				{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse},
			},
			NodeInfo: corev1.NodeSystemInfo{Architecture: labels[corev1.LabelArchStable], OperatingSystem: labels[corev1.LabelOSStable]},
		},
	}
}

// SourceKind is where a field of a Template comes from, the strongest first.
type SourceKind string

const (
	SourceTag       SourceKind = "tag"           // a node-template tag of the Auto Scaling group or EKS node group
	SourceNodegroup SourceKind = "eks-nodegroup" // EKS DescribeNodegroup, or the tags EKS puts on its groups
	SourceUserData  SourceKind = "user-data"     // the launch template's user data
	SourceLearnt    SourceKind = "learnt"        // observed on real nodes of this group
	SourceGroup     SourceKind = "group"         // the Auto Scaling group itself: region, zones, its launch template or image
	SourceCatalogue SourceKind = "catalogue"     // facts of the instance types
	SourceCNI       SourceKind = "cni"           // the settings of the cluster's VPC CNI, computed as EKS does
	SourceFormula   SourceKind = "formula"       // computed as the node does
	SourceDefault   SourceKind = "default"       // nothing is known, the usual value
)

// Source is where one field of a Template comes from. asgctl prints it as JSON.
type Source struct {
	Kind   SourceKind `json:"kind"`
	Detail string     `json:"detail,omitempty"` // tag key, instance type, or the formula in words, for people
}

// Declared reports whether a person declared the field for this group. Declared facts hold even while a live node does not show them yet.
func (s Source) Declared() bool {
	return s.Kind == SourceTag || s.Kind == SourceNodegroup || s.Kind == SourceUserData
}

// Sources holds the Source of every field of a Template. asgctl prints them as JSON.
type Sources struct {
	Labels      map[string]Source `json:"labels"`      // by label key, promised and assumed ones
	Taints      map[string]Source `json:"taints"`      // by "<key>:<effect>"
	Capacity    map[string]Source `json:"capacity"`    // by resource name
	Allocatable map[string]Source `json:"allocatable"` // by resource name
}
