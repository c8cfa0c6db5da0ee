package accountcheck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	zone  = "us-west-2a"
	owned = "k8s.io/cluster-autoscaler/prod"
)

// newAWS starts an account with a group that may be launched into, and groups that may not. An instance stays Pending for a while.
func newAWS(t *testing.T, change func(*fakeaws.Config)) *fakeaws.Server {
	t.Helper()
	group := func(name string, max int, tags map[string]string) fakeaws.AutoScalingGroup {
		return fakeaws.AutoScalingGroup{Name: name, Max: max, Desired: 1, Zones: []string{zone}, Tags: tags,
			LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "t", Version: "$Latest"}}
	}
	cfg := fakeaws.Config{
		Images:          []fakeaws.Image{{ID: "ami-0a"}},
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "t", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0a", InstanceType: "m5.large"}}}},
		Delays:          fakeaws.Delays{InService: fakeaws.Duration(10 * time.Minute), Synchronous: fakeaws.Duration(time.Millisecond)},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{
			group("web", 3, map[string]string{owned: "owned"}),
			group("full", 1, map[string]string{owned: "owned"}),
			group("other", 3, map[string]string{owned: "owned", "eks:cluster-name": "test"}),
			group("untagged", 3, nil),
		},
	}
	if change != nil {
		change(&cfg)
	}
	server := awsclients.Serve(t, cfg)
	awsclients.Point(t, server.URL())
	return server
}

func run(t *testing.T, args ...string) (int, accountcheck.Check, string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code := command.Run(t.Context(), "asgctl", slices.Concat([]string{"account", "-o", "json"}, args), &out, &complaints, "v1")
	var check accountcheck.Check
	err := json.Unmarshal(out.Bytes(), &check)
	require.Falsef(t, err != nil && code != command.ExitWrongUse, "%v in %s\n%s", err, out.String(), complaints.String())
	return code, check, complaints.String()
}

func launch(t *testing.T, group string, args ...string) (int, accountcheck.Check, string) {
	t.Helper()
	return run(t, append(args, "--asg-cluster-name", "prod", "--launch", group, "--yes")...)
}

func desired(t *testing.T, s *fakeaws.Server, group string) int {
	t.Helper()
	g, ok := s.Group(group)
	require.Truef(t, ok, "no group %q", group)
	return g.Desired
}

func TestEveryPermissionOfThePolicyIsShown(t *testing.T) {
	server := newAWS(t, nil)
	code, check, complaints := run(t)
	assert.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	require.NotEmpty(t, server.Calls())
	for action := range server.Calls() { // nothing in the account may change without --launch
		assert.Regexpf(t, "^(Describe|Get|List)", action, "it called %s", action)
	}
	for _, policy := range []string{"policy-aws.json", "policy-aws-cn.json", "policy-aws-us-gov.json"} {
		raw, err := os.ReadFile("../../../manifests/iam/" + policy)
		require.NoError(t, err)
		for _, action := range regexp.MustCompile(`"([a-z0-9-]+:[A-Z]\w+)"`).FindAllStringSubmatch(string(raw), -1) {
			shown := slices.ContainsFunc(check.Permissions, func(c accountcheck.Call) bool { return c.Action == action[1] })
			assert.Truef(t, shown || strings.HasPrefix(action[1], "aws:"), "%s of %s has no row", action[1], policy)
		}
	}
	for _, p := range check.Permissions {
		switch {
		case p.Outcome == "not-tried":
			assert.Truef(t, p.Meaning != "", "%s was not tried for no reason", p.Action)
		case p.Outcome != "allowed" || p.RequestID == "":
			t.Errorf("%s is %s, request ID %q: %s", p.Action, p.Outcome, p.RequestID, p.Meaning)
		}
	}
}

func TestDeniedPermission(t *testing.T) {
	server := newAWS(t, nil)
	server.Deny("DescribeImages")
	code, check, complaints := run(t)
	assert.Truef(t, code == command.ExitFindings && strings.Contains(complaints, "ec2:DescribeImages is denied"),
		"exit code %d: %s", code, complaints)
	i := slices.IndexFunc(check.Permissions, func(c accountcheck.Call) bool { return c.Action == "ec2:DescribeImages" })
	p := check.Permissions[i]
	assert.Truef(t, p.Code == "UnauthorizedOperation" && strings.Contains(p.Meaning, "Effect: the operating system"), "%+v", p)
}

func TestOneLaunchThatIsTakenAway(t *testing.T) {
	server := newAWS(t, nil)
	code, check, complaints := launch(t, "web")
	require.Equalf(t, command.ExitFine, code, "exit code: %s", complaints)
	l := check.Launch
	assert.Truef(t, len(l.Instances) == 1 && l.Repeated != nil && l.SameInstances && l.Reading.Complete && l.Reading.Desired == 2 && l.TakenAway != nil,
		"%+v, reading %+v", l, l.Reading)
	assert.Equal(t, 2, server.Calls()["LaunchInstances"], "calls of LaunchInstances, want the launch and its repetition")
	assert.Equal(t, 1, desired(t, server, "web"), "desired capacity, want 1 as before")
	var terminated []string
	for _, e := range server.Events() {
		if e.Kind == fakeaws.TerminateRequested {
			terminated = append(terminated, e.Instance)
		}
	}
	assert.Equal(t, []string{l.Instances[0].ID}, terminated, "instances were terminated")
}

func TestLaunchIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, group, want string
		change            func(*fakeaws.Server)
		config            func(*fakeaws.Config)
	}{
		{name: "group at its maximum", group: "full", want: "no room"},
		{name: "other cluster's group", group: "other", want: `states cluster "test"`},
		{name: "no owned tag", group: "untagged", want: "lacks the tag " + owned},
		{name: "no such group", group: "none", want: "no Auto Scaling group"},
		{name: "zone of a group", group: "web/" + zone, want: "no Auto Scaling group"},
		{name: "suspended", group: "web", want: "suspended", change: func(s *fakeaws.Server) { _ = s.Suspend("web", "Launch") }},
		{name: "AWS keeps an instance beyond the desired capacity, and would end the launched one", group: "web", want: "protected from scale-in",
			config: func(c *fakeaws.Config) {
				c.AutoScalingGroups[0].Desired, c.AutoScalingGroups[0].ProtectNewInstances = 2, true
			},
			change: func(s *fakeaws.Server) { _ = s.SetDesired("web", 1) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newAWS(t, tt.config)
			if tt.change != nil {
				tt.change(server)
			}
			code, check, complaints := launch(t, tt.group)
			assert.Truef(t, code == command.ExitFindings && strings.Contains(complaints, tt.want),
				"exit code %d: %s, want %q", code, complaints, tt.want)
			assert.Truef(t, server.Calls()["LaunchInstances"] == 0 && check.Launch == nil, "calls %v", server.Calls())
		})
	}
}

func TestLaunchNeedsTheClusterName(t *testing.T) {
	newAWS(t, nil)
	code, _, complaints := run(t, "--launch", "web", "--yes")
	assert.Truef(t, code == command.ExitWrongUse && strings.Contains(complaints, "--asg-cluster-name"), "exit code %d: %s", code, complaints)
}

func TestEndpointWithoutLaunchInstances(t *testing.T) {
	newAWS(t, func(c *fakeaws.Config) { c.Lacks.Actions = []string{"LaunchInstances"} })
	code, check, _ := launch(t, "web")
	assert.Truef(t, code == command.ExitFindings && check.Launch.Outcome == "unsupported" && strings.Contains(check.Launch.Meaning, "raises the desired capacity"),
		"exit code %d, %+v", code, check.Launch)
	assert.Nil(t, check.Launch.Repeated, "a refused call was repeated")
}

func TestForgottenTokenLaunchesTwice(t *testing.T) {
	server := newAWS(t, func(c *fakeaws.Config) { c.ClientTokens = fakeaws.Duration(time.Nanosecond) })
	code, check, complaints := launch(t, "web")
	assert.Truef(t, code == command.ExitFindings && !check.Launch.SameInstances && strings.Contains(complaints, "answered in another way"),
		"exit code %d: %s", code, complaints)
	assert.Equal(t, 1, desired(t, server, "web"), "desired capacity: both instances are taken away")
}

// Where an answer is lost, the instance is known by the other one, or somebody has to look.
func TestLostAnswerOfTheLaunch(t *testing.T) {
	for _, tt := range []struct {
		lost, instances, desired int
		want, row                string
	}{
		{lost: 1, instances: 1, desired: 1, want: "AWS answered only the repeated call", row: "the same client token. The first answer was lost"},
		{lost: 2, instances: 0, desired: 2, want: "AWS did not say whether it launched an instance: look at the group"},
	} {
		server := newAWS(t, nil)
		server.Inject(fakeaws.Fault{Action: "LaunchInstances", Body: fakeaws.Lost, Times: tt.lost})
		code, check, complaints := launch(t, "web")
		assert.Truef(t, code == command.ExitFindings && strings.HasSuffix(complaints, " "+tt.want+"\n"), "exit code %d: %s", code, complaints)
		assert.Contains(t, check.Launch.Repeated.Meaning, tt.row)
		assert.Len(t, check.Launch.Instances, tt.instances)
		assert.Equal(t, tt.desired, desired(t, server, "web"), "desired capacity")
	}
}

func TestInterruptedCheckIsNoAnswer(t *testing.T) {
	newAWS(t, nil)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, complaints bytes.Buffer
	assert.Equal(t, command.ExitCannotRun, command.Run(ctx, "asgctl", []string{"account"}, &out, &complaints, "v1"))
	assert.Truef(t, out.Len() == 0 && strings.Contains(complaints.String(), "context canceled"), "says %q and %q", &out, &complaints)
}

// A Ctrl-C while AWS launches leaves no instance that nobody knows of.
func TestInterruptedLaunchIsKnown(t *testing.T) {
	clients, err := awsclient.New(t.Context(), awsclients.Options(newAWS(t, nil)))
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	check := accountcheck.New(ctx, clients)
	interrupt()
	assert.Len(t, check.LaunchInto(ctx, &group.Group{Name: "web", Zones: []string{zone}}), 1)
	assert.True(t, check.Launch.SameInstances, "the same answer")
	assert.Empty(t, check.Findings(), "nobody waited for the group")
}

func TestNoCapacity(t *testing.T) {
	server := newAWS(t, nil)
	server.AddShortage(fakeaws.Shortage{Group: "web"})
	code, check, complaints := launch(t, "web")
	assert.Truef(t, code == command.ExitFindings && len(check.Launch.Errors) == 1 && check.Launch.TakenAway == nil,
		"exit code %d: %s, %+v", code, complaints, check.Launch)
}

// An instance that runs may be a node with pods, so it is not terminated.
func TestRunningInstanceStays(t *testing.T) {
	server := newAWS(t, func(c *fakeaws.Config) { c.Delays.InService = fakeaws.Duration(time.Millisecond) })
	_, check, _ := launch(t, "web")
	assert.Truef(t, check.Launch.TakenAway == nil && strings.Contains(check.Launch.Kept, "may be a node"), "%+v", check.Launch)
	assert.Equal(t, 2, desired(t, server, "web"), "desired capacity")
}
