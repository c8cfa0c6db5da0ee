package scenario

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// groupScript is a script over an account with group g, and an empty one with a name like a zone of it.
func groupScript(t *testing.T, desired int) *script {
	template := &fakeaws.LaunchTemplateRef{Name: "t"}
	zones := []string{"us-west-2a", "us-west-2b", "us-west-2c"}
	aws, err := fakeaws.Start(t.Context(), fakeaws.Config{
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "t", Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: "m5.large"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{
			{Name: "g", Max: 9, Desired: desired, Zones: zones, LaunchTemplate: template},
			{Name: "g/us-west-2a", Max: 9, Zones: zones[:1], LaunchTemplate: template},
			{Name: "a/b", Max: 9, Desired: 1, Zones: zones[:1], LaunchTemplate: template},
		}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = aws.Close() })
	return &script{Env: &Env{AWS: aws}, ctx: t.Context(), stdout: io.Discard, path: func(name string) string { return name }}
}

func TestInstancesAreCountedByZone(t *testing.T) {
	s := groupScript(t, 5)
	for where, want := range map[string]string{"g": "5", "g/us-west-2b": "2", "g/us-west-2c": "1", "a/b": "1", "a/b/us-west-2a": "1",
		"g/us-west-2a": "0"} { // a group of that name goes first
		holds, err := s.expectation("instances", []string{where, want})
		require.NoError(t, err)
		if ok, saw, err := holds(t.Context()); !ok || err != nil {
			t.Errorf("%s: saw %s, %v; want %s", where, saw, err, want)
		}
	}
}

func TestLaunchesAreCountedByZone(t *testing.T) {
	launch := func(group, zone string) fakeaws.Event {
		return fakeaws.Event{Kind: fakeaws.Launched, Group: group, Zone: zone}
	}
	events := []fakeaws.Event{launch("g", "a"), launch("g", "b"), launch("h", "a"), launch("g", "b"),
		{Kind: fakeaws.LaunchFailed, Group: "g", Zone: "a"}, {Kind: fakeaws.Terminated, Group: "g", Zone: "b"}}
	for where, want := range map[place]int{{group: "g"}: 3, {"g", "a"}: 1, {"g", "b"}: 2, {"h", "b"}: 0} {
		assert.Equalf(t, want, launchedIn(where, events), "launches in %v", where)
	}
}

func TestLaunchesAboveZoneLimitAreFound(t *testing.T) {
	s := groupScript(t, 0)
	assert.NoError(t, s.never(strings.Fields("launched g above 0")), "before any launch")
	require.NoError(t, s.AWS.SetDesired("g", 3))
	for _, where := range []string{"g 3", "g/us-west-2b 1"} {
		require.NoError(t, s.expect(strings.Fields("10s launched "+where)))
	}
	for words, want := range map[string]string{
		"launched g/us-west-2b above 1": "",
		"launched g/us-west-2b above 0": `1 instances of "g/us-west-2b" were launched`,
		"launched g above 2":            `3 instances of "g" were launched`,
		"launched g/us-west-2z above 2": `no zone "us-west-2z"`,
		"launched h above 2":            `no auto scaling group "h"`,
		"launched h/us-west-2a above 2": `no auto scaling group "h"`,
		"launched g above some":         "some",
	} {
		err := s.never(strings.Fields(words))
		assert.Truef(t, (want != "" || err == nil) && (want == "" || err != nil && strings.Contains(err.Error(), want)),
			"never %s: error %v, want %q", words, err, want)
	}
}

func TestGroupIsChangedAsAPersonWould(t *testing.T) {
	s := groupScript(t, 0)
	file := filepath.Join(t.TempDir(), "edit.yaml")
	require.NoError(t, os.WriteFile(file, []byte("max: 4\nmixedInstancesPolicy: {launchTemplate: {name: t}, distribution: {onDemandPercentageAboveBaseCapacity: 50}}\n"), 0o600))
	require.NoError(t, s.lines("edit g "+file+"\nsuspend g AZRebalance Launch\nresume g Launch\n"))
	g, _ := s.AWS.Group("g")
	assert.Equal(t, 4, g.Max, "max")
	var events []string
	for _, e := range s.AWS.Events() {
		if e.Kind == fakeaws.ProcessesSuspended || e.Kind == fakeaws.ProcessesResumed {
			events = append(events, string(e.Kind)+" "+e.Group+" "+e.Message+" "+e.By)
		}
	}
	assert.Empty(t, cmp.Diff([]string{"ProcessesSuspended g [AZRebalance Launch] admin", "ProcessesResumed g [Launch] admin"}, events),
		"processes (-want +got)")
}

func TestUnexpectedDenialFailsTheScript(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	s := groupScript(t, 0)
	s.allowed = map[string]bool{}
	var err error
	s.policies, err = shippedPolicies(fakeaws.Config{Region: s.AWS.Region()})
	require.NoError(t, err)
	require.NoError(t, s.AWS.SetPolicies(s.policies...))
	clients, err := awsclient.New(t.Context(), awsclients.Options(s.AWS))
	require.NoError(t, err)
	assert.Error(t, s.policy([]string{"without", "autoscaling:NoSuchAction"}), "an action that no policy allows can be taken away")
	require.NoError(t, s.policy([]string{"without", "ec2:DescribeImages"}))
	_, err = clients.AutoScaling.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	assert.NoError(t, err, "an action of the policy")
	assert.NoError(t, s.neverDenied(), "before a denial")
	_, err = clients.AutoScaling.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(0)})
	require.Truef(t, awsclient.IsForbidden(err), "a group without the tag: %v, want a denial", err)
	assert.ErrorContains(t, s.neverDenied(), "autoscaling:SetDesiredCapacity on arn:", "after a denial, want it")
	require.NoError(t, s.policy([]string{"without", "autoscaling:SetDesiredCapacity"}))
	assert.NoError(t, s.neverDenied(), "a denial that the script wants")
}
