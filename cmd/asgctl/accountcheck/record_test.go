package accountcheck_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/replay"
)

// at returns what stands under members of an answer, in the first element of each list.
func at(t *testing.T, answer any, members ...string) any {
	t.Helper()
	for _, member := range members {
		object, _ := answer.(map[string]any)
		answer = object[member]
		if list, ok := answer.([]any); ok {
			require.NotEmptyf(t, list, "%s", member)
			answer = list[0]
		}
	}
	return answer
}

// nodegroup makes a group a managed node group.
func nodegroup(c *fakeaws.Config) {
	c.AutoScalingGroups[2].Tags["eks:nodegroup-name"] = "hidden-pool"
	c.EKSNodegroups = []fakeaws.EKSNodegroup{{Cluster: "test", Name: "hidden-pool", Labels: map[string]string{"hidden/label": "hidden-value"}}}
}

func TestRecordingHidesTheAccount(t *testing.T) {
	const key = "AKIAIOSFODNN7EXAMPLE"
	server := newAWS(t, func(c *fakeaws.Config) {
		c.LaunchTemplates[0].Versions[0].UserData = "password=tiger"
		c.LaunchTemplates[0].Versions[0].IAMInstanceProfile = "arn:aws:iam::123456789012:instance-profile/node-role"
		c.AutoScalingGroups[0].Tags["team"] = "rocket-science"
		nodegroup(c)
	})
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENG")
	t.Setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzEJr")
	server.Inject(fakeaws.Fault{Action: "DescribeInstances", Code: "UnauthorizedOperation", Status: 403,
		Message: "You are not authorized to perform this operation. " +
			"User: arn:aws:sts::123456789012:assumed-role/secret/x may not read web or 'the vault' of 123456789012 with " + key +
			" from 10.1.2.3 in lt-0123456789abcdef0: " + strings.Repeat("Zm9v", 30)})
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	code, check, complaints := launch(t, "web", "--record", path)
	require.Truef(t, code == command.ExitFindings && check.Launch != nil && len(check.Launch.Instances) == 1,
		"exit code %d: %s", code, complaints)
	info, err := os.Stat(path)
	assert.Truef(t, err == nil && info.Mode().Perm() == 0o600, "%v, mode %v, want 0600", err, info.Mode())
	all := replay.Read(t, path)
	recorded, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(recorded)
	for _, secret := range []string{
		"123456789012", "web", "rocket", "team", "k8s.io/cluster-autoscaler", "tiger", "cGFzc3dvcmQ", "node-role", "secret",
		"the vault", "hidden", key,
		"wJalr", "FwoG", "10.1.2.3", "Zm9vZm9v", "lt-0123456789abcdef0", "asgctl-", check.Launch.Instances[0].ID,
	} {
		assert.Falsef(t, strings.Contains(text, secret), "the recording has %q", secret)
	}
	for action := range server.Calls() {
		assert.Truef(t, slices.ContainsFunc(all, func(e accountcheck.Exchange) bool { return e.Action == action }),
			"%s was called and is not recorded", action)
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestRecordingKeepsWhatAWSAnswered(t *testing.T) {
	server := newAWS(t, nil)
	server.Deny("DescribeImages")
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	launch(t, "web", "--record", path)
	all := replay.Read(t, path)
	byAction := map[string][]accountcheck.Exchange{}
	for _, e := range all {
		byAction[e.Action] = append(byAction[e.Action], e)
	}
	if e := byAction["DescribeImages"][0]; e.Service != "EC2" || e.Status != 403 || e.Code != "UnauthorizedOperation" ||
		!strings.Contains(e.Message, "not authorized") || e.Answer != nil {
		t.Errorf("%+v", e)
	}
	launches := byAction["LaunchInstances"]
	require.Len(t, launches, 2, "launches are recorded, want the launch and its repetition")
	first := launches[0]
	assert.Truef(t, first.Service == "Auto Scaling" && first.Region == server.Region() && first.Status == 200 && first.Version != "",
		"%+v", first)
	assert.Equal(t, 1.0, at(t, first.Request, "RequestedCapacity"), "requested capacity")
	assert.Equal(t, "m5.large", at(t, first.Answer, "Instances", "InstanceType"), "instance type")
	assert.Equal(t, zone, at(t, first.Answer, "Instances", "AvailabilityZone"), "zone")
	id := at(t, first.Answer, "Instances", "InstanceIds")
	assert.Regexp(t, "^i-", id, "instance")
	assert.Equal(t, id, at(t, launches[1].Answer, "Instances", "InstanceIds"), "instance of the repetition")
	assert.Equal(t, id, at(t, byAction["TerminateInstanceInAutoScalingGroup"][0].Request, "InstanceId"), "terminated instance")
	got := at(t, first.Request, "AutoScalingGroupName")
	assert.Truef(t, got == at(t, first.Answer, "AutoScalingGroupName") && got != nil, "group %v is another in the answer", got)
}

// What AWS answered until then is worth as much.
func TestFailedCheckLeavesItsRecording(t *testing.T) {
	server := newAWS(t, nil)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	server.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "InternalFailure"})
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	code, _, complaints := launch(t, "web", "--record", path)
	assert.Truef(t, code != command.ExitFine, "exit code %d: %s", code, complaints)
	if all := replay.Read(t, path); len(all) < 5 || all[0].Code != "InternalFailure" || all[0].Status != 500 {
		t.Errorf("%d calls are recorded, the first one %+v", len(all), all)
	}
}

func TestRecordingIsNeverOverwritten(t *testing.T) {
	server := newAWS(t, nil)
	dir := t.TempDir()
	path := filepath.Join(dir, "answers.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o644))
	for _, refused := range []string{path, dir, filepath.Join(dir, "none", "x")} {
		var out, complaints bytes.Buffer
		code := command.Run(t.Context(), "asgctl", []string{"account", "--record", refused}, &out, &complaints, "v1")
		assert.Truef(t, code == command.ExitCannotRun && strings.Contains(complaints.String(), refused) && strings.Contains(complaints.String(), "ame a "),
			"exit code %d: %s", code, complaints.String())
	}
	text, _ := os.ReadFile(path)
	assert.Truef(t, string(text) == "mine" && len(server.Calls()) == 0, "the file has %q, calls %v", text, server.Calls())
	require.NoError(t, os.Truncate(path, 0))
	code, _, complaints := run(t, "--record", path)
	assert.Equalf(t, command.ExitFine, code, "empty file: %s", complaints)
	info, _ := os.Stat(path)
	assert.Truef(t, info.Mode().Perm() == 0o600 && info.Size() != 0, "mode %v, %d bytes", info.Mode(), info.Size())
}

// This shows that the file has what a replay needs. It shows nothing about AWS: both sides are the emulator.
func TestRecordingOfTheEmulatorReplaysAlike(t *testing.T) {
	server := newAWS(t, func(c *fakeaws.Config) {
		nodegroup(c)
		c.LaunchTemplates[0].Versions[0].UserData = "#!/bin/sh"
		c.LaunchTemplates[0].Versions[0].BlockDevices = []fakeaws.BlockDevice{{DeviceName: "/dev/xvda", SizeGiB: 20}}
		mixed := &fakeaws.MixedInstancesPolicy{
			LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "t"}, Overrides: []fakeaws.Override{{InstanceType: "m5.xlarge", WeightedCapacity: 2}}}
		c.AutoScalingGroups = append(c.AutoScalingGroups,
			fakeaws.AutoScalingGroup{Name: "mixed", Max: 3, Zones: []string{zone}, MixedInstancesPolicy: mixed})
	})
	server.Deny("DescribeImages")
	path := filepath.Join(t.TempDir(), "answers.jsonl")
	launch(t, "web", "--record", path)
	recording := replay.Read(t, path)
	require.NotEmpty(t, recording)
	for _, difference := range replay.Differences(t, replay.State(t, recording), recording) {
		t.Error(difference)
	}
}
