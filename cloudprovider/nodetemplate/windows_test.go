package nodetemplate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestKnownWindowsBuildIsPromised(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Input
		want string
		from SourceKind
	}{
		{name: "2019 by its image", in: Input{AMIFamily: Windows, WindowsRelease: "2019"}, want: "10.0.17763", from: SourceGroup},
		{name: "2022 by its image", in: Input{AMIFamily: Windows, WindowsRelease: "2022"}, want: "10.0.20348", from: SourceGroup},
		{name: "2025 by its image", in: Input{AMIFamily: Windows, WindowsRelease: "2025"}, want: "10.0.26100", from: SourceGroup},
		{name: "a release nobody knows yet", in: Input{AMIFamily: Windows, WindowsRelease: "2031"}},
		{name: "an image that does not tell", in: Input{AMIFamily: Windows}},
		{name: "core by EKS", in: Input{Nodegroup: &Nodegroup{AMIType: "WINDOWS_CORE_2019_x86_64"}}, want: "10.0.17763", from: SourceNodegroup},
		{name: "an AMI type nobody knows yet", in: Input{Nodegroup: &Nodegroup{AMIType: "WINDOWS_NANO"}}},
		{name: "a custom image on EKS", in: Input{AMIFamily: Windows, WindowsRelease: "2022", Nodegroup: &Nodegroup{AMIType: "CUSTOM"}},
			want: "10.0.20348", from: SourceGroup},
		{name: "declared by a tag", in: Input{AMIFamily: Windows, WindowsRelease: "2022", Tags: map[string]string{
			labelPrefix + corev1.LabelWindowsBuild: "10.0.25398"}}, want: "10.0.25398", from: SourceTag},
		{name: "not on Linux", in: Input{WindowsRelease: "2022"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, problems := building(t, tt.in, "m5.large")
			require.Empty(t, problems)
			assert.Equal(t, tt.want, template.Labels[corev1.LabelWindowsBuild], "build")
			_, assumed := template.Assumed[corev1.LabelWindowsBuild]
			assert.False(t, assumed, "a build is assumed, want it promised or absent")
			assert.Equal(t, tt.from, template.Sources.Labels[corev1.LabelWindowsBuild].Kind, "from")
		})
	}
}

// EKS's images bring its CNI for Windows, whatever DaemonSet Linux has.
func TestOnlyWindowsNodesOfEKSCountAddresses(t *testing.T) {
	other := CNI{Other: true}
	for _, tt := range []struct {
		name string
		in   Input
		want int64
	}{
		{name: "VPC CNI", want: 9},
		{name: "another CNI", in: Input{CNI: other}},
		{name: "another CNI for Linux, bootstrap of EKS", in: Input{CNI: other, UserData: &UserData{}}, want: 9},
		{name: "another CNI for Linux, EKS node group", in: Input{CNI: other, Nodegroup: &Nodegroup{AMIType: "CUSTOM"}}, want: 9},
	} {
		tt.in.AMIFamily = Windows
		template, _ := building(t, tt.in, "m5.large")
		assert.Equalf(t, tt.want, value(template.Allocatable, ResourcePrivateIPv4), "%s: addresses", tt.name)
	}
}
