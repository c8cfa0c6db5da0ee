package nodetemplate

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestManagedNodeGroupPodsFollowCNI holds the figures of max-pods-calculator.sh (awslabs/amazon-eks-ami) for the interface
// limits that EC2 publishes. The EKS user guide states the figures of m5.large. Line 4 of testdata/real_nodes.csv shows 110
// pods with the memory reserved for 29.
func TestManagedNodeGroupPodsFollowCNI(t *testing.T) {
	prefixes, custom := CNI{PrefixDelegation: true}, CNI{CustomNetworking: true}
	both := CNI{PrefixDelegation: true, CustomNetworking: true}
	eks := &Nodegroup{Name: "n", AMIType: "AL2023_x86_64_STANDARD"}
	for _, tt := range []struct {
		name      string
		in        Input
		types     []string
		want      int64
		otherwise SourceKind // "" wants the CNI to be named
	}{
		{name: "defaults", types: []string{"m5.large"}, want: 29, otherwise: SourceFormula},
		{name: "prefixes", in: Input{CNI: prefixes}, types: []string{"m5.large"}, want: 110},
		{name: "custom networking", in: Input{CNI: custom}, types: []string{"m5.large"}, want: 20},
		{name: "prefixes on a small type", in: Input{CNI: prefixes}, types: []string{"t3.nano"}, want: 34},
		{name: "prefixes with one interface left", in: Input{CNI: both}, types: []string{"t3.nano"}, want: 18},
		{name: "prefixes with 32 vCPUs", in: Input{CNI: prefixes}, types: []string{"m5.8xlarge"}, want: 250},
		{name: "not on Nitro", in: Input{CNI: prefixes}, types: []string{"t2.medium"}, want: 17},
		{name: "the least of several types", in: Input{CNI: custom}, types: []string{"m5.xlarge", "m5.large"}, want: 20},
		{name: "an image of the owner's", in: Input{CNI: prefixes, Nodegroup: &Nodegroup{Name: "n", AMIType: "CUSTOM"}}, types: []string{"m5.large"}, want: 29, otherwise: SourceFormula},
		{name: "user data tells", in: Input{CNI: prefixes, UserData: &UserData{MaxPods: 29}}, types: []string{"m5.large"}, want: 29, otherwise: SourceUserData},
		{name: "user data that leaves it to the node", in: Input{CNI: prefixes, UserData: &UserData{}}, types: []string{"m5.large"}, want: 29, otherwise: SourceFormula},
		{name: "Windows", in: Input{CNI: prefixes, Nodegroup: &Nodegroup{Name: "n", AMIType: "WINDOWS_CORE_2022_x86_64"}}, types: []string{"m5.large"}, want: 110, otherwise: SourceDefault},
		{name: "another CNI, an image of EKS", in: Input{CNI: CNI{Other: true}}, types: []string{"m5.large"}, want: 29, otherwise: SourceFormula},
		{name: "another CNI, an unknown image", in: Input{CNI: CNI{Other: true}, Nodegroup: &Nodegroup{AMIType: "CUSTOM"}}, types: []string{"m5.large"}, want: 110, otherwise: SourceDefault},
		{name: "a tag tells", in: Input{CNI: prefixes, Tags: map[string]string{resourcesPrefix + "pods": "40"}}, types: []string{"m5.large"}, want: 40, otherwise: SourceTag},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.in.Nodegroup == nil {
				tt.in.Nodegroup = eks
			}
			template, _ := building(t, tt.in, tt.types...)
			want := tt.otherwise
			if want == "" {
				want = SourceCNI
			}
			pods, source := template.Capacity.Pods().Value(), template.Sources.Capacity["pods"]
			assert.Falsef(t, pods != tt.want || source.Kind != want,
				"%d pods from %q (%s), want %d from %q", pods, source.Kind, source.Detail, tt.want, want)
		})
	}
}

// The t3.medium of kOps in testdata/real_nodes.csv leaves pods 3857272Ki.
func TestUnknownImageReservesNoMemoryForEachPodOfAnotherCNI(t *testing.T) {
	for name, in := range map[string]Input{"another CNI": {CNI: CNI{Other: true}}, "kubelet's own number": {UserData: &UserData{IgnoreAddresses: true}}} {
		for kind, mib := range map[string]int64{"t3.medium": 3200, "t3.small": 1400, "t3.micro": 500} {
			template, _ := building(t, in, kind)
			memory := template.Allocatable.Memory()
			assert.EqualValuesf(t, 110, template.Capacity.Pods().Value(), "%s: pods on a %s", name, kind)
			assert.Truef(t, memory.Value() >= mib<<20, "%s: a %s leaves pods %s, want %d MiB or more", name, kind, memory, mib)
		}
	}
	bottlerocket, _ := building(t, Input{AMIFamily: Bottlerocket, UserData: &UserData{MaxPods: 110}}, "t3.medium")
	memory := bottlerocket.Allocatable.Memory().Value() / mib
	assert.Truef(t, memory < 2400, "Bottlerocket leaves pods %d MiB, want no more than its reservation for each of 110 pods does", memory)
}
