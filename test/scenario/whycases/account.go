package whycases

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
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
	dir := t.TempDir()
	require.NoError(t, c.Write(dir))
	from, err := source.LoadAccount(dir, instancetypes.Embedded())
	require.NoError(t, err)
	groups, err := from.DescribeAutoScalingGroups(&autoscaling.DescribeAutoScalingGroupsInput{})
	require.NoError(t, err)
	versions, err := from.DescribeLaunchTemplateVersions(&ec2.DescribeLaunchTemplateVersionsInput{})
	require.NoError(t, err)
	a := account{members: map[string][]string{}, templates: templates(versions.LaunchTemplateVersions)}
	for _, g := range groups.AutoScalingGroups {
		group := emulated(g)
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
