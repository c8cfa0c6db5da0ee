package recipes

import (
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// instanceGroup is the part of kOps' InstanceGroup (kops.k8s.io/v1alpha2 of kOps 1.36) that the recipe uses. Any other key is an error.
type instanceGroup struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Role        string            `json:"role"`
		Type        string            `json:"machineType"`
		Min         int               `json:"minSize"`
		Max         int               `json:"maxSize"`
		Subnets     []string          `json:"subnets"`
		NodeLabels  map[string]string `json:"nodeLabels"`
		Taints      []string          `json:"taints"`
		CloudLabels map[string]string `json:"cloudLabels"`
		Mixed       struct {
			Instances []string `json:"instances"`
			Base      int      `json:"onDemandBase"`
			AboveBase int      `json:"onDemandAboveBase"`
			Strategy  string   `json:"spotAllocationStrategy"`
		} `json:"mixedInstancesPolicy"`
	} `json:"spec"`
}

// kopsCluster is the part of kOps' Cluster that the recipe uses.
type kopsCluster struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		ClusterAutoscaler struct {
			Enabled bool   `json:"enabled"`
			Image   string `json:"image"`
		} `json:"clusterAutoscaler"`
	} `json:"spec"`
}

// instanceGroupAccount returns the account with the group of an InstanceGroup, with the tags that kOps sets. A subnet has the name
// of its zone.
func instanceGroupAccount(t *testing.T, document string) fakeaws.Config {
	ig := decodeStrictly[instanceGroup](t, strings.ReplaceAll(document, "CLUSTER_NAME", cluster))
	const template = "k8s.io/cluster-autoscaler/node-template/"
	name := ig.Metadata.Name + "." + cluster
	tags := map[string]string{
		"KubernetesCluster": cluster, "kubernetes.io/cluster/" + cluster: "owned", "k8s.io/role/node": "1", "kops.k8s.io/instancegroup": ig.Metadata.Name,
		template + "label/kops.k8s.io/instancegroup": ig.Metadata.Name, template + "label/node-role.kubernetes.io/node": "",
	}
	for key, value := range ig.Spec.CloudLabels {
		tags[key] = value
	}
	for key, value := range ig.Spec.NodeLabels {
		tags[template+"label/"+key] = value
	}
	for _, taint := range ig.Spec.Taints {
		key, value, _ := strings.Cut(taint, "=")
		tags[template+"taint/"+key] = value
	}
	policy := &fakeaws.MixedInstancesPolicy{
		LaunchTemplate: fakeaws.LaunchTemplateRef{Name: name, Version: "1"},
		Distribution: fakeaws.Distribution{OnDemandBaseCapacity: ig.Spec.Mixed.Base, OnDemandPercentageAboveBaseCapacity: &ig.Spec.Mixed.AboveBase,
			SpotAllocationStrategy: ig.Spec.Mixed.Strategy},
	}
	for _, instanceType := range ig.Spec.Mixed.Instances {
		policy.Overrides = append(policy.Overrides, fakeaws.Override{InstanceType: instanceType})
	}
	zone := ig.Spec.Subnets[0]
	return fakeaws.Config{
		Region: zone[:len(zone)-1],
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: name, Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: ig.Spec.Type,
			UserData: "#!/bin/bash\nset -o nounset\nNODEUP_URL_AMD64=https://artifacts.k8s.io/nodeup\n"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{{Name: name, Min: ig.Spec.Min, Max: ig.Spec.Max, Desired: ig.Spec.Min, Zones: ig.Spec.Subnets,
			Tags: tags, MixedInstancesPolicy: policy}},
	}
}
