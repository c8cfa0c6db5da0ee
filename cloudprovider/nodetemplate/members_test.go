package nodetemplate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestTypesOfOtherArchitectureAreLeftOut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		types   []string
		images  []string // architecture of each one's image
		forbids []string // types
		want    []string // types the template stands for
		problem string   // part of the only one
	}{
		{name: "all fit", types: []string{"m5.large", "m5a.large"}, images: []string{"amd64", "amd64"}, want: []string{"m5.large", "m5a.large"}},
		{name: "image not known", types: []string{"m6g.large"}, images: []string{""}, want: []string{"m6g.large"}},
		{name: "one of another architecture", types: []string{"m5.large", "m6g.large"}, images: []string{"amd64", "amd64"},
			want: []string{"m5.large"}, problem: `"m6g.large" ignored: expected types of the image's architecture, amd64`},
		{name: "each with an image of its own", types: []string{"m5.large", "m6g.large"}, images: []string{"amd64", "arm64"},
			want: []string{"m5.large", "m6g.large"}, problem: "expected one architecture in a group"},
		{name: "none fits", types: []string{"m6g.large", "m7g.large"}, images: []string{"amd64", "amd64"},
			want: []string{"m6g.large", "m7g.large"}, problem: `"m6g.large, m7g.large" used, but expected types of the image's architecture`},
		{name: "one is forbidden", types: []string{"m5.large", "m5a.large"}, images: []string{"amd64", "amd64"}, forbids: []string{"m5a.large"},
			want: []string{"m5.large"}, problem: `"m5a.large" ignored: expected types that the image's InstanceTypeSpecification allows, or an override`},
		{name: "one is forbidden, and one of another architecture", types: []string{"m5.large", "m5a.large", "m6g.large"}, forbids: []string{"m5a.large"},
			images: []string{"amd64", "amd64", "amd64"}, want: []string{"m5.large"},
			problem: "expected types of the image's architecture, amd64, that the image's InstanceTypeSpecification allows, or an override"},
		{name: "all are forbidden", types: []string{"m5.large"}, images: []string{"amd64"}, forbids: []string{"m5.large"}, want: []string{"m5.large"},
			problem: `"m5.large" used, but expected types that`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Group: "g", Members: members(t, tt.types...)}
			for i := range in.Members {
				in.Members[i].ImageArchitecture, in.Members[i].ImageForbids = tt.images[i], slices.Contains(tt.forbids, tt.types[i])
			}
			template, problems := Build(in)
			assert.Empty(t, cmp.Diff(tt.want, template.InstanceTypes), "types (-want +got)")
			assert.Len(t, in.Members, len(tt.types), "Build changed its input")
			wantOneProblem(t, problems, tt.problem)
		})
	}
}

// wantOneProblem checks that there is exactly one problem, with the text, or none where the text is "".
func wantOneProblem(t *testing.T, problems []Problem, text string) {
	t.Helper()
	if text == "" && len(problems) == 0 {
		return
	}
	assert.Truef(t, text != "" && len(problems) == 1 && strings.Contains(problems[0].String(), text),
		"problems %v, want one with %q", problems, text)
}

func TestTypesThatDifferTooMuchAreReported(t *testing.T) {
	declared := map[string]string{resourcesPrefix + "cpu": "4", resourcesPrefix + "memory": "16Gi"}
	for _, tt := range []struct {
		name    string
		types   []string
		tags    map[string]string
		problem string
	}{
		{name: "one type", types: []string{"m5.large"}},
		{name: "of a size", types: []string{"m5.large", "m5a.large"}},
		{name: "twice as large", types: []string{"m5.large", "m5.xlarge"}},
		{name: "four times as large", types: []string{"m5.2xlarge", "m5.large", "m5.xlarge"},
			problem: `"m5.large (2 vCPU) to m5.2xlarge (8 vCPU)" used, but expected types of about one size: only the least cpu of all, 2 vCPU`},
		{name: "memory alone", types: []string{"r5.large", "c5.large"}, problem: `"c5.large (4 GiB) to r5.large (16 GiB)"`},
		{name: "declared", types: []string{"m5.2xlarge", "m5.large"}, tags: declared},
	} {
		_, problems := Build(Input{Group: "g", Members: members(t, tt.types...), Tags: tt.tags})
		wantOneProblem(t, problems, tt.problem)
	}
}

func TestAttachedFabricAdapterIsPromised(t *testing.T) {
	for _, tt := range []struct {
		name     string
		types    []string
		attached int
		tags     map[string]string
		want     string
	}{
		{name: "none attached", types: []string{"p4d.24xlarge"}},
		{name: "fewer than it could have", types: []string{"p4d.24xlarge"}, attached: 1, want: "1"},
		{name: "more than one of them has", types: []string{"p4d.24xlarge", "p5.48xlarge"}, attached: 32, want: "4"},
		{name: "a type without", types: []string{"m5.large"}, attached: 1},
		{name: "a tag wins", types: []string{"p4d.24xlarge"}, attached: 4, tags: map[string]string{resourcesPrefix + "vpc.amazonaws.com/efa": "2"}, want: "2"},
	} {
		template, _ := Build(Input{Group: "g", Members: members(t, tt.types...), EFAInterfaces: tt.attached, Tags: tt.tags})
		assert.Equalf(t, tt.want, show(template.Capacity)["vpc.amazonaws.com/efa"], "%s: adapters", tt.name)
	}
}

func TestBranchInterfacesAreThoseOfTheCNIOrATag(t *testing.T) {
	on := CNI{PodInterfaces: true}
	tag := map[string]string{resourcesPrefix + "vpc.amazonaws.com/pod-eni": "5"}
	old := func(n *corev1.Node) { n.Status.Conditions[0].LastTransitionTime.Time = noon.Add(-time.Hour) }
	full := learnt("m5.large", realM5Large(old), realM5Large(old, called("other"))) // all interfaces were in use when the CNI was set
	for _, tt := range []struct {
		name  string
		in    Input
		types []string
		want  string
	}{
		{name: "off", types: []string{"m5.large"}},
		{name: "off, by tag", in: Input{Tags: tag}, types: []string{"m5.large"}, want: "5"},
		{name: "on", in: Input{CNI: on}, types: []string{"m5.large"}, want: "9"},
		{name: "on, by tag", in: Input{CNI: on, Tags: tag}, types: []string{"m5.large"}, want: "5"},
		{name: "the least of several types", in: Input{CNI: on}, types: []string{"m5.xlarge", "m5.large"}, want: "9"},
		{name: "a type without", in: Input{CNI: on}, types: []string{"m5.large", "t3.large"}},
		{name: "Windows", in: Input{CNI: on, AMIFamily: Windows}, types: []string{"m5.large"}},
		{name: "on, after the nodes have joined", in: Input{CNI: on, Learnt: full}, types: []string{"m5.large"}, want: "9"},
		{name: "by tag, after the nodes have joined", in: Input{Tags: tag, Learnt: full}, types: []string{"m5.large"}, want: "5"},
		{name: "off, after the nodes have joined", in: Input{Learnt: full}, types: []string{"m5.large"}},
	} {
		template, _ := building(t, tt.in, tt.types...)
		assert.Equalf(t, tt.want, show(template.Capacity)["vpc.amazonaws.com/pod-eni"], "%s: branch interfaces", tt.name)
		pods := template.Sources.Capacity["pods"]
		assert.Truef(t, pods.Kind != SourceCNI, "%s: pods come from %+v, want another source", tt.name, pods)
	}
}

func TestANodeOfWindows(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Input
	}{
		{name: "by its image", in: Input{AMIFamily: Windows}},
		{name: "whose owner reserves memory for the system", in: Input{AMIFamily: Windows,
			UserData: &UserData{SystemReserved: Reservation{Amounts: map[corev1.ResourceName]Amount{corev1.ResourceMemory: {Quantity: resource.MustParse("2Gi")}}}}}},
		{name: "by the EKS node group", in: Input{Nodegroup: &Nodegroup{AMIType: "WINDOWS_CORE_2022_x86_64"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, problems := building(t, tt.in, "m5.xlarge", "m5.2xlarge")
			assert.Truef(t, len(problems) == 0 && template.Labels[corev1.LabelOSStable] == "windows",
				"labels %v, problems %v", template.Labels, problems)
			capacity := show(template.Capacity)
			assert.Truef(t, capacity[ResourcePrivateIPv4] == "14" && capacity["pods"] == "110" && capacity["ephemeral-storage"] == "49Gi",
				"capacity %v, want 14 addresses, 110 pods and a disk of 49 GiB", capacity)
			kept := value(template.Capacity, corev1.ResourceMemory) - value(template.Allocatable, corev1.ResourceMemory)
			assert.Truef(t, kept == 2*gib+100*mib, "%d MiB kept from pods, want 2148", kept/mib)
		})
	}
	template, _ := Build(Input{Group: "g", Members: members(t, "m5.xlarge")})
	_, ok := template.Capacity[ResourcePrivateIPv4]
	assert.False(t, ok, "a node of Linux has addresses as a resource")
}
