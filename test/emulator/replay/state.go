package replay

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// State is the emulator's account as a recording shows it: each thing as it was when AWS showed it first.
func State(t testing.TB, recording []accountcheck.Exchange) fakeaws.Config {
	cfg := fakeaws.Config{}
	cfg.Delays.InService, cfg.Delays.Synchronous = fakeaws.Duration(10*time.Minute), fakeaws.Duration(time.Millisecond)
	var versions []ec2types.LaunchTemplateVersion
	seen := map[string]bool{}
	first := func(kind string, names ...*string) bool {
		for _, name := range names {
			kind += "/" + aws.ToString(name)
		}
		defer func() { seen[kind] = true }()
		return !seen[kind]
	}
	for _, e := range recording {
		cfg.Region = cmp.Or(cfg.Region, e.Region)
		if e.Answer == nil {
			continue
		}
		switch e.Action {
		case "DescribeAutoScalingGroups":
			var out autoscaling.DescribeAutoScalingGroupsOutput
			into(t, e.Answer, &out)
			for _, g := range out.AutoScalingGroups {
				if first("group", g.AutoScalingGroupName) {
					cfg.AutoScalingGroups = append(cfg.AutoScalingGroups, Group(g))
				}
			}
		case "DescribeLaunchConfigurations":
			var out autoscaling.DescribeLaunchConfigurationsOutput
			into(t, e.Answer, &out)
			for _, c := range out.LaunchConfigurations {
				if first("configuration", c.LaunchConfigurationName) {
					cfg.LaunchConfigurations = append(cfg.LaunchConfigurations, fakeaws.LaunchConfiguration{
						Name: aws.ToString(c.LaunchConfigurationName), ImageID: aws.ToString(c.ImageId), InstanceType: aws.ToString(c.InstanceType),
						UserData: aws.ToString(c.UserData), SpotPrice: aws.ToString(c.SpotPrice), IAMInstanceProfile: aws.ToString(c.IamInstanceProfile),
						BlockDevices: devices(c.BlockDeviceMappings, func(d astypes.BlockDeviceMapping) fakeaws.BlockDevice {
							if d.Ebs == nil {
								return device(d.DeviceName, d.VirtualName, nil, "", nil)
							}
							return device(d.DeviceName, d.VirtualName, d.Ebs.VolumeSize, aws.ToString(d.Ebs.VolumeType), d.Ebs.SnapshotId)
						}),
					})
				}
			}
		case "DescribeLaunchTemplateVersions":
			var out ec2.DescribeLaunchTemplateVersionsOutput
			into(t, e.Answer, &out)
			for _, v := range out.LaunchTemplateVersions {
				if first("version", v.LaunchTemplateId, aws.String(strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10))) {
					versions = append(versions, v)
				}
			}
		case "DescribeImages":
			var out ec2.DescribeImagesOutput
			into(t, e.Answer, &out)
			for _, i := range out.Images {
				if first("image", i.ImageId) {
					cfg.Images = append(cfg.Images, image(i))
				}
			}
		case "DescribeNodegroup":
			var out eks.DescribeNodegroupOutput
			into(t, e.Answer, &out)
			if n := out.Nodegroup; n != nil && first("nodegroup", n.ClusterName, n.NodegroupName) {
				cfg.EKSNodegroups = append(cfg.EKSNodegroups, fakeaws.EKSNodegroup{
					Cluster: aws.ToString(n.ClusterName), Name: aws.ToString(n.NodegroupName), Labels: n.Labels, Tags: n.Tags,
					InstanceTypes: n.InstanceTypes, CapacityType: string(n.CapacityType), AMIType: string(n.AmiType),
				})
			}
		}
	}
	cfg.LaunchTemplates = Templates(versions)
	return cfg
}

// Group is a group for the emulator.
func Group(in astypes.AutoScalingGroup) fakeaws.AutoScalingGroup {
	g := fakeaws.AutoScalingGroup{
		Name: aws.ToString(in.AutoScalingGroupName), Zones: in.AvailabilityZones, Tags: map[string]string{},
		Min: int(aws.ToInt32(in.MinSize)), Max: int(aws.ToInt32(in.MaxSize)), Desired: int(aws.ToInt32(in.DesiredCapacity)),
		LaunchTemplate: template(in.LaunchTemplate), LaunchConfiguration: aws.ToString(in.LaunchConfigurationName),
		CapacityRebalance: aws.ToBool(in.CapacityRebalance), LoadBalancerTargets: in.TargetGroupARNs, TerminationPolicies: in.TerminationPolicies,
	}
	for _, tag := range in.Tags {
		g.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	for _, p := range in.SuspendedProcesses {
		g.SuspendedProcesses = append(g.SuspendedProcesses, aws.ToString(p.ProcessName))
	}
	if p := in.MixedInstancesPolicy; p != nil && p.LaunchTemplate != nil && p.LaunchTemplate.LaunchTemplateSpecification != nil {
		g.MixedInstancesPolicy = policy(p)
	}
	return g
}

func policy(p *astypes.MixedInstancesPolicy) *fakeaws.MixedInstancesPolicy {
	out := &fakeaws.MixedInstancesPolicy{LaunchTemplate: *template(p.LaunchTemplate.LaunchTemplateSpecification)}
	for _, o := range p.LaunchTemplate.Overrides {
		override := fakeaws.Override{InstanceType: aws.ToString(o.InstanceType), LaunchTemplate: template(o.LaunchTemplateSpecification)}
		override.WeightedCapacity, _ = strconv.Atoi(aws.ToString(o.WeightedCapacity))
		if r := o.InstanceRequirements; r != nil {
			override.Requirements = &fakeaws.InstanceRequirements{
				AllowedInstanceTypes: r.AllowedInstanceTypes, ExcludedInstanceTypes: r.ExcludedInstanceTypes,
				BareMetal: string(r.BareMetal), BurstablePerformance: string(r.BurstablePerformance),
			}
			if r.VCpuCount != nil {
				override.Requirements.VCPUs = bounds(r.VCpuCount.Min, r.VCpuCount.Max)
			}
			if r.MemoryMiB != nil {
				override.Requirements.MemoryMiB = bounds(r.MemoryMiB.Min, r.MemoryMiB.Max)
			}
		}
		out.Overrides = append(out.Overrides, override)
	}
	if d := p.InstancesDistribution; d != nil {
		out.Distribution = fakeaws.Distribution{
			OnDemandBaseCapacity: int(aws.ToInt32(d.OnDemandBaseCapacity)), SpotMaxPrice: aws.ToString(d.SpotMaxPrice),
			OnDemandAllocationStrategy: aws.ToString(d.OnDemandAllocationStrategy), SpotAllocationStrategy: aws.ToString(d.SpotAllocationStrategy),
			SpotInstancePools: int(aws.ToInt32(d.SpotInstancePools)),
		}
		if d.OnDemandPercentageAboveBaseCapacity != nil {
			out.Distribution.OnDemandPercentageAboveBaseCapacity = aws.Int(int(*d.OnDemandPercentageAboveBaseCapacity))
		}
	}
	return out
}

func bounds(least, most *int32) fakeaws.Range {
	r := fakeaws.Range{Min: int(aws.ToInt32(least))}
	if most != nil {
		r.Max = aws.Int(int(*most))
	}
	return r
}

func template(ref *astypes.LaunchTemplateSpecification) *fakeaws.LaunchTemplateRef {
	if ref == nil {
		return nil
	}
	id, name := aws.ToString(ref.LaunchTemplateId), aws.ToString(ref.LaunchTemplateName)
	return &fakeaws.LaunchTemplateRef{ID: id, Name: name, Version: aws.ToString(ref.Version)}
}

// Templates are the launch templates for the emulator, each with its versions in order. The emulator numbers them without a gap, so
// a missing version is as the next one.
func Templates(versions []ec2types.LaunchTemplateVersion) []fakeaws.LaunchTemplate {
	slices.SortFunc(versions, func(a, b ec2types.LaunchTemplateVersion) int {
		return cmp.Or(strings.Compare(aws.ToString(a.LaunchTemplateId), aws.ToString(b.LaunchTemplateId)),
			cmp.Compare(aws.ToInt64(a.VersionNumber), aws.ToInt64(b.VersionNumber)))
	})
	var templates []fakeaws.LaunchTemplate
	for _, v := range versions {
		id := aws.ToString(v.LaunchTemplateId)
		if len(templates) == 0 || templates[len(templates)-1].ID != id {
			templates = append(templates, fakeaws.LaunchTemplate{ID: id, Name: aws.ToString(v.LaunchTemplateName)})
		}
		last := &templates[len(templates)-1]
		for first := true; first || len(last.Versions) < int(aws.ToInt64(v.VersionNumber)); first = false {
			last.Versions = append(last.Versions, version(v.LaunchTemplateData))
		}
		if aws.ToBool(v.DefaultVersion) {
			last.Default = len(last.Versions)
		}
	}
	return templates
}

func version(data *ec2types.ResponseLaunchTemplateData) fakeaws.LaunchTemplateVersion {
	if data == nil {
		return fakeaws.LaunchTemplateVersion{}
	}
	v := fakeaws.LaunchTemplateVersion{
		ImageID: aws.ToString(data.ImageId), InstanceType: string(data.InstanceType), UserData: aws.ToString(data.UserData),
		SecurityGroupIDs: data.SecurityGroupIds,
		BlockDevices: devices(data.BlockDeviceMappings, func(d ec2types.LaunchTemplateBlockDeviceMapping) fakeaws.BlockDevice {
			if d.Ebs == nil {
				return device(d.DeviceName, d.VirtualName, nil, "", nil)
			}
			return device(d.DeviceName, d.VirtualName, d.Ebs.VolumeSize, string(d.Ebs.VolumeType), d.Ebs.SnapshotId)
		}),
	}
	if m := data.InstanceMarketOptions; m != nil {
		v.Spot = m.MarketType == ec2types.MarketTypeSpot
	}
	if p := data.IamInstanceProfile; p != nil {
		v.IAMInstanceProfile = cmp.Or(aws.ToString(p.Arn), aws.ToString(p.Name))
	}
	for _, i := range data.NetworkInterfaces {
		v.NetworkInterfaces = append(v.NetworkInterfaces, fakeaws.NetworkInterface{
			Type: aws.ToString(i.InterfaceType), SubnetID: aws.ToString(i.SubnetId),
			SecurityGroupIDs: i.Groups, PublicAddress: i.AssociatePublicIpAddress,
		})
	}
	for _, s := range data.TagSpecifications {
		if s.ResourceType == ec2types.ResourceTypeInstance {
			v.Tags = tags(s.Tags)
		}
	}
	return v
}

func tags(in []ec2types.Tag) map[string]string {
	out := map[string]string{}
	for _, tag := range in {
		out[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return out
}

func image(in ec2types.Image) fakeaws.Image {
	return fakeaws.Image{
		ID: aws.ToString(in.ImageId), Name: aws.ToString(in.Name), Description: aws.ToString(in.Description), Tags: tags(in.Tags),
		Architecture: string(in.Architecture), Owner: aws.ToString(in.OwnerId), Platform: string(in.Platform),
		RootDevice: aws.ToString(in.RootDeviceName),
		BlockDevices: devices(in.BlockDeviceMappings, func(d ec2types.BlockDeviceMapping) fakeaws.BlockDevice {
			if d.Ebs == nil {
				return device(d.DeviceName, d.VirtualName, nil, "", nil)
			}
			return device(d.DeviceName, d.VirtualName, d.Ebs.VolumeSize, string(d.Ebs.VolumeType), d.Ebs.SnapshotId)
		}),
	}
}

func devices[T any](in []T, one func(T) fakeaws.BlockDevice) []fakeaws.BlockDevice {
	var out []fakeaws.BlockDevice
	for _, d := range in {
		out = append(out, one(d))
	}
	return out
}

func device(name, virtual *string, size *int32, kind string, snapshot *string) fakeaws.BlockDevice {
	return fakeaws.BlockDevice{
		DeviceName: aws.ToString(name), Virtual: aws.ToString(virtual), SizeGiB: int(aws.ToInt32(size)), VolumeType: kind,
		SnapshotID: aws.ToString(snapshot),
	}
}
