package fromgroup_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/userdata"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/require"
)

const region = "us-west-2"

// read starts an emulated AWS with n groups of two types and a Cache that has read them.
func read(t testing.TB, n int) *asg.Cache {
	t.Helper()
	config := fakeaws.Config{Region: region, Images: []fakeaws.Image{{ID: "ami-1", Name: "amazon-eks-node-al2023-x86_64-standard-1.33-v20250801",
		BlockDevices: []fakeaws.BlockDevice{{DeviceName: "/dev/xvda", SizeGiB: 20}}}}}
	for i := range n {
		name := fmt.Sprintf("workers-%04d", i)
		config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{Name: name, Versions: []fakeaws.LaunchTemplateVersion{{
			ImageID: "ami-1", UserData: "#!/bin/bash\n/etc/eks/bootstrap.sh demo --kubelet-extra-args '--node-labels=team=a,index=" + fmt.Sprint(i) + "'\n"}}})
		config.AutoScalingGroups = append(config.AutoScalingGroups, fakeaws.AutoScalingGroup{Name: name, Max: 3,
			Zones: []string{"us-west-2a", "us-west-2b"}, Tags: map[string]string{discoveryTag: "true", "k8s.io/cluster-autoscaler/node-template/label/a": "b"},
			MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: name, Version: "1"},
				Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m5a.large"}}}})
	}
	_, cache := over(t, config)
	for deadline := time.Now().Add(2 * time.Minute); slices.ContainsFunc(cache.Snapshot().Groups(), unread); { // the start waits for some seconds
		require.False(t, time.Now().After(deadline), "launch templates are unread after two minutes")
		require.NoError(t, cache.Refresh(t.Context()))
	}
	return cache
}

func unread(g *group.Group) bool { return g.LaunchSpec == nil }

// discoveryTag is on every group that is read.
const discoveryTag = "k8s.io/cluster-autoscaler/enabled"

func over(t testing.TB, config fakeaws.Config) (*fakeaws.Server, *asg.Cache) {
	t.Helper()
	server := awsclients.Serve(t, config)
	awsclients.Point(t, server.URL())
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: server.Region()})
	require.NoError(t, err)
	cache := asg.NewCache(asg.Options{AutoScaling: clients.AutoScaling, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS},
		ClusterInUserData: userdata.Cluster,
		Discovery:         ownership.Discovery{Filters: []ownership.TagFilter{{{Key: discoveryTag}}}}, RefreshInterval: time.Minute, MotionInterval: time.Second, Clock: clock.RealClock{}})
	require.NoError(t, cache.Start(t.Context()))
	return server, cache
}

func stale(templates map[string]*fromgroup.Template, s *group.Snapshot) []string {
	var names []string
	for _, g := range s.Groups() {
		if t := templates[g.Name]; (fromgroup.Seen{}).Build(t, g, region, instancetypes.Embedded()) != t {
			names = append(names, g.Name)
		}
	}
	return names
}

func TestARefreshOfAThousandUnchangedGroupsBuildsNoTemplate(t *testing.T) {
	const groups = 1000
	cache := read(t, groups)
	templates := map[string]*fromgroup.Template{}
	for _, g := range cache.Snapshot().Groups() {
		templates[g.Name] = fromgroup.Seen{}.Build(nil, g, region, instancetypes.Embedded())
		require.Truef(t, templates[g.Name].Known() && len(templates[g.Name].Problems) == 0, "%s: problems %v", g.Name, templates[g.Name].Problems)
	}
	require.Len(t, templates, groups, "groups")
	before := cache.Snapshot()
	for range 2 {
		require.NoError(t, cache.Refresh(t.Context()))
		require.True(t, cache.Snapshot() != before, "the refresh gave no new snapshot")
		assert.Empty(t, stale(templates, cache.Snapshot()), "templates would be built again")
	}
}

// The loop of the autoscaler builds templates. User data is read before, where the launch templates are.
func TestATemplateDoesNotReadUserData(t *testing.T) {
	_, cache := over(t, fakeaws.Config{Region: region,
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "long", Versions: []fakeaws.LaunchTemplateVersion{{InstanceType: "m5.large",
			UserData: "#!/bin/bash\n" + strings.Repeat("echo a b\n", 1500) + "/etc/eks/bootstrap.sh demo --kubelet-extra-args '--node-labels=team=a'\n"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{{Name: "long", Max: 3, Zones: []string{"us-west-2a"}, Tags: map[string]string{discoveryTag: "true"},
			LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "long", Version: "$Latest"}}}})
	g := cache.Snapshot().Group("long")
	var template *fromgroup.Template
	allocated := costlimit.Allocated(func() { template = fromgroup.Seen{}.Build(nil, g, region, instancetypes.Embedded()) })
	require.Equalf(t, "a", template.Labels["team"], "labels %v, want that of the user data", template.Labels)
	assert.Truef(t, allocated <= 1<<17, "building the template allocates %d bytes: it reads the user data", allocated)
}
