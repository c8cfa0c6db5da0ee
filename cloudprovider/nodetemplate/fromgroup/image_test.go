package fromgroup

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/stretchr/testify/assert"
)

func TestFamilyOfAnImage(t *testing.T) {
	for name, want := range map[string]nodetemplate.AMIFamily{
		"amazon-eks-node-al2023-x86_64-standard-1.33-v20250801":         nodetemplate.AL2023,
		"amazon-eks-node-1.29-v20240213":                                nodetemplate.AL2,
		"amazon-eks-gpu-node-1.29-v20240213":                            nodetemplate.AL2,
		"amazon-eks-arm64-node-1.29-v20240213":                          nodetemplate.AL2,
		"bottlerocket-aws-k8s-1.33-nvidia-x86_64-v1.44.0-abcdef":        nodetemplate.Bottlerocket,
		"ubuntu-eks/k8s_1.29/images/hvm-ssd/ubuntu-jammy-22.04-amd64-1": nodetemplate.Ubuntu,
		"ubuntu-eks-pro/k8s_1.30/images/hvm-ssd-gp3/ubuntu-noble":       nodetemplate.Ubuntu,
		"Windows_Server-2022-English-Core-EKS_Optimized-1.30-2024.06":   nodetemplate.Windows,
		"Windows_Server-2022-English-Core-Base-2024.06":                 "",
		"my-amazon-eks-node-1.29-v1":                                    "",
		"amazon-eks-node-custom":                                        "",
		"bottlerocket-aws-ecs-2-x86_64-v1.44.0":                         "",
	} {
		assert.Equalf(t, want, familyOfImage(&launchspec.Image{Name: name}), "image %q is of the family", name)
	}
	assert.Equal(t, nodetemplate.Windows, familyOfImage(&launchspec.Image{Name: "ours", Windows: true}),
		"an image of Windows is of the family")
	assert.Empty(t, familyOfImage(nil), "no image is of the family")
}

func TestTheVolumeThatHoldsThePodsData(t *testing.T) {
	devices := func(sizes ...any) []launchspec.BlockDevice {
		var list []launchspec.BlockDevice
		for pair := range slices.Chunk(sizes, 2) {
			list = append(list, launchspec.BlockDevice{Device: pair[0].(string), SizeGiB: pair[1].(int)})
		}
		return list
	}
	rocket := &launchspec.Image{RootDevice: "/dev/xvda", BlockDevices: devices("/dev/xvda", 2, "/dev/xvdb", 20)}
	for _, tt := range []struct {
		name    string
		launch  launchspec.LaunchSpec
		family  nodetemplate.AMIFamily
		want    int64 // GiB, 0 for the default
		ofImage bool
	}{
		{name: "nothing said"},
		{name: "Amazon Linux root", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 50)}, want: 50},
		{name: "Ubuntu root", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/sda1", 40)}, want: 40},
		{name: "Bottlerocket data", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 4, "/dev/xvdb", 80)},
			family: nodetemplate.Bottlerocket, want: 80},
		{name: "Bottlerocket with a large root", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 50)}, family: nodetemplate.Bottlerocket},
		{name: "Bottlerocket as its image has it", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 50), Image: rocket},
			family: nodetemplate.Bottlerocket, want: 20, ofImage: true},
		{name: "further volume", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 30, "/dev/xvdb", 500)}, want: 30},
		{name: "further volume as small as Bottlerocket's", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 4, "/dev/xvdb", 500)},
			family: nodetemplate.AL2023, want: 4},
		{name: "EKS node group", launch: launchspec.LaunchSpec{Nodegroup: &launchspec.Nodegroup{DiskSizeGiB: 100}}, want: 100},
		{name: "image alone", launch: launchspec.LaunchSpec{Image: &launchspec.Image{RootDevice: "/dev/xvda", BlockDevices: devices("/dev/xvda", 30)}}, want: 30, ofImage: true},
		{name: "template over image", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 60),
			Image: &launchspec.Image{RootDevice: "/dev/xvda", BlockDevices: devices("/dev/xvda", 30)}}, want: 60},
		{name: "template sizes another device than the image's root", launch: launchspec.LaunchSpec{BlockDevices: devices("/dev/xvda", 60),
			Image: &launchspec.Image{RootDevice: "/dev/sda1", BlockDevices: devices("/dev/sda1", 8)}}, want: 8, ofImage: true},
		{name: "EKS node group over image", launch: launchspec.LaunchSpec{Nodegroup: &launchspec.Nodegroup{DiskSizeGiB: 100},
			Image: &launchspec.Image{RootDevice: "/dev/xvda", BlockDevices: devices("/dev/xvda", 30)}}, want: 100},
	} {
		got, ofImage := volumeBytes(&tt.launch, tt.family)
		assert.Truef(t, got/gib == tt.want && ofImage == tt.ofImage,
			"%s: volume of %d GiB, of the image: %t; want %d, %t", tt.name, got/gib, ofImage, tt.want, tt.ofImage)
	}
}

func TestTheSmallestVolumeOfSeveralLaunchTemplatesCounts(t *testing.T) {
	root := func(gib int) []launchspec.BlockDevice {
		return []launchspec.BlockDevice{{Device: "/dev/xvda", SizeGiB: gib}}
	}
	for _, tt := range []struct {
		name        string
		first, more []launchspec.BlockDevice
		want        int64 // GiB, 0 for the default
	}{
		{name: "the first", first: root(30), more: root(50), want: 30},
		{name: "another", first: root(50), more: root(30), want: 30},
		{name: "one that does not say", first: root(50)},
		{name: "smaller than what is assumed of the other", first: root(8), want: 8},
		{name: "the first does not say", more: root(8), want: 8},
	} {
		l := launchspec.LaunchSpec{BlockDevices: tt.first, Others: []launchspec.OtherTemplate{{BlockDevices: tt.more}}}
		got, _ := leastVolumeBytes(&l, nodetemplate.AL2023)
		assert.Equalf(t, tt.want, got/gib, "%s: GiB of the volume", tt.name)
	}
}

func TestTheImageDecidesWhatUserDataIsRead(t *testing.T) {
	g := spotGroup()
	g.LaunchSpec.UserData = base64.StdEncoding.EncodeToString([]byte("[settings.kubernetes]\ncluster-name = 'c'\nmax-pods = 20\n"))
	g.LaunchSpec.Image = &launchspec.Image{Name: "bottlerocket-aws-k8s-1.33-x86_64-v1.44.0", Architecture: "x86_64"}
	template := built(g)
	kept := template.Capacity.Memory().Value() - template.Allocatable.Memory().Value()
	want := int64(255+11*20+100) << 20
	assert.Equalf(t, want, kept, "%d MiB kept from pods, want the %d that Bottlerocket keeps for 20 pods", kept>>20, want>>20)
}

// The group's own image is not known.
func TestTheImageOfAnOverrideTellsTheFamily(t *testing.T) {
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	script, kubelet := encoded("#!/bin/bash\n/etc/eks/bootstrap.sh c\n"), encoded("#!/bin/bash\necho KUBELET_EXTRA_ARGS=--max-pods=9 > f\n")
	ubuntu := &launchspec.Image{Name: "ubuntu-eks/k8s_1.29/images/hvm-ssd/ubuntu-jammy-22.04-amd64-1"}
	for _, tt := range []struct {
		name, own, other string
		image            *launchspec.Image // of the override
		want             nodetemplate.AMIFamily
	}{
		{"its image", "", script, ubuntu, nodetemplate.Ubuntu},
		{"its image, with settings of kubelet alone", "", kubelet, ubuntu, nodetemplate.Ubuntu},
		{"its form", kubelet, script, nil, nodetemplate.AL2},
		{"the group's form", script, kubelet, ubuntu, nodetemplate.AL2},
	} {
		var in nodetemplate.Input
		addUserData(&in, &launchspec.LaunchSpec{UserData: tt.own, Others: []launchspec.OtherTemplate{{UserData: tt.other, Image: tt.image}}})
		assert.Equal(t, tt.want, in.AMIFamily, tt.name)
	}
}

func TestTheReleaseOfWindowsThatItsImageTells(t *testing.T) {
	named := func(name string) *launchspec.Image {
		return &launchspec.Image{Name: name, Architecture: "x86_64", Windows: true}
	}
	eks2022 := named("Windows_Server-2022-English-Core-EKS_Optimized-1.30-2024.06.11")
	for _, tt := range []struct {
		name  string
		image *launchspec.Image // of the group
		own   *launchspec.Image // of one of its two types
		want  string
	}{
		{name: "2019 of EKS", image: named("Windows_Server-2019-English-Full-EKS_Optimized-1.30-2024.06.11"), want: "10.0.17763"},
		{name: "2022 of EKS", image: eks2022, want: "10.0.20348"},
		{name: "a copy with a name of its own", image: &launchspec.Image{Name: "workers-7", Description: "Microsoft Windows Server 2019 Core with containers",
			Windows: true}, want: "10.0.17763"},
		{name: "the name tells more than the description", image: &launchspec.Image{Name: "Windows_Server-2022-English-Core-Base", Windows: true,
			Description: "from Windows Server 2019"}, want: "10.0.20348"},
		{name: "a name that does not tell", image: named("our-windows-workers-2022.06.11")},
		{name: "a release nobody knows", image: named("Windows_Server-20225-English-Core-Base")},
		{name: "an image that was not read"},
		{name: "Linux of that name", image: &launchspec.Image{Name: "Windows_Server-2022-tools"}},
		{name: "two images of one release", image: eks2022, own: named("Windows_Server-2022-English-Full-Base-2024.06.11"), want: "10.0.20348"},
		{name: "images of two releases", image: eks2022, own: named("Windows_Server-2019-English-Full-Base-2024.06.11")},
		{name: "one image that does not tell", image: eks2022, own: named("ours")},
	} {
		g := spotGroup()
		g.LaunchSpec = &launchspec.LaunchSpec{Image: tt.image, Types: []launchspec.Type{{Name: "m5.large"}, {Name: "m5.xlarge", Image: tt.own}}}
		template := built(g)
		assert.Equalf(t, tt.want, template.Labels[corev1.LabelWindowsBuild], "%s: build", tt.name)
	}
}

// nodeadm labels nodes with NVIDIA's GPUs from Kubernetes 1.35 on.
func TestTheLabelOfGPUsThatNodeadmSets(t *testing.T) {
	named := func(name string) *launchspec.Image { return &launchspec.Image{Name: name, Architecture: "x86_64"} }
	labels := named("amazon-eks-node-al2023-x86_64-nvidia-1.35-v20260714")
	for _, tt := range []struct {
		name  string
		image *launchspec.Image
		types []launchspec.Type
		want  string
	}{
		{name: "1.35", image: labels, types: []launchspec.Type{{Name: "g5.xlarge"}, {Name: "g6.xlarge"}}, want: "true"},
		{name: "1.40", image: named("amazon-eks-node-al2023-x86_64-standard-1.40-v20280714"), types: []launchspec.Type{{Name: "g5.xlarge"}}, want: "true"},
		{name: "1.34", image: named("amazon-eks-node-al2023-x86_64-nvidia-1.34-v20260714"), types: []launchspec.Type{{Name: "g5.xlarge"}}},
		{name: "Bottlerocket", image: named("bottlerocket-aws-k8s-1.35-nvidia-x86_64-v1.60.0-abcdef"), types: []launchspec.Type{{Name: "g5.xlarge"}}},
		{name: "unread", types: []launchspec.Type{{Name: "g5.xlarge"}}},
		{name: "a type without GPUs", image: labels, types: []launchspec.Type{{Name: "g5.xlarge"}, {Name: "m5.xlarge"}}},
		{name: "GPUs of AMD", image: labels, types: []launchspec.Type{{Name: "g4ad.xlarge"}}},
		{name: "a type that nobody knows", image: labels, types: []launchspec.Type{{Name: "g5.xlarge"}, {Name: "g99.xlarge"}}},
		{name: "another image for one type", image: labels, types: []launchspec.Type{{Name: "g5.xlarge"}, {Name: "g6.xlarge", Image: named("ours")}}},
	} {
		g := spotGroup()
		g.LaunchSpec.Image, g.LaunchSpec.Types = tt.image, tt.types
		assert.Equal(t, tt.want, built(g).Labels["nvidia.com/gpu.present"], tt.name)
	}
}

func TestTemplateOmitsTypesOfOtherArchitecture(t *testing.T) {
	x86, arm := &launchspec.Image{ID: "ami-1", Architecture: "x86_64"}, &launchspec.Image{ID: "ami-2", Architecture: "arm64"}
	for _, tt := range []struct {
		name    string
		image   *launchspec.Image // of the group
		own     *launchspec.Image // of the override that names the Graviton type
		types   int
		problem string
	}{
		{name: "one image", image: x86, types: 1, problem: "m6g.large\" ignored"},
		{name: "an image for each", image: x86, own: arm, types: 2, problem: "expected one architecture"},
		{name: "an image for each, the other's not read", image: x86, own: &launchspec.Image{ID: "ami-2"}, types: 2, problem: "expected one architecture"},
		{name: "image not read", types: 2, problem: "allow ec2:DescribeImages"},
		{name: "a type that the image forbids", image: &launchspec.Image{ID: "ami-1", Unsupported: []string{"m6g.*"}}, types: 1,
			problem: `"m6g.large" ignored: expected types that the image's InstanceTypeSpecification allows, or an override`},
		{name: "an image that allows others alone", image: &launchspec.Image{ID: "ami-1", Supported: []string{"m5.*", "t3.*"}}, types: 1, problem: "m6g.large\" ignored"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := spotGroup()
			g.LaunchSpec = &launchspec.LaunchSpec{ImageID: "ami-1", Image: tt.image,
				Types: []launchspec.Type{{Name: "m5.large", Weight: 1}, {Name: "m6g.large", Weight: 1, Image: tt.own}}}
			template := built(g)
			assert.Falsef(t, len(template.InstanceTypes) != tt.types || len(template.Problems) != 1 || !strings.Contains(template.Problems[0].String(), tt.problem),
				"types %v with problems %v, want %d with one of %q", template.InstanceTypes, template.Problems, tt.types, tt.problem)
		})
	}
}

func TestTemplateHasLaunchTemplateAdapters(t *testing.T) {
	g := spotGroup()
	g.LaunchSpec = &launchspec.LaunchSpec{EFAInterfaces: 4, Types: []launchspec.Type{{Name: "p4d.24xlarge", Weight: 1}}}
	template := built(g)
	n := template.Allocatable[instancetypes.ResourceEFA]
	assert.EqualValuesf(t, 4, n.Value(), "%s adapters, want 4", n.String())
}
