package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
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
	server, err := fakeaws.Start(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	point(t, server)
	return server
}

// point has the SDK's clients ask the server.
func point(t *testing.T, server *fakeaws.Server) {
	t.Setenv("AWS_ENDPOINT_URL", server.URL())
	t.Setenv("AWS_REGION", server.Region())
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
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

func TestSingleGroupKeepsItsLimits(t *testing.T) {
	start(t, "m5.large", "c5.large")
	r, err := Read(t.Context(), Options{Only: "c5.large"})
	require.NoError(t, err)
	assert.Truef(t, len(r.Groups) == 1 && r.Groups[0].Name == "c5.large" && r.Groups[0].MaxSize == 3 && r.Groups[0].MinSize == 0,
		"groups = %+v, want c5.large from 0 to 3", r.Groups)
	r, err = Read(t.Context(), Options{Nodes: []string{"0:1:c5.large", "0:1:none"}})
	assert.Truef(t, err == nil && cmp.Equal(r.Absent, []string{"none"}), "absent = %v, %v, want the one that is not there", r.Absent, err)
}

func TestZonalViewIsFoundByID(t *testing.T) {
	server, err := fakeaws.Start(t.Context(), fakeaws.Config{
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "web", Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: "m5.large"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{{Name: "web", Max: 3, Zones: []string{"us-west-2a", "us-west-2b"},
			SuspendedProcesses: []string{"AZRebalance"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "web", Version: "$Default"}}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	point(t, server)
	for _, tt := range []struct {
		zonal asg.ZonalGroups
		id    string
		zone  string
		err   string
	}{
		{zonal: asg.ZonalAll, id: "web/us-west-2b", zone: "us-west-2b"},
		{zonal: asg.ZonalAll, id: "web"},
		{zonal: asg.ZonalAll, id: "web/us-west-2c", err: `"web" has no zone "us-west-2c"`},
		{zonal: asg.ZonalTagged, id: "web/us-west-2b", err: "is one node group"},
		{zonal: asg.ZonalOff, id: "web/us-west-2b", err: "is one node group"},
		{zonal: "some", id: "web", err: "want off, tagged or all"},
	} {
		t.Run(string(tt.zonal)+" "+tt.id, func(t *testing.T) {
			before := server.Calls()["DescribeAutoScalingGroups"]
			r, err := Read(t.Context(), Options{Only: tt.id, ZonalGroups: tt.zonal})
			var g *group.Group
			if err == nil {
				g, err = r.Find(tt.id)
				assert.Equal(t, 1, server.Calls()["DescribeAutoScalingGroups"]-before, "readings of the groups")
			}
			if tt.err != "" {
				assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.err), "error = %v, want one with %q", err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.Truef(t, g.ID() == tt.id && g.MaxSize >= 1 && r.Template(g).Labels["topology.kubernetes.io/zone"] == tt.zone,
				"found %q of at most %d, labels %v; want %q and the zone %q", g.ID(), g.MaxSize, r.Template(g).Labels, tt.id, tt.zone)
		})
	}
}

func TestZonalViewProblemsAppearOnce(t *testing.T) {
	server, err := fakeaws.Start(t.Context(), fakeaws.Config{
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "web", Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: "m5.large"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{{Name: "web", Max: 3, Zones: []string{"us-west-2a", "us-west-2b", "us-west-2c"},
			Tags:               map[string]string{"k8s.io/cluster-autoscaler/node-template/label/topology.kubernetes.io/zone": "us-west-2a"},
			SuspendedProcesses: []string{"AZRebalance"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "web", Version: "$Default"}}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	point(t, server)
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
}

func TestAnUnreadableAnswerIsAskedForAgain(t *testing.T) {
	server := start(t, "m5.large")
	server.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Body: fakeaws.Garbled, Times: 2})
	r, err := Read(t.Context(), Options{})
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff([]string{"m5.large"}, names(r)), "groups (-want +got)")
}

func TestDeniedLaunchTemplateBlocksOnlyItsGroup(t *testing.T) {
	server := start(t, "m5.large", "c5.large")
	server.Deny("DescribeLaunchTemplateVersions")
	r, err := Read(t.Context(), Options{})
	require.NoError(t, err)
	for _, g := range r.Groups {
		problems := r.Problems(g)
		assert.Truef(t, len(problems) == 1 && problems[0].Blocks && strings.Contains(problems[0].Remedy, "ec2:DescribeLaunchTemplateVersions"),
			"%s: problems %+v, want one with the permission", g.Name, problems)
	}
}

func TestOfflineTheRemedyIsToRecordMore(t *testing.T) {
	dir := t.TempDir()
	group := `{"AutoScalingGroups": [{"AutoScalingGroupName": "a", "MinSize": 0, "MaxSize": 1, "DesiredCapacity": 0, "AvailabilityZones": ["eu-central-1a"], "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "7"}}]}`
	for name, text := range map[string]string{"auto-scaling-groups.json": group, "launch-template-versions.json": `{"LaunchTemplateVersions": []}`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	r, err := Read(t.Context(), Options{From: dir})
	require.NoError(t, err)
	g := r.Groups[0]
	problems := r.Problems(g)
	if len(problems) != 1 || !problems[0].Blocks || !strings.HasPrefix(problems[0].Remedy, "record it: aws ec2 describe-launch-template-versions") {
		t.Errorf("problems = %+v, want one that says what to record", problems)
	}
	assert.Equal(t, "eu-central-1", r.Region(g), "region, want that of the zone")
}
