package whycases

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/recorded"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

// account is the recorded account of a case, for the emulator.
type account struct {
	groups     []fakeaws.AutoScalingGroup
	templates  []fakeaws.LaunchTemplate
	nodegroups []fakeaws.EKSNodegroup // that tags of groups name
	members    map[string][]string    // recorded instance IDs, by group
}

// account reads the recorded answers of AWS with the code of asgctl.
func (c *Case) account(t testing.TB) account {
	t.Helper()
	dir := t.TempDir()
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	from, err := recorded.Load(dir, instancetypes.Embedded())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := from.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	versions, err := from.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{})
	if err != nil {
		t.Fatal(err)
	}
	a := account{members: map[string][]string{}, templates: templatesOf(versions.LaunchTemplateVersions)}
	for _, g := range groups.AutoScalingGroups {
		group := groupOf(g)
		a.groups = append(a.groups, group)
		if name := group.Tags["eks:nodegroup-name"]; name != "" {
			a.nodegroups = append(a.nodegroups, fakeaws.EKSNodegroup{Cluster: group.Tags["eks:cluster-name"], Name: name, AutoScalingGroup: group.Name})
		}
		for _, i := range g.Instances {
			name := aws.ToString(g.AutoScalingGroupName)
			a.members[name] = append(a.members[name], aws.ToString(i.InstanceId))
		}
	}
	return a
}

// groupOf is the group for the emulator.
func groupOf(in astypes.AutoScalingGroup) fakeaws.AutoScalingGroup {
	g := fakeaws.AutoScalingGroup{Name: aws.ToString(in.AutoScalingGroupName), Min: int(aws.ToInt32(in.MinSize)), Max: int(aws.ToInt32(in.MaxSize)),
		Desired: int(aws.ToInt32(in.DesiredCapacity)), Zones: in.AvailabilityZones, Tags: map[string]string{}}
	for _, tag := range in.Tags {
		g.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	for _, p := range in.SuspendedProcesses {
		g.SuspendedProcesses = append(g.SuspendedProcesses, aws.ToString(p.ProcessName))
	}
	if ref := in.LaunchTemplate; ref != nil {
		g.LaunchTemplate = &fakeaws.LaunchTemplateRef{ID: aws.ToString(ref.LaunchTemplateId), Name: aws.ToString(ref.LaunchTemplateName), Version: aws.ToString(ref.Version)}
	}
	return g
}

// templatesOf are the launch templates for the emulator, each with its versions in order.
func templatesOf(versions []ec2types.LaunchTemplateVersion) []fakeaws.LaunchTemplate {
	slices.SortFunc(versions, func(a, b ec2types.LaunchTemplateVersion) int {
		return cmp.Or(strings.Compare(aws.ToString(a.LaunchTemplateId), aws.ToString(b.LaunchTemplateId)), cmp.Compare(aws.ToInt64(a.VersionNumber), aws.ToInt64(b.VersionNumber)))
	})
	var templates []fakeaws.LaunchTemplate
	for _, v := range versions {
		id := aws.ToString(v.LaunchTemplateId)
		if len(templates) == 0 || templates[len(templates)-1].ID != id {
			templates = append(templates, fakeaws.LaunchTemplate{ID: id, Name: aws.ToString(v.LaunchTemplateName)})
		}
		last := &templates[len(templates)-1]
		last.Versions = append(last.Versions, fakeaws.LaunchTemplateVersion{ImageID: aws.ToString(v.LaunchTemplateData.ImageId),
			InstanceType: string(v.LaunchTemplateData.InstanceType)})
	}
	return templates
}
