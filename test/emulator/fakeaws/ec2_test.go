package fakeaws

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
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

func TestLaunchTemplateVersionsAreFound(t *testing.T) {
	_, c := overHTTP(t, templates())
	for _, tt := range []struct {
		name  string
		input ec2.DescribeLaunchTemplateVersionsInput
		want  []string
	}{
		{"by ID, all", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0a")}, []string{"alpha 2", "alpha 1 default"}},
		{"by name and number", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("alpha"), Versions: []string{"1"}}, []string{"alpha 1 default"}},
		{"latest", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0a"), Versions: []string{"$Latest"}}, []string{"alpha 2"}},
		{"latest and default", ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0a"), Versions: []string{"$Latest", "$Default"}}, []string{"alpha 2", "alpha 1 default"}},
		{"default of the account", ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default"}}, []string{"alpha 1 default", "beta 1 default"}},
		{"latest and default of the account", ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default", "$Latest"}}, []string{"alpha 2", "alpha 1 default", "beta 1 default"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &tt.input)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range out.LaunchTemplateVersions {
				text := fmt.Sprintf("%s %d", *v.LaunchTemplateName, *v.VersionNumber)
				if *v.DefaultVersion {
					text += " default"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLaunchTemplateDataComesAcross(t *testing.T) {
	_, c := overHTTP(t, templates())
	out, err := c.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{
		Versions: []string{"$Latest", "$Default"}, ResolveAlias: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	latest, first, beta := out.LaunchTemplateVersions[0].LaunchTemplateData, out.LaunchTemplateVersions[1].LaunchTemplateData, out.LaunchTemplateVersions[2].LaunchTemplateData
	userData, _ := base64.StdEncoding.DecodeString(*first.UserData)
	got := map[string]any{
		"type":         first.InstanceType,
		"user data":    string(userData),
		"tag":          *first.TagSpecifications[0].Tags[0].Value,
		"device":       *first.BlockDeviceMappings[0].Ebs.VolumeSize,
		"spot":         latest.InstanceMarketOptions.MarketType,
		"alias":        *latest.ImageId,
		"requirements": *beta.InstanceRequirements.VCpuCount.Min,
		"burstable":    beta.InstanceRequirements.BurstablePerformance,
	}
	want := map[string]any{
		"type": types.InstanceTypeM5Large, "user data": "#!/bin/bash\n", "tag": "blue", "device": int32(50),
		"spot": types.MarketTypeSpot, "alias": "ami-3", "requirements": int32(2), "burstable": types.BurstablePerformanceIncluded,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
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

func TestTemplatesOfTheAccountComeInPages(t *testing.T) {
	var cfg Config
	for n := range 450 {
		cfg.LaunchTemplates = append(cfg.LaunchTemplates, LaunchTemplate{Name: fmt.Sprint("t", n), Versions: []LaunchTemplateVersion{{InstanceType: "m5.large"}}})
	}
	s, c := overHTTP(t, cfg)
	seen := map[string]bool{}
	pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(c.ec2, &ec2.DescribeLaunchTemplateVersionsInput{
		Versions: []string{"$Default"}, MaxResults: aws.Int32(200),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.LaunchTemplateVersions {
			seen[*v.LaunchTemplateId] = true
		}
	}
	if got := s.Calls()["DescribeLaunchTemplateVersions"]; len(seen) != 450 || got != 3 {
		t.Errorf("%d templates in %d calls, want 450 in 3", len(seen), got)
	}
}

func TestInstanceTypesComeInPagesOfAHundred(t *testing.T) {
	_, c := overHTTP(t, Config{})
	found := map[string]types.InstanceTypeInfo{}
	pages := ec2.NewDescribeInstanceTypesPaginator(c.ec2, &ec2.DescribeInstanceTypesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.InstanceTypes) > 100 {
			t.Errorf("a page of %d types", len(page.InstanceTypes))
		}
		for _, info := range page.InstanceTypes {
			found[string(info.InstanceType)] = info
		}
	}
	gpu := found["g4dn.xlarge"]
	got := fmt.Sprint(*gpu.VCpuInfo.DefaultVCpus, *gpu.MemoryInfo.SizeInMiB, *gpu.GpuInfo.Gpus[0].Count, " "+*gpu.GpuInfo.Gpus[0].Manufacturer+" ",
		*gpu.NetworkInfo.MaximumNetworkInterfaces, *gpu.NetworkInfo.Ipv4AddressesPerInterface,
		*gpu.InstanceStorageInfo.TotalSizeInGB)
	if want := "4 16384 1 NVIDIA 3 10 125"; len(found) < 1000 || got != want {
		t.Errorf("%d types, g4dn.xlarge %q; want over 1000 and %q", len(found), got, want)
	}
	_, err := c.ec2.DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m5.large", "m5.huge"}})
	wantAPIError(t, err, "InvalidInstanceType", "The following supplied instance types do not exist: [m5.huge]")
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

func TestImagesAreDescribed(t *testing.T) {
	_, c := overHTTP(t, Config{Images: []Image{
		{ID: "ami-1", Name: "eks-1", BlockDevices: []BlockDevice{{DeviceName: "/dev/xvda", SizeGiB: 30}}},
		{ID: "ami-2", Name: "eks-2", Architecture: "arm64"},
	}})
	out, err := c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{
		Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"eks-*"}}, {Name: aws.String("architecture"), Values: []string{"x86_64"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Images) != 1 || *out.Images[0].ImageId != "ami-1" || *out.Images[0].BlockDeviceMappings[0].Ebs.VolumeSize != 30 || out.Images[0].VirtualizationType != "hvm" {
		t.Errorf("images = %+v", out.Images)
	}
	_, err = c.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{"ami-9"}})
	wantAPIError(t, err, "InvalidAMIID.NotFound", "The image id '[ami-9]' does not exist")
}

func TestEC2SeesTheInstancesOfGroups(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		state := func() []string {
			out, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{
				Filters: []types.Filter{{Name: aws.String("tag:aws:autoscaling:groupName"), Values: []string{"g"}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, r := range out.Reservations {
				got = append(got, string(r.Instances[0].State.Name))
			}
			return got
		}
		setDesired(t, c, "g", 1)
		var got [][]string
		for range 2 {
			pass(time.Second)
			got = append(got, state())
		}
		id := describe(t, c, "g").Instances[0].InstanceId
		if _, err := terminate(t, c, true, id); err != nil {
			t.Fatal(err)
		}
		got = append(got, state())
		pass(2 * time.Second)
		got = append(got, state())
		want := [][]string{{"pending"}, {"running"}, {"shutting-down"}, {"terminated"}}
		if !slices.EqualFunc(want, got, slices.Equal[[]string]) {
			t.Errorf("states %v, want %v", got, want)
		}
		_, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{"i-9"}})
		wantAPIError(t, err, "InvalidInstanceID.NotFound", "The instance ID 'i-9' does not exist")
	})
}

func TestLaunchConfigurationsAndManagedInstancesAreDescribed(t *testing.T) {
	cfg := oneGroup(withDesired(2), func(g *AutoScalingGroup) { g.LaunchTemplate, g.LaunchConfiguration = nil, "lc" })
	cfg.LaunchConfigurations = []LaunchConfiguration{{Name: "lc", InstanceType: "t3.large", ImageID: "ami-1", UserData: "x", SpotPrice: "0.1"}}
	s, c := overHTTP(t, cfg)
	out, err := c.autoscaling.DescribeLaunchConfigurations(t.Context(), &autoscaling.DescribeLaunchConfigurationsInput{LaunchConfigurationNames: []string{"lc", "gone"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.LaunchConfigurations) != 1 || *out.LaunchConfigurations[0].InstanceType != "t3.large" || *out.LaunchConfigurations[0].UserData != "eA==" {
		t.Errorf("launch configurations = %+v", out.LaunchConfigurations)
	}
	managed, err := c.autoscaling.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(managed.AutoScalingInstances) != 2 || *managed.AutoScalingInstances[0].AutoScalingGroupName != "g" || *managed.AutoScalingInstances[0].LaunchConfigurationName != "lc" {
		t.Errorf("instances = %+v", managed.AutoScalingInstances)
	}
	if got := capacityTypes(s, "g"); got[spot] != 2 {
		t.Errorf("capacity types %v, want spot for a configuration with a spot price", got)
	}
}

func TestZonesOfTheGroupsAreDescribed(t *testing.T) {
	_, c := overHTTP(t, Config{Region: "us-west-2", AutoScalingGroups: []AutoScalingGroup{
		{Name: "a", LaunchTemplate: &LaunchTemplateRef{Name: "alpha"}, Zones: []string{"us-west-2b", "us-west-2a"}},
		{Name: "b", LaunchTemplate: &LaunchTemplateRef{Name: "alpha"}, Zones: []string{"us-west-2a", "us-west-2-lax-1a"}},
	}})
	out, err := c.ec2.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, zone := range out.AvailabilityZones {
		got = append(got, fmt.Sprint(*zone.ZoneName, " ", *zone.ZoneId, " ", *zone.ZoneType, " ", *zone.RegionName))
	}
	want := []string{"us-west-2-lax-1a uswest2-lax-1a local-zone us-west-2", "us-west-2a uswest2-az2 availability-zone us-west-2",
		"us-west-2b uswest2-az3 availability-zone us-west-2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("zones (-want +got):\n%s", diff)
	}
}
