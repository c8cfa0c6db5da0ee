package fakeaws

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
)

// templates is an account with two launch templates, one of two versions.
func templates() Config {
	return Config{
		LaunchTemplates: []LaunchTemplate{
			{ID: "lt-0a", Name: "alpha", Versions: []LaunchTemplateVersion{
				{InstanceType: "m5.large", ImageID: "ami-1", UserData: "#!/bin/bash\n", Tags: map[string]string{"team": "blue"},
					BlockDevices: []BlockDevice{{DeviceName: "/dev/xvda", SizeGiB: 50}}},
				{InstanceType: "m5.xlarge", ImageID: "resolve:ssm:/eks/ami", Spot: true},
			}},
			{ID: "lt-0b", Name: "beta", Versions: []LaunchTemplateVersion{
				{ImageID: "ami-2", Requirements: &InstanceRequirements{VCPUs: Range{Min: 2}, MemoryMiB: Range{Min: 4096}, BurstablePerformance: "included"}},
			}},
		},
		SSMParameters: map[string]string{"/eks/ami": "ami-3"},
	}
}

func TestLaunchTemplatesThatAreGoneAreErrors(t *testing.T) {
	s, c := overHTTP(t, templates())
	must(t, s.DeleteLaunchTemplate("beta"))
	for _, tt := range []struct {
		input ec2.DescribeLaunchTemplateVersionsInput
		code  string
	}{
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0b")}, "InvalidLaunchTemplateId.NotFound"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("beta")}, "InvalidLaunchTemplateName.NotFoundException"},
		{ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0a"), Versions: []string{"7"}}, "InvalidLaunchTemplateId.VersionNotFound"},
		{ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"1"}}, "InvalidParameterCombination"},
		{ec2.DescribeLaunchTemplateVersionsInput{}, "MissingParameter"},
		{ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}, MaxResults: aws.Int32(201)}, "InvalidParameterValue"},
	} {
		_, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &tt.input)
		wantAPIError(t, err, tt.code, "")
	}
}

func TestTypesAreFoundByRequirements(t *testing.T) {
	_, c := overHTTP(t, Config{})
	for _, tt := range []struct {
		name         string
		requirements types.InstanceRequirementsRequest
		arch         types.ArchitectureType
		want         []string
	}{
		{"by size and name", types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(2), Max: aws.Int32(4)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(8192)},
			AllowedInstanceTypes: []string{"m5.*"},
		}, types.ArchitectureTypeX8664, []string{"m5.large", "m5.xlarge"}},
		{"by GPU", types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(4), Max: aws.Int32(8)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(1)},
			AcceleratorCount: &types.AcceleratorCountRequest{Min: aws.Int32(1)}, AcceleratorManufacturers: []types.AcceleratorManufacturer{"nvidia"},
			AcceleratorNames: []types.AcceleratorName{"t4"},
		}, types.ArchitectureTypeX8664, []string{"g4dn.2xlarge", "g4dn.xlarge"}},
		{"burstable only if asked for", types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(2)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(1)},
			AllowedInstanceTypes: []string{"t3.micro"},
		}, types.ArchitectureTypeX8664, nil},
		{"architecture", types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(2), Max: aws.Int32(2)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(1)},
			AllowedInstanceTypes: []string{"m5.*", "m6g.*"},
		}, types.ArchitectureTypeArm64, []string{"m6g.large"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := c.ec2.GetInstanceTypesFromInstanceRequirements(t.Context(), &ec2.GetInstanceTypesFromInstanceRequirementsInput{
				ArchitectureTypes: []types.ArchitectureType{tt.arch}, VirtualizationTypes: []types.VirtualizationType{"hvm"}, InstanceRequirements: &tt.requirements,
			})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, info := range out.InstanceTypes {
				got = append(got, *info.InstanceType)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("types (-want +got):\n%s", diff)
			}
		})
	}
}
