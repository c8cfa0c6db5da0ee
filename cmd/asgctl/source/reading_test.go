package source

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// start starts an emulated AWS with one group per instance type, named like it.
func start(t *testing.T, types ...string) *fakeaws.Server {
	t.Helper()
	config := fakeaws.Config{InstanceTypes: []fakeaws.InstanceType{{Name: "m9z.large", VCPU: 2, MemoryMiB: 8192, MaxENIs: 3, IPv4PerENI: 10}}}
	for _, name := range types {
		config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{Name: name, Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: name}}})
		config.AutoScalingGroups = append(config.AutoScalingGroups, fakeaws.AutoScalingGroup{
			Name: name, Max: 3, Zones: []string{"us-west-2a"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: name, Version: "$Default"},
		})
	}
	server := awsclients.Serve(t, config)
	awsclients.Point(t, server.URL())
	return server
}

func names(r *Reading) []string {
	var out []string
	for _, g := range r.Groups {
		out = append(out, g.Name)
	}
	return out
}

func TestOneReadingMakesFewCalls(t *testing.T) {
	server := start(t, "m5.large", "c5.large")
	r, err := Read(t.Context(), Options{})
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff([]string{"c5.large", "m5.large"}, names(r)), "groups (-want +got)")
	want := map[string]int{"DescribeAutoScalingGroups": 1, "DescribeLaunchTemplateVersions": 2}
	assert.Empty(t, cmp.Diff(want, server.Calls()), "calls (-want +got)")
}

func TestZonalViewProblemsAppearOnce(t *testing.T) {
	server := awsclients.Serve(t, fakeaws.Config{
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "web", Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: "m5.large"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{{Name: "web", Max: 3, Zones: []string{"us-west-2a", "us-west-2b", "us-west-2c"},
			Tags:               map[string]string{"k8s.io/cluster-autoscaler/node-template/label/topology.kubernetes.io/zone": "us-west-2a"},
			SuspendedProcesses: []string{"AZRebalance"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "web", Version: "$Default"}}},
	})
	awsclients.Point(t, server.URL())
	for zonal, want := range map[asg.ZonalGroups][]string{asg.ZonalAll: {"declared-zone"}, asg.ZonalOff: nil} {
		r, err := Read(t.Context(), Options{ZonalGroups: zonal})
		require.NoError(t, err)
		var got []string
		for _, p := range r.Problems(r.Groups[0]) {
			got = append(got, p.Reason)
		}
		assert.Emptyf(t, cmp.Diff(want, got), "problems with zonal groups %s (-want +got)", zonal)
	}
}

func TestATypeThatTheCatalogueLacksIsLookedUp(t *testing.T) {
	server := start(t, "m9z.large", "m5.large")
	r, err := Read(t.Context(), Options{})
	require.NoError(t, err)
	assert.Truef(t, r.Unlooked == nil && server.Calls()["DescribeInstanceTypes"] == 1,
		"error %v after %d calls, want none after one", r.Unlooked, server.Calls()["DescribeInstanceTypes"])
	for _, g := range r.Groups {
		assert.Truef(t, r.Template(g).Known() && len(r.Problems(g)) == 0, "%s: problems %+v, want a template without", g.Name, r.Problems(g))
	}
	server.Deny("DescribeInstanceTypes")
	r, err = Read(t.Context(), Options{})
	require.NoError(t, err)
	assert.Truef(t, awsclient.IsDenied(r.Unlooked), "error = %v, want that of the look-up", r.Unlooked)
	for _, g := range r.Groups {
		problems := r.Problems(g)
		unknown := len(problems) == 1 && problems[0].Blocks && strings.Contains(problems[0].Message, "m9z.large")
		assert.Truef(t, unknown == (g.Name == "m9z.large"), "%s: problems %+v", g.Name, problems)
	}
}

func TestAFailureEndsTheReadingAtOnce(t *testing.T) {
	server := start(t, "m5.large")
	server.Deny("DescribeAutoScalingGroups")
	begun := time.Now()
	_, err := Read(t.Context(), Options{})
	assert.Truef(t, awsclient.IsDenied(err) && time.Since(begun) <= 10*time.Second,
		"error = %v after %v, want AWS's own at once", err, time.Since(begun))
	var wrong WrongUse
	_, err = Read(t.Context(), Options{Nodes: []string{"x"}})
	assert.Truef(t, errors.As(err, &wrong), "error = %v, want wrong use", err)
	for range 20 {
		_, err = Read(t.Context(), Options{ClusterName: "a b", DiscoveryJoin: "or", ZonalGroups: "some"})
		require.ErrorContains(t, err, "--asg-cluster-name: ", "the first of several wrong flags is named")
	}
}

func TestAnUnreadableAnswerIsAskedForAgain(t *testing.T) {
	server := start(t, "m5.large")
	server.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Body: fakeaws.Garbled, Times: 2})
	r, err := Read(t.Context(), Options{})
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff([]string{"m5.large"}, names(r)), "groups (-want +got)")
}

func TestDeniedLaunchTemplatesBlockTheirGroups(t *testing.T) {
	server := start(t, "m5.large", "c5.large")
	server.Deny("DescribeLaunchTemplateVersions")
	r, err := Read(t.Context(), Options{})
	require.NoError(t, err)
	require.Len(t, r.Groups, 2)
	for _, g := range r.Groups {
		problems := r.Problems(g)
		assert.Truef(t, len(problems) == 1 && problems[0].Blocks && strings.Contains(problems[0].Remedy, "ec2:DescribeLaunchTemplateVersions"),
			"%s: problems %+v, want one with the permission", g.Name, problems)
	}
}
