package whycases

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// emulated is a recorded group for the emulator.
func emulated(in astypes.AutoScalingGroup) fakeaws.AutoScalingGroup {
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

// templates are the launch templates for the emulator, each with its versions in order. The emulator numbers them without a gap, so
// a missing version is as the next one.
func templates(versions []ec2types.LaunchTemplateVersion) []fakeaws.LaunchTemplate {
	slices.SortFunc(versions, func(a, b ec2types.LaunchTemplateVersion) int {
		return cmp.Or(strings.Compare(aws.ToString(a.LaunchTemplateId), aws.ToString(b.LaunchTemplateId)),
			cmp.Compare(aws.ToInt64(a.VersionNumber), aws.ToInt64(b.VersionNumber)))
	})
	var all []fakeaws.LaunchTemplate
	for _, v := range versions {
		id := aws.ToString(v.LaunchTemplateId)
		if len(all) == 0 || all[len(all)-1].ID != id {
			all = append(all, fakeaws.LaunchTemplate{ID: id, Name: aws.ToString(v.LaunchTemplateName)})
		}
		last := &all[len(all)-1]
		for first := true; first || len(last.Versions) < int(aws.ToInt64(v.VersionNumber)); first = false {
			last.Versions = append(last.Versions, version(v.LaunchTemplateData))
		}
		if aws.ToBool(v.DefaultVersion) {
			last.Default = len(last.Versions)
		}
	}
	return all
}

func version(data *ec2types.ResponseLaunchTemplateData) fakeaws.LaunchTemplateVersion {
	if data == nil {
		return fakeaws.LaunchTemplateVersion{}
	}
	v := fakeaws.LaunchTemplateVersion{
		ImageID: aws.ToString(data.ImageId), InstanceType: string(data.InstanceType), UserData: aws.ToString(data.UserData),
		SecurityGroupIDs: data.SecurityGroupIds,
	}
	for _, d := range data.BlockDeviceMappings {
		device := fakeaws.BlockDevice{DeviceName: aws.ToString(d.DeviceName), Virtual: aws.ToString(d.VirtualName)}
		if d.Ebs != nil {
			device.SizeGiB, device.VolumeType, device.SnapshotID = int(aws.ToInt32(d.Ebs.VolumeSize)), string(d.Ebs.VolumeType), aws.ToString(d.Ebs.SnapshotId)
		}
		v.BlockDevices = append(v.BlockDevices, device)
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
			v.Tags = map[string]string{}
			for _, tag := range s.Tags {
				v.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
		}
	}
	return v
}
