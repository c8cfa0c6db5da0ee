package nodetemplate

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

func TestSeveralTypesPromiseTheirMinimum(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types []string
		want  map[string]string // capacity: CPU, pods and accelerators
	}{
		{name: "one type", types: []string{"c5.2xlarge"}, want: map[string]string{"cpu": "8", "pods": "58"}},
		{name: "component-wise, not one of them", types: []string{"c5.4xlarge", "r5.large"}, want: map[string]string{"cpu": "2", "pods": "29"}},
		{name: "least number of GPUs", types: []string{"g4dn.12xlarge", "g4dn.xlarge"}, want: map[string]string{"cpu": "4", "pods": "29", "nvidia.com/gpu": "1"}},
		{name: "GPU in some only", types: []string{"g4dn.xlarge", "m5.xlarge"}, want: map[string]string{"cpu": "4", "pods": "29"}},
		{name: "GPUs of two vendors", types: []string{"g4dn.xlarge", "g4ad.xlarge"}, want: map[string]string{"cpu": "4", "pods": "8"}},
		{name: "AMD", types: []string{"g4ad.16xlarge"}, want: map[string]string{"cpu": "64", "pods": "234", "amd.com/gpu": "4"}},
		{name: "Gaudi", types: []string{"dl1.24xlarge"}, want: map[string]string{"cpu": "96", "pods": "737", "habana.ai/gaudi": "8"}},
		{name: "Neuron", types: []string{"trn1.32xlarge"}, want: map[string]string{"cpu": "128", "pods": "247", "aws.amazon.com/neuron": "16", "aws.amazon.com/neuroncore": "32"}},
		{name: "fractional GPU", types: []string{"g6f.large"}, want: map[string]string{"cpu": "2", "pods": "20", "nvidia.com/gpu": "1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, _ := Build(Input{Group: "g", Members: members(t, tt.types...)})
			got := show(template.Capacity)
			delete(got, "memory")
			delete(got, "ephemeral-storage")
			assert.Empty(t, cmp.Diff(tt.want, got), "capacity differs (-want +got)")
			reversed := slices.Clone(tt.types)
			slices.Reverse(reversed)
			other, _ := Build(Input{Group: "g", Members: members(t, reversed...)})
			assert.Empty(t, cmp.Diff(show(template.Allocatable), show(other.Allocatable)), "allocatable depends on the order of types")
		})
	}
}

func TestResourceTagsSetCapacityAndAllocatable(t *testing.T) {
	tagged := func(pairs ...string) Input {
		in := Input{Tags: map[string]string{}}
		for pair := range slices.Chunk(pairs, 2) {
			in.Tags[resourcesPrefix+pair[0]] = pair[1]
		}
		return in
	}
	ofBoth := tagged("cpu", "3")
	ofBoth.Nodegroup = &Nodegroup{Name: "ng", Tags: map[string]string{resourcesPrefix + "cpu": "2", labelPrefix + "a": "b"}}
	for _, tt := range []struct {
		name string
		in   Input
		want map[string]string // by resource, in both lists, "" absent
	}{
		{name: "over the instance type's", in: tagged("memory", "10Gi", "cpu", "3"), want: map[string]string{"memory": "10Gi", "cpu": "3"}},
		{name: "one that no type has", in: tagged("vpc.amazonaws.com/efa", "1"), want: map[string]string{"vpc.amazonaws.com/efa": "1", "nvidia.com/gpu": "1"}},
		{name: "time slices under the usual name", in: tagged("nvidia.com/gpu", "4"), want: map[string]string{"nvidia.com/gpu": "4"}},
		{name: "MIG slices replace the derived GPU", in: tagged("nvidia.com/mig-1g.5gb", "7"), want: map[string]string{"nvidia.com/mig-1g.5gb": "7", "nvidia.com/gpu": ""}},
		{name: "MIG slices beside a declared GPU", in: tagged("nvidia.com/mig-1g.5gb", "7", "nvidia.com/gpu", "1"),
			want: map[string]string{"nvidia.com/mig-1g.5gb": "7", "nvidia.com/gpu": "1"}},
		{name: "zero takes the GPU away", in: tagged("nvidia.com/gpu", "0"), want: map[string]string{"nvidia.com/gpu": ""}},
		{name: "those of the EKS node group come first", in: ofBoth, want: map[string]string{"cpu": "2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, problems := building(t, tt.in, "g4dn.xlarge")
			assert.Empty(t, problems, "problems")
			for name, want := range tt.want {
				assert.Equalf(t, want, show(template.Capacity)[name], "capacity of %s", name)
				assert.Equalf(t, want, show(template.Allocatable)[name], "allocatable %s", name)
			}
			_, ok := template.Labels["a"]
			assert.False(t, ok, "a label tag of the EKS node group became a label")
		})
	}
}

// The group's own tags are not where it has to be put right.
func TestMalformedNodeGroupTagIsReported(t *testing.T) {
	_, problems := Build(Input{Group: "g", Members: members(t, "m5.large"), Nodegroup: &Nodegroup{Name: "ng", Tags: map[string]string{resourcesPrefix + "cpu": "two"}}})
	assert.Truef(t, len(problems) == 1 && problems[0].Subject == "tag of the EKS node group",
		"problems %+v, want one with a tag of the EKS node group", problems)
}

func TestPodsAreCappedAsManagedNodeGroupsAre(t *testing.T) {
	managed := map[string]string{eksNodegroupTag: "ng", "eks:cluster-name": "c"}
	for _, tt := range []struct {
		name string
		in   Input
		typ  string
		want int64
	}{
		{name: "interfaces", typ: "m5.4xlarge", want: 234},
		{name: "managed with an image of its own", typ: "m5.4xlarge", in: Input{Tags: managed, Nodegroup: &Nodegroup{AMIType: "CUSTOM"}}, want: 234},
		{name: "a node of no managed group, whatever the CNI", typ: "m5.large", in: Input{CNI: CNI{PrefixDelegation: true, CustomNetworking: true}}, want: 29},
		{name: "user data that has addresses not count", typ: "m5.large", in: Input{UserData: &UserData{IgnoreAddresses: true}}, want: 110},
		{name: "user data that has addresses not count, with a number", typ: "m5.large", in: Input{UserData: &UserData{IgnoreAddresses: true, MaxPods: 50}}, want: 50},
		{name: "managed beats user data", typ: "m5.4xlarge", in: Input{Tags: managed, UserData: &UserData{MaxPods: 200}}, want: 110},
		{name: "tag beats all", typ: "m5.4xlarge", in: Input{Tags: map[string]string{eksNodegroupTag: "ng", resourcesPrefix + "pods": "180"}}, want: 180},
	} {
		template, _ := building(t, tt.in, tt.typ)
		assert.Equalf(t, tt.want, value(template.Capacity, corev1.ResourcePods), "%s: pods", tt.name)
	}
	unknown := Input{Group: "g", Members: []Member{{Type: instancetypes.Type{Name: "x", VCPU: 4, MemoryBytes: 8 * gib, Architecture: "arm64"}}}}
	template, _ := Build(unknown)
	assert.EqualValues(t, 110, value(template.Capacity, corev1.ResourcePods), "pods without interface limits")
}

func TestMemoryReservationFollowsImagePodCount(t *testing.T) {
	nodeadm := func(data UserData) Input { return Input{AMIFamily: AL2023, UserData: &data} }
	for _, tt := range []struct {
		name string
		in   Input
		want int64 // pods for which memory is reserved
		pods int64 // that the node takes, 0 for any number
	}{
		{name: "Amazon Linux counts addresses", in: nodeadm(UserData{MaxPods: 110}), pods: 110, want: 29},
		{name: "Bottlerocket counts what kubelet gets", in: Input{AMIFamily: Bottlerocket, UserData: &UserData{MaxPods: 110}}, want: 110},
		{name: "unknown, more set", in: Input{UserData: &UserData{MaxPods: 110}}, want: 29},
		{name: "by the EKS node group's image", in: Input{Nodegroup: &Nodegroup{AMIType: "BOTTLEROCKET_x86_64"}, UserData: &UserData{MaxPods: 8}}, want: 8},
		{name: "AL2023 is not AL2", in: Input{Nodegroup: &Nodegroup{AMIType: "AL2023_x86_64_STANDARD"}, UserData: &UserData{MaxPods: 8}}, want: 29},
		// nodeadm reserves memory for the result of the expression, and gives kubelet maxPods of the NodeConfig beside it.
		{name: "an expression alone", in: nodeadm(UserData{PodsExpression: "110"}), pods: 110, want: 110},
		{name: "an expression beside a number of pods", in: nodeadm(UserData{PodsExpression: "110", MaxPods: 50}), pods: 50, want: 110},
		{name: "an expression that is no number of pods", in: nodeadm(UserData{PodsExpression: "max_pods - 29"}), pods: 29, want: 29},
		{name: "an expression that is not understood", in: nodeadm(UserData{PodsExpression: "gpus * 2"}), pods: 29, want: 110},
		{name: "an expression that is not understood, beside a larger number", in: nodeadm(UserData{PodsExpression: "gpus * 2", MaxPods: 150}), pods: 150, want: 150},
	} {
		template, _ := building(t, tt.in, "m5.large")
		pods := value(template.Capacity, corev1.ResourcePods)
		assert.Truef(t, tt.pods == 0 || pods == tt.pods, "%s: %d pods, want %d", tt.name, pods, tt.pods)
		got := value(template.Capacity, corev1.ResourceMemory) - value(template.Allocatable, corev1.ResourceMemory)
		want := (255 + 11*tt.want + 100) * mib
		assert.Equalf(t, want, got, "%s: %d MiB kept from pods, want %d MiB", tt.name, got/mib, want/mib)
	}
}

func TestReservedCPUFollowsTheTable(t *testing.T) {
	for cores, want := range map[int64]int64{1: 60, 2: 70, 4: 80, 8: 90, 16: 110, 32: 150, 48: 190, 64: 230, 96: 310, 128: 390, 192: 550} {
		assert.Equalf(t, want, reservedCPUMillis(cores), "reservedCPUMillis(%d)", cores)
	}
}

func TestDiskIsTheVolumeOrTheLocalDisks(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Input
		want string
	}{
		{name: "20 GiB by default", in: Input{AMIFamily: AL2023}, want: "20893676Ki"},
		{name: "volume of the launch template", in: Input{AMIFamily: AL2023, RootVolumeBytes: 300 * gib}, want: "314494956Ki"},
		{name: "ext4", in: Input{AMIFamily: Ubuntu, RootVolumeBytes: 8 * gib}, want: "7034376Ki"},
		{name: "ext4 on next to nothing", in: Input{AMIFamily: Ubuntu, RootVolumeBytes: gib}, want: "0"},
		{name: "local disks", in: Input{InstanceStore: true, RootVolumeBytes: 300 * gib}, want: "124375M"},
		{name: "local disks that keep everything twice", in: Input{InstanceStore: true, Mirrored: true}, want: "62187500k"},
		{name: "Bottlerocket", in: Input{AMIFamily: Bottlerocket}, want: "19088743538"},
	} {
		template, _ := building(t, tt.in, "g4dn.xlarge")
		got, want := template.Capacity[corev1.ResourceEphemeralStorage], resource.MustParse(tt.want)
		assert.Equalf(t, 0, got.Cmp(want), "%s: ephemeral storage %s, want %s", tt.name, got.String(), want.String())
	}
}

// An m5.large keeps 70m CPU, 574Mi and 1Gi of disk for kubelet, and evicts below 100Mi and a tenth of the disk.
func TestUserDataSetsReservations(t *testing.T) {
	list := func(name corev1.ResourceName, q string) map[corev1.ResourceName]Amount {
		return map[corev1.ResourceName]Amount{name: {Quantity: resource.MustParse(q)}}
	}
	base, _ := Build(Input{Group: "g", AMIFamily: AL2023, Members: members(t, "m5.large")})
	memory, disk := base.Capacity.Memory().Value(), base.Capacity.StorageEphemeral().Value()
	usual := map[string]int64{"cpu": 1930, "memory": memory - 674*mib, "disk": disk - gib - int64(float64(disk)*evictionDiskRatio)}
	for _, tt := range []struct {
		name string
		data UserData
		want map[string]int64 // what differs from the usual
	}{
		{name: "nothing"},
		{name: "kube-reserved of one resource", data: UserData{KubeReserved: Reservation{Amounts: list("memory", "1Gi")}}, want: map[string]int64{"memory": memory - gib - 100*mib}},
		{name: "kube-reserved as a whole", data: UserData{KubeReserved: Reservation{Amounts: list("cpu", "100m"), Whole: true}},
			want: map[string]int64{"cpu": 1900, "memory": memory - 100*mib, "disk": disk - int64(float64(disk)*evictionDiskRatio)}},
		{name: "system-reserved adds", data: UserData{SystemReserved: Reservation{Amounts: list("cpu", "0.2"), Whole: true}}, want: map[string]int64{"cpu": 1730}},
		{name: "eviction by amount", data: UserData{EvictionHard: Reservation{Amounts: map[corev1.ResourceName]Amount{"memory.available": {Quantity: resource.MustParse("500Mi")}}}}, want: map[string]int64{"memory": memory - 1074*mib}},
		{name: "eviction by ratio, as a whole", data: UserData{EvictionHard: Reservation{Amounts: map[corev1.ResourceName]Amount{"memory.available": {Ratio: 0.5}}, Whole: true}},
			want: map[string]int64{"memory": memory - 574*mib - memory/2, "disk": disk - gib}},
		{name: "more than there is", data: UserData{SystemReserved: Reservation{Amounts: list("memory", "1Ei")}}, want: map[string]int64{"memory": 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, _ := Build(Input{Group: "g", AMIFamily: AL2023, Members: members(t, "m5.large"), UserData: &tt.data})
			want := maps.Clone(usual)
			maps.Copy(want, tt.want)
			got := map[string]int64{
				"cpu": template.Allocatable.Cpu().MilliValue(), "memory": template.Allocatable.Memory().Value(),
				"disk": template.Allocatable.StorageEphemeral().Value(),
			}
			assert.Empty(t, cmp.Diff(want, got), "allocatable differs (-want +got)")
			assert.Empty(t, cmp.Diff(show(base.Capacity), show(template.Capacity)), "capacity differs (-want +got)")
		})
	}
}
