package fromgroup_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/require"
)

// account holds groups of every kind, each with nodes.
const account = `
region: us-west-2
images:
- {id: ami-1, name: amazon-eks-node-al2023-x86_64-standard-1.33-v20250801}
- {id: ami-2, name: amazon-eks-node-al2023-arm64-standard-1.33-v20250801, architecture: arm64}
launchTemplates:
- {name: plain, versions: [{imageId: ami-1, instanceType: m5.large}]}
- {name: arm, versions: [{imageId: ami-2, instanceType: m6g.large}]}
- {name: gpu, versions: [{imageId: ami-1, instanceType: g4dn.xlarge, spot: true}]}
- name: told
  versions:
  - imageId: ami-1
    instanceType: m5.large
    userData: |
      #!/bin/bash
      /etc/eks/bootstrap.sh demo --kubelet-extra-args '--node-labels=team=dsp,tier=gold --register-with-taints=dsp=true:NoSchedule'
autoScalingGroups:
- {name: plain, max: 3, desired: 1, zones: [us-west-2a], tags: {k8s.io/cluster-autoscaler/enabled: "true"}, launchTemplate: {name: plain}}
- {name: arm, max: 3, desired: 2, zones: [us-west-2a, us-west-2b], tags: {k8s.io/cluster-autoscaler/enabled: "true"}, launchTemplate: {name: arm}}
- {name: gpu, max: 3, desired: 1, zones: [us-west-2a], tags: {k8s.io/cluster-autoscaler/enabled: "true"}, launchTemplate: {name: gpu}}
- name: told
  max: 3
  desired: 1
  zones: [us-west-2b]
  tags: {k8s.io/cluster-autoscaler/enabled: "true", Name: told, team: other}
  launchTemplate: {name: told}
  nodeLabels: {team: dsp, tier: gold}
- name: managed
  max: 3
  desired: 1
  zones: [us-west-2a]
  tags: {k8s.io/cluster-autoscaler/enabled: "true", eks:cluster-name: demo, eks:nodegroup-name: workers, eks:other: thing}
  launchTemplate: {name: plain}
  nodeLabels: {team: api, eks.amazonaws.com/nodegroup: workers, eks.amazonaws.com/capacityType: ON_DEMAND, eks.amazonaws.com/nodegroup-image: ami-1}
- name: mixed
  max: 9
  desired: 4
  zones: [us-west-2a, us-west-2b]
  tags: {k8s.io/cluster-autoscaler/enabled: "true", eks:cluster-name: demo, eks:nodegroup-name: both}
  mixedInstancesPolicy:
    launchTemplate: {name: plain}
    overrides: [{instanceType: m5.large}, {instanceType: m5a.large}, {instanceType: t3.large}]
    distribution: {onDemandBaseCapacity: 2, onDemandPercentageAboveBaseCapacity: 0, spotInstancePools: 2}
  nodeLabels: {eks.amazonaws.com/nodegroup: both, lifecycle: on-demand}
  spotNodeLabels: {lifecycle: spot}
eksNodegroups:
- {cluster: demo, name: workers, autoScalingGroup: managed, labels: {team: api}, amiType: AL2023_x86_64_STANDARD, diskSize: 20}
`

func TestNodesCarryEveryLabelOfTheirTemplate(t *testing.T) {
	config, err := fakeaws.ParseConfig([]byte(account))
	require.NoError(t, err)
	config.DiversifySpot = true
	server, cache := over(t, config)
	nodes := nodesOf(t, server)
	for _, g := range cache.Snapshot().Groups() {
		template := fromgroup.Seen{}.Build(nil, g, config.Region, instancetypes.Embedded())
		assert.Truef(t, template.Known() && len(template.Problems) == 0, "%s: problems %v", g.Name, template.Problems)
		state, _ := server.Group(g.Name)
		require.Lenf(t, state.Instances, g.DesiredCapacity, "%s has instances", g.Name)
		for _, i := range state.Instances {
			checkLabels(t, g.Name, template, nodes[i.Node])
		}
	}
}

func checkLabels(t *testing.T, group string, template *fromgroup.Template, node corev1.Node) {
	t.Helper()
	for _, key := range slices.Sorted(maps.Keys(template.Labels)) {
		got, ok := node.Labels[key]
		assert.Truef(t, ok && got == template.Labels[key], "%s promises %s=%q, a node has %q (%t)", group, key, template.Labels[key], got, ok)
	}
	for key := range template.Assumed {
		_, ok := node.Labels[key]
		assert.Truef(t, ok, "%s has every node carry %s, one does not", group, key)
	}
}

// nodesOf are the nodes of all groups, by name, once all have come.
func nodesOf(t *testing.T, server *fakeaws.Server) map[string]corev1.Node {
	t.Helper()
	want := 0
	for _, g := range server.Groups() {
		want += g.Desired
	}
	client := fake.NewClientset()
	watch, err := client.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	defer watch.Stop()
	require.NoError(t, server.Attach(client))
	nodes := map[string]corev1.Node{}
	for timeout := time.After(time.Minute); len(nodes) < want; {
		select {
		case e := <-watch.ResultChan():
			if node, ok := e.Object.(*corev1.Node); ok {
				nodes[node.Name] = *node
			}
		case <-timeout:
			t.Fatalf("%d of %d nodes came", len(nodes), want)
		}
	}
	return nodes
}
