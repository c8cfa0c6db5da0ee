package fakeaws

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"sigs.k8s.io/yaml"
)

// The account where a Config names none.
const (
	DefaultRegion  = "us-west-2"
	DefaultAccount = "123456789012"
)

// A Config is the account at the start of the Server. Omitted fields have the documented default.
type Config struct {
	Region  string `json:"region,omitempty"`  // default us-west-2, its prefix decides the partition of every ARN
	Account string `json:"account,omitempty"` // default 123456789012

	// Latency is the time of every answer, 5 ms by default. Answers within the first millisecond would trip a race between
	// smithy-go, which closes the request body as Do returns, and net/http.
	Latency Duration `json:"latency,omitempty"`
	Delays  Delays   `json:"delays,omitempty"`

	Lacks Lacks `json:"lacks,omitempty"`

	// Policies are IAM policy documents, as JSON. They are the policies of every caller's role. Without any, every call is allowed.
	Policies []string `json:"policies,omitempty"`

	// LaunchNeeds are further actions, such as ec2:RunInstances and iam:PassRole, that LaunchInstances needs. AWS documents ec2:CreateFleet.
	LaunchNeeds []string `json:"launchNeeds,omitempty"`

	// Strict makes AWS do the worst that its documents allow, by the seed. Where they say nothing, each rule is a guess on the strict side:
	//
	//   - strictThrottles limit calls, unless Throttles are named.
	//   - Terminating an instance that is terminating already is refused half of the time. Not documented.
	//   - A batch with such an instance, an unknown one, or one too many for the minimum is refused as a whole half of the time, and else
	//     done for the other instances. Not documented.
	//   - The activities of a batch come in any order. Not documented.
	//   - Launches that failed in every zone are repeated after half to three times Delays.Retry. Documented without figures.
	//   - Scale-in takes any of the instances that the termination policy does not distinguish. Documented.
	//   - A group of several zones balances them by itself, 3 to 15 seconds after its last look, unless AZRebalance is suspended.
	//     Documented without figures.
	//   - AWS forgets a client token after a tenth of ClientTokens or later. Not documented.
	//
	// Readings stay up to date, unless StaleReads says otherwise.
	Strict bool `json:"strict,omitempty"`

	Throttles []Throttle `json:"throttles,omitempty"` // how often actions may be called, any number of times by default

	// ClientTokens is how long AWS remembers a client token of LaunchInstances, 10m by default. AWS documents no time.
	ClientTokens Duration `json:"clientTokens,omitempty"`

	Deeds []Deed `json:"deeds,omitempty"` // of others than the caller
	Seed  uint64 `json:"seed,omitempty"`  // of all random choices

	// DiversifySpot spreads spot instances evenly over the first spotInstancePools overrides, as the lowest-price strategy of
	// AWS does. Otherwise the first override that has capacity gets them all.
	DiversifySpot bool `json:"diversifySpot,omitempty"`

	LaunchTemplates      []LaunchTemplate      `json:"launchTemplates,omitempty"`
	LaunchConfigurations []LaunchConfiguration `json:"launchConfigurations,omitempty"`
	AutoScalingGroups    []AutoScalingGroup    `json:"autoScalingGroups,omitempty"`
	EKSNodegroups        []EKSNodegroup        `json:"eksNodegroups,omitempty"`
	AccessEntries        map[string][]string   `json:"accessEntries,omitempty"` // ARNs of principals, by EKS cluster
	Network              Network               `json:"network,omitzero"`
	Images               []Image               `json:"images,omitempty"`
	InstanceTypes        []InstanceType        `json:"instanceTypes,omitempty"` // added to the built-in catalogue
	Offerings            map[string][]string   `json:"offerings,omitempty"`     // zones by instance type, other types are offered in all
	SSMParameters        map[string]string     `json:"ssmParameters,omitempty"` // image IDs behind resolve:ssm: aliases
	SpotPrices           []SpotPrice           `json:"spotPrices,omitempty"`    // since an hour before the start
	Queues               []Queue               `json:"queues,omitempty"`        // of SQS, with the EventBridge rules that fill them
}

// Delays are how long AWS and a node take for each step. Zero means the default. 1ms is as good as at once.
type Delays struct {
	Listed    Duration `json:"listed,omitempty"`    // desired raised → instance Pending in the group, 500 ms
	InService Duration `json:"inService,omitempty"` // desired raised → InService, 1.5 s
	Register  Duration `json:"register,omitempty"`  // desired raised → Node registers, 3 s
	GPU       Duration `json:"gpu,omitempty"`       // Node Ready → device plugin publishes, 15 s, "never" is possible
	Terminate Duration `json:"terminate,omitempty"` // Terminating → gone from the group, Node deleted, 1 s
	Retry     Duration `json:"retry,omitempty"`     // a launch failed in every zone → next attempt, 10 s

	// Synchronous is how long EC2 takes for a call of LaunchInstances, 500 ms by default. Then its instances are Pending, and
	// it is answered.
	Synchronous Duration `json:"synchronous,omitempty"`
	// For Unlisted after that, 0 by default, the group shows the new desired capacity without the instances, and also for instances that EC2
	// does not have. AWS documents no order. The call is answered once they are listed, and the rest is taken back.
	Unlisted Duration `json:"unlisted,omitempty"`
}

// A LaunchTemplate has versions numbered from 1 in the order they are written.
type LaunchTemplate struct {
	ID       string                  `json:"id,omitempty"` // default derived from the name
	Name     string                  `json:"name"`
	Default  int                     `json:"default,omitempty"` // default version number, 1
	Versions []LaunchTemplateVersion `json:"versions"`
}

// A LaunchTemplateVersion describes the instances it launches. Every field is optional, as in EC2.
type LaunchTemplateVersion struct {
	ImageID            string                `json:"imageId,omitempty"` // ami-… or resolve:ssm:<parameter>
	InstanceType       string                `json:"instanceType,omitempty"`
	Requirements       *InstanceRequirements `json:"instanceRequirements,omitempty"`
	UserData           string                `json:"userData,omitempty"` // plain text, base64 on the wire
	Tags               map[string]string     `json:"tags,omitempty"`     // of the instances
	BlockDevices       []BlockDevice         `json:"blockDevices,omitempty"`
	Spot               bool                  `json:"spot,omitempty"` // instance market options ask for spot
	IAMInstanceProfile string                `json:"iamInstanceProfile,omitempty"`
	SecurityGroupIDs   []string              `json:"securityGroupIds,omitempty"`
	NetworkInterfaces  []NetworkInterface    `json:"networkInterfaces,omitempty"` // reported only
}

// A NetworkInterface is one of a launch template.
type NetworkInterface struct {
	Type             string   `json:"type,omitempty"` // interface (default), efa or efa-only
	SecurityGroupIDs []string `json:"securityGroupIds,omitempty"`
}

// A BlockDevice is one mapping of a launch template, launch configuration or image.
type BlockDevice struct {
	DeviceName string `json:"deviceName"`
	SizeGiB    int    `json:"sizeGiB,omitempty"`
}

// A LaunchConfiguration is the older form of a launch template.
type LaunchConfiguration struct {
	Name         string        `json:"name"`
	ImageID      string        `json:"imageId,omitempty"`
	InstanceType string        `json:"instanceType"`
	UserData     string        `json:"userData,omitempty"` // plain text, base64 on the wire
	SpotPrice    string        `json:"spotPrice,omitempty"`
	BlockDevices []BlockDevice `json:"blockDevices,omitempty"`
}

// An AutoScalingGroup launches from exactly one of LaunchTemplate, LaunchConfiguration and MixedInstancesPolicy. Its desired
// instances are InService when the Server starts, and their Nodes register as soon as a cluster is attached.
type AutoScalingGroup struct {
	Name    string            `json:"name"`
	Min     int               `json:"min"`
	Max     int               `json:"max"`
	Desired int               `json:"desired"`
	Zones   []string          `json:"zones"` // full names, such as cn-northwest-1a
	Tags    map[string]string `json:"tags,omitempty"`

	LaunchTemplate       *LaunchTemplateRef    `json:"launchTemplate,omitempty"`
	LaunchConfiguration  string                `json:"launchConfiguration,omitempty"`
	MixedInstancesPolicy *MixedInstancesPolicy `json:"mixedInstancesPolicy,omitempty"`

	DesiredCapacityType string   `json:"desiredCapacityType,omitempty"` // units (default), vcpu or memory-mib
	CapacityRebalance   bool     `json:"capacityRebalance,omitempty"`
	ZonalShift          bool     `json:"zonalShift,omitempty"`                   // its impairment policy enables zonal shift
	ShiftedZones        []string `json:"shiftedZones,omitempty"`                 // that its owner shifts it away from
	AutoshiftZones      []string `json:"autoshiftZones,omitempty"`               // that AWS shifts it away from
	ClusterShiftedZones []string `json:"clusterShiftedZones,omitempty"`          // that the EKS cluster of its tag is shifted away from
	ZoneDistribution    string   `json:"availabilityZoneDistribution,omitempty"` // balanced-best-effort, reported only
	Operator            string   `json:"operator,omitempty"`                     // the only service that may change it
	ProtectNewInstances bool     `json:"newInstancesProtectedFromScaleIn,omitempty"`
	SuspendedProcesses  []string `json:"suspendedProcesses,omitempty"`

	// Cluster names the cluster that the group's instances join, as in AttachCluster. Empty means the cluster of Attach. AWS
	// does not show it, because a group states its cluster in tags and user data only.
	Cluster string `json:"cluster,omitempty"`

	LifecycleHooks []LifecycleHook `json:"lifecycleHooks,omitempty"`
	WarmPool       *WarmPool       `json:"warmPool,omitempty"`

	CapacityReservations *CapacityReservations `json:"capacityReservations,omitempty"` // reported only

	MaintenancePolicy *MaintenancePolicy `json:"instanceMaintenancePolicy,omitzero"`
	// MaxInstanceLifetime is the age at which AWS ends an instance, before it launches another one. AWS takes no less than a day. Here
	// it may be any time.
	MaxInstanceLifetime Duration `json:"maxInstanceLifetime,omitzero"`

	Impaired string `json:"impaired,omitempty"` // the status check that its running instances fail: system or instance
	Console  string `json:"console,omitempty"`  // the console output of its instances

	NodeConfig `json:",inline"`
}

// A WarmPool keeps instances ready beside the group. They are not part of it. A launch in their zone, the group's first, takes one of them. Here
// nothing warms others.
type WarmPool struct {
	Min    int `json:"min,omitempty"`
	Warmed int `json:"warmed,omitempty"` // stopped instances that descriptions of the group list, from the start
}

// A MaintenancePolicy bounds the healthy instances while some are replaced, in percent of the desired capacity. Here an instance refresh obeys a
// minimum of 100: it launches before it terminates.
type MaintenancePolicy struct {
	MinHealthy int `json:"minHealthyPercentage"` // 0 to 100
	MaxHealthy int `json:"maxHealthyPercentage"` // 100 to 200
}

// CapacityReservations name the capacity reservations that a group's instances are launched into.
type CapacityReservations struct {
	Preference string   `json:"preference"`
	IDs        []string `json:"ids,omitempty"`
	Groups     []string `json:"groups,omitempty"` // ARNs of resource groups
}

// A NodeConfig is the effect of the bootstrap of a group's instances on their Nodes. AWS knows nothing of it.
type NodeConfig struct {
	NodeLabels     map[string]string `json:"nodeLabels,omitempty"`
	NodeTaints     []string          `json:"nodeTaints,omitempty"`     // key=value:Effect or key:Effect
	SpotNodeLabels map[string]string `json:"spotNodeLabels,omitempty"` // on top, for spot instances only
	SpotNodeTaints []string          `json:"spotNodeTaints,omitempty"`
	GPUAfterReady  Duration          `json:"gpuAfterReady,omitempty"` // overrides Delays.GPU, "never" publishes none
	RegisterAfter  Duration          `json:"registerAfter,omitempty"` // overrides Delays.Register, "never" keeps the Node away
	ReadyAfter     Duration          `json:"readyAfter,omitempty"`    // from registration until KWOK may make the Node Ready, none by default
	ReadyJitter    Duration          `json:"readyJitter,omitempty"`   // each Node up to this much later, by the Config's seed
	MaxPods        int               `json:"maxPods,omitempty"`       // kubelet's value, default is the ENI formula
	VolumeLimit    int32             `json:"volumeLimit,omitempty"`   // reported by the EBS driver in the CSINode, 0 runs no driver

	// StartupTaints are further taints, written as in NodeTaints. An agent such as a CSI driver or a CNI takes them off the Node.
	StartupTaints           []string `json:"startupTaints,omitempty"`
	StartupTaintsAfterReady Duration `json:"startupTaintsAfterReady,omitempty"` // until then they stay, 1 s, "never" is possible

	MIG *MIG `json:"mig,omitempty"` // divides the NVIDIA GPUs, for good
}

// A MIG says how NVIDIA's device plugin publishes GPUs that are divided into parts, in the words of the GPU operator.
type MIG struct {
	Strategy string         `json:"strategy"` // none: whole GPUs, single: the parts as nvidia.com/gpu, mixed: nvidia.com/mig-1g.10gb: 7, and 0 whole GPUs
	Devices  map[string]int `json:"devices"`  // parts of each GPU, by profile, such as 1g.10gb: 7
}

// A LaunchTemplateRef names a launch template by ID or by name. Version is a number, $Latest or $Default.
type LaunchTemplateRef struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"` // none is reported as none and means $Default
}

// A MixedInstancesPolicy spreads a group over instance types and capacity types.
type MixedInstancesPolicy struct {
	LaunchTemplate LaunchTemplateRef `json:"launchTemplate"`
	Overrides      []Override        `json:"overrides,omitempty"` // cheapest first
	Distribution   Distribution      `json:"distribution,omitempty"`
}

// An Override names a type, or requirements for types, and how much of the desired capacity one instance fills.
type Override struct {
	InstanceType     string                `json:"instanceType,omitempty"`
	WeightedCapacity int                   `json:"weightedCapacity,omitempty"` // none counts as 1
	Requirements     *InstanceRequirements `json:"instanceRequirements,omitempty"`
	LaunchTemplate   *LaunchTemplateRef    `json:"launchTemplate,omitempty"`
	ImageID          string                `json:"imageId,omitempty"` // in the place of the launch template's
}

// A Distribution splits a group between on-demand and spot.
type Distribution struct {
	OnDemandBaseCapacity                int    `json:"onDemandBaseCapacity,omitempty"`
	OnDemandPercentageAboveBaseCapacity *int   `json:"onDemandPercentageAboveBaseCapacity,omitempty"` // 100
	SpotAllocationStrategy              string `json:"spotAllocationStrategy,omitempty"`              // lowest-price
	SpotInstancePools                   int    `json:"spotInstancePools,omitempty"`                   // 2 with lowest-price

	Segments [][]string `json:"segments,omitempty"` // kinds of capacity, in order, reported only
}

// InstanceRequirements select instance types by their properties, bare metal and burstable ones never. EC2 requires VCPUs and MemoryMiB.
type InstanceRequirements struct {
	VCPUs                Range    `json:"vCpuCount"`
	MemoryMiB            Range    `json:"memoryMiB"`
	AllowedInstanceTypes []string `json:"allowedInstanceTypes,omitempty"` // with *
}

// A Range has a lower and, unless nil, an upper bound, both inclusive.
type Range struct {
	Min int  `json:"min"`
	Max *int `json:"max,omitempty"`
}

// An EKSNodegroup is EKS's description of a managed node group.
type EKSNodegroup struct {
	Cluster          string            `json:"cluster"`
	Name             string            `json:"name"`
	AutoScalingGroup string            `json:"autoScalingGroup,omitempty"`
	Labels           map[string]string `json:"labels,omitempty"`
	Taints           []EKSTaint        `json:"taints,omitempty"`
	Tags             map[string]string `json:"tags,omitempty"`
	InstanceTypes    []string          `json:"instanceTypes,omitempty"`
	CapacityType     string            `json:"capacityType,omitempty"` // ON_DEMAND
	AMIType          string            `json:"amiType,omitempty"`      // AL2023_x86_64_STANDARD
	DiskSizeGiB      int               `json:"diskSize,omitempty"`
	NodeRepair       bool              `json:"nodeRepair,omitempty"`
	Version          string            `json:"version,omitempty"` // 1.35
	Status           string            `json:"status,omitempty"`  // ACTIVE
	Issue            string            `json:"issue,omitempty"`   // a code that EKS finds, such as AsgInstanceLaunchFailures
}

// An EKSTaint has EKS's spelling of effects: NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE.
type EKSTaint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// An Image is an AMI.
type Image struct {
	ID           string            `json:"id"`
	Name         string            `json:"name,omitempty"`
	Description  string            `json:"description,omitempty"`
	Architecture string            `json:"architecture,omitempty"`             // x86_64
	Platform     string            `json:"platform,omitempty"`                 // windows, or none
	RootDevice   string            `json:"rootDevice,omitempty"`               // /dev/xvda
	Supported    []string          `json:"supportedInstanceTypes,omitempty"`   // with *, reported only
	Unsupported  []string          `json:"unsupportedInstanceTypes,omitempty"` // with *, reported only
	BlockDevices []BlockDevice     `json:"blockDevices,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
}

// An InstanceType adds a type to the catalogue, or replaces one.
type InstanceType struct {
	Name            string `json:"name"`
	VCPU            int    `json:"vcpu"`
	MemoryMiB       int    `json:"memoryMiB"`
	Architecture    string `json:"architecture,omitempty"` // amd64 (default) or arm64
	GPUs            int    `json:"gpus,omitempty"`
	GPUManufacturer string `json:"gpuManufacturer,omitempty"`
	GPUName         string `json:"gpuName,omitempty"`
	GPUMemoryMiB    int    `json:"gpuMemoryMiB,omitempty"` // of each
	NeuronDevices   int    `json:"neuronDevices,omitempty"`
	EFAInterfaces   int    `json:"efaInterfaces,omitempty"`
	MaxENIs         int    `json:"maxENIs,omitempty"`
	IPv4PerENI      int    `json:"ipv4PerENI,omitempty"`
	BareMetal       bool   `json:"bareMetal,omitempty"`
	LocalNVMeGB     int    `json:"localNVMeGB,omitempty"`

	// MeasuredMemoryKiB is what kubelet reports on a node. Without it a node has 95 % of the stated memory.
	MeasuredMemoryKiB int64 `json:"measuredMemoryKiB,omitempty"`
}

// A Duration reads and writes as 1m30s. Never reads and writes as "never".
type Duration time.Duration

// Never is longer than any duration. Events due after it do not happen.
const Never Duration = -1

// UnmarshalJSON reads a string such as "1.5s", or "never".
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("duration %s: write it as a string such as \"1.5s\"", data)
	}
	if text == "never" {
		*d = Never
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("duration %q: write it as a number with a unit such as \"1.5s\"", text)
	}
	if parsed < 0 {
		return fmt.Errorf("duration %q: below zero", text)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalJSON writes the form that UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d == Never {
		return []byte(`"never"`), nil
	}
	return json.Marshal(time.Duration(d).String())
}

// ParseConfig parses a Config from YAML or JSON. An unknown field is an error that names it.
func ParseConfig(data []byte) (Config, error) {
	var cfg Config
	if err := yaml.UnmarshalStrict(data, &cfg); err != nil {
		return Config{}, fmt.Errorf("parse fakeaws config: %w", err)
	}
	return cfg, nil
}

// LoadConfig reads a Config from a file.
func LoadConfig(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read fakeaws config: %w", err)
	}
	cfg, err := ParseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}
