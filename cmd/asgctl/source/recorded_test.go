package source

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

func account(t *testing.T, files map[string]string) *Account {
	t.Helper()
	folder := fstest.MapFS{}
	for name, content := range files {
		folder[name] = &fstest.MapFile{Data: []byte(content)}
	}
	a, err := LoadAccount(folder, "folder")
	require.NoError(t, err)
	return a
}

const groups = `{"AutoScalingGroups": [
	{"AutoScalingGroupName": "a", "AutoScalingGroupARN": "arn:aws-cn:autoscaling:cn-north-1:1:autoScalingGroup:x:autoScalingGroupName/a",
	 "Tags": [{"Key": "enabled", "Value": "true"}, {"Key": "cluster", "Value": "one"}]},
	{"AutoScalingGroupName": "b", "Tags": [{"Key": "enabled", "Value": "false"}]},
	{"AutoScalingGroupName": "c"}]}`

func TestGroupsAreFilteredAsAWSDoes(t *testing.T) {
	a := account(t, map[string]string{groupsFile: groups})
	filter := func(name string, values ...string) astypes.Filter {
		return astypes.Filter{Name: aws.String(name), Values: values}
	}
	for _, tt := range []struct {
		name    string
		names   []string
		filters []astypes.Filter
		want    []string
	}{
		{name: "all", want: []string{"a", "b", "c"}},
		{name: "by name", names: []string{"c", "a", "z"}, want: []string{"a", "c"}},
		{name: "a key", filters: []astypes.Filter{filter("tag-key", "enabled")}, want: []string{"a", "b"}},
		{name: "a key with a value", filters: []astypes.Filter{filter("tag:enabled", "true", "yes")}, want: []string{"a"}},
		{name: "both", filters: []astypes.Filter{filter("tag-key", "enabled"), filter("tag-key", "cluster")}, want: []string{"a"}},
		{name: "keys mind their case", filters: []astypes.Filter{filter("tag-key", "Enabled")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := a.DescribeAutoScalingGroups(&autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: tt.names, Filters: tt.filters})
			require.NoError(t, err)
			var got []string
			for _, g := range out.AutoScalingGroups {
				got = append(got, *g.AutoScalingGroupName)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "groups (-want +got)")
		})
	}
	assert.Truef(t, a.Region("a") == "cn-north-1" && a.Region("b") == "",
		"regions are %q and %q, want cn-north-1 and none", a.Region("a"), a.Region("b"))
}

func TestVersionsOfALaunchTemplate(t *testing.T) {
	a := account(t, map[string]string{groupsFile: groups, templatesFile: `
		{"LaunchTemplateVersions": [
			{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "one", "VersionNumber": 1, "DefaultVersion": true},
			{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "one", "VersionNumber": 3, "DefaultVersion": false}]}
		{"LaunchTemplateVersions": [{"LaunchTemplateId": "lt-2", "LaunchTemplateName": "two", "VersionNumber": 9, "DefaultVersion": true}]}`})
	for _, tt := range []struct {
		name    string
		in      ec2.DescribeLaunchTemplateVersionsInput
		want    []int64
		missing bool
	}{
		{name: "latest", in: ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-1"), Versions: []string{"$Latest"}}, want: []int64{3}},
		{name: "default, by name", in: ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("one"), Versions: []string{"$Default"}}, want: []int64{1}},
		{name: "number", in: ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-1"), Versions: []string{"1"}}, want: []int64{1}},
		{name: "of all", in: ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}}, want: []int64{1, 3, 9}},
		{name: "a version there is not", in: ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-1"), Versions: []string{"2"}}, missing: true},
		{name: "a template there is not", in: ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-3"), Versions: []string{"1"}}, missing: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := a.DescribeLaunchTemplateVersions(&tt.in)
			if tt.missing {
				assert.Truef(t, awsclient.IsNotFound(err), "error = %v, want AWS's for what is not there", err)
				return
			}
			require.NoError(t, err)
			var got []int64
			for _, v := range out.LaunchTemplateVersions {
				got = append(got, *v.VersionNumber)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "versions (-want +got)")
		})
	}
}

func TestNodegroupOfAnotherClusterIsNotThere(t *testing.T) {
	a := account(t, map[string]string{groupsFile: groups, nodegroupsFile: `{"nodegroup": {"nodegroupName": "a", "clusterName": "x"}}`})
	_, err := a.DescribeNodegroup(&eks.DescribeNodegroupInput{ClusterName: aws.String("y"), NodegroupName: aws.String("a")})
	assert.Truef(t, awsclient.IsNotFound(err), "error = %v, want AWS's for what is not there", err)
}

// A recorded loop has each answer with its request. Answers of the AWS CLI do not say what was asked.
func TestTypesThatMeetRequirementsAreOfTheSameRequest(t *testing.T) {
	ask := func(vcpu int32) *ec2.GetInstanceTypesFromInstanceRequirementsInput {
		return &ec2.GetInstanceTypesFromInstanceRequirementsInput{InstanceRequirements: &ec2types.InstanceRequirementsRequest{
			VCpuCount: &ec2types.VCpuCountRangeRequest{Min: &vcpu}}}
	}
	request, err := json.Marshal(ask(2))
	require.NoError(t, err)
	recorded, err := json.Marshal([]any{map[string]any{"Request": string(request), "InstanceTypes": []any{map[string]any{"InstanceType": "m5.large"}}}})
	require.NoError(t, err)
	a := account(t, map[string]string{groupsFile: groups, requirementsFile: string(recorded)})
	out, err := a.typesThatMeet(ask(2))
	require.NoError(t, err)
	assert.Equal(t, "m5.large", *out.InstanceTypes[0].InstanceType)
	_, err = a.typesThatMeet(ask(4))
	assert.ErrorContains(t, err, "the files do not say which instance types meet the requirements")
}
