package instancetypes

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
)

// Architectures as Kubernetes names them in the label kubernetes.io/arch.
const (
	ArchitectureAMD64 = "amd64"
	ArchitectureARM64 = "arm64"
)

// Type holds the facts of one EC2 instance type. It is a plain value: copy and compare it freely.
type Type struct {
	Name         string `json:",omitzero"` // "g4dn.xlarge"
	VCPU         int    `json:",omitzero"` // default vCPUs, as EC2 counts them
	MemoryBytes  int64  `json:",omitzero"` // as EC2 states it, a node reports less, see MemoryCapacity
	Architecture string `json:",omitzero"` // ArchitectureAMD64 or ArchitectureARM64

	GPU           GPU `json:",omitzero"` // zero when the type has none
	NeuronDevices int `json:",omitzero"` // AWS Inferentia and Trainium chips
	NeuronCores   int `json:",omitzero"` // of all chips together, as the device plugin publishes them, 0 when unknown
	EFAInterfaces int `json:",omitzero"` // Elastic Fabric Adapters that can be attached

	MaxENIs    int `json:",omitzero"` // network interfaces on the default network card, 0 when unknown
	IPv4PerENI int `json:",omitzero"` // IPv4 addresses of one interface, its primary included, 0 when unknown
	PodENIs    int `json:",omitzero"` // branch interfaces for pods with their own security groups, 0 when unknown or none

	BareMetal      bool  `json:",omitzero"`
	LocalNVMeBytes int64 `json:",omitzero"` // all local NVMe disks together

	// MeasuredMemoryBytes is the smallest memory capacity that kubelet reported on a real node of this type, or 0 without a measurement.
	MeasuredMemoryBytes int64 `json:",omitzero"`

	// Source names the source of the facts and its date, for people.
	Source string `json:"-"`
}

// GPU describes the graphics or training accelerators of a type. No type mixes two models.
type GPU struct {
	Count        int    `json:",omitzero"` // as a device plugin would publish them, a fraction of a card (g6f) counts as one
	Manufacturer string `json:",omitzero"` // "NVIDIA", "AMD", "Habana"
	Name         string `json:",omitzero"` // "T4", as EC2 spells it
	MemoryBytes  int64  `json:",omitzero"` // of each one, or of the fraction

	// Fraction is each one's share of a physical card, such as 0.125, or 0 for whole cards.
	Fraction float64 `json:",omitzero"`
}

// ENIMaxPods returns how many pods the Amazon VPC CNI can address in its default mode, where each pod takes a
// secondary IPv4 address of an interface on the default network card, and two pods use the host's network. It
// returns 0 when the interface limits are unknown. Caps of managed node groups are not applied.
func (t Type) ENIMaxPods() int {
	if t.MaxENIs < 1 || t.IPv4PerENI < 1 {
		return 0
	}
	return t.MaxENIs*(t.IPv4PerENI-1) + 2
}
