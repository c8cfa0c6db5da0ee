package recipes

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
)

// These types are the part of eksctl's configuration file (eksctl.io/v1alpha5 of eksctl 0.231) that the recipes use, by its
// schema. Any other key is an error.
type (
	eksctlFile struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name   string `json:"name"`
			Region string `json:"region"`
		} `json:"metadata"`
		IAM struct {
			WithOIDC        bool `json:"withOIDC"`
			ServiceAccounts []struct {
				Metadata struct {
					Name      string `json:"name"`
					Namespace string `json:"namespace"`
				} `json:"metadata"`
				RoleName         string   `json:"roleName"`
				RoleOnly         bool     `json:"roleOnly"`
				AttachPolicyARNs []string `json:"attachPolicyARNs"`
			} `json:"serviceAccounts"`
		} `json:"iam"`
		NodeGroups        []eksctlGroup `json:"nodeGroups"`
		ManagedNodeGroups []eksctlGroup `json:"managedNodeGroups"`
	}
	eksctlGroup struct {
		Name          string              `json:"name"`
		AMIFamily     string              `json:"amiFamily"`
		Zones         []string            `json:"availabilityZones"`
		Min           int                 `json:"minSize"`
		Max           int                 `json:"maxSize"`
		Desired       *int                `json:"desiredCapacity"`
		InstanceTypes []string            `json:"instanceTypes"` // of a managed node group
		Distribution  *eksctlDistribution `json:"instancesDistribution"`
		Labels        map[string]string   `json:"labels"`
		Taints        []struct {
			Key    string `json:"key"`
			Value  string `json:"value"`
			Effect string `json:"effect"`
		} `json:"taints"`
		IAM struct {
			AddonPolicies struct {
				AutoScaler bool `json:"autoScaler"` // sets the discovery tags
			} `json:"withAddonPolicies"`
		} `json:"iam"`
	}
	eksctlDistribution struct {
		Types     []string `json:"instanceTypes"`
		Base      int      `json:"onDemandBaseCapacity"`
		AboveBase int      `json:"onDemandPercentageAboveBaseCapacity"`
		Strategy  string   `json:"spotAllocationStrategy"`
		Pools     int      `json:"spotInstancePools"`
	}
)

// compare wants the account's group of that name, or of the managed node group, to be the same as g.
func (g eksctlGroup) compare(t *testing.T, account fakeaws.Config) {
	t.Helper()
	i := slices.IndexFunc(account.AutoScalingGroups, func(other fakeaws.AutoScalingGroup) bool {
		return other.Name == g.Name || other.Name == managedGroup(g.Name)
	})
	if i < 0 {
		t.Errorf("Terraform makes no group %s", g.Name)
		return
	}
	other := account.AutoScalingGroups[i]
	managed := other.Name != g.Name
	assert.Truef(t, g.Min == other.Min && g.Max == other.Max,
		"%s: sizes %d to %d by eksctl, %d to %d by Terraform", g.Name, g.Min, g.Max, other.Min, other.Max)
	assert.Truef(t, slices.Equal(g.Zones, other.Zones), "%s: zones %q by eksctl, %q by Terraform", g.Name, g.Zones, other.Zones)
	if want := typesOf(account, other); !slices.Equal(g.types(), want) {
		t.Errorf("%s: types %q by eksctl, %q by Terraform", g.Name, g.types(), want)
	}
	assert.Truef(t, managed || g.IAM.AddonPolicies.AutoScaler, "%s: eksctl sets no discovery tags without autoScaler", g.Name)
	if p := other.MixedInstancesPolicy; p != nil && !managed {
		want := eksctlDistribution{Types: g.types(), Base: p.Distribution.OnDemandBaseCapacity, AboveBase: *p.Distribution.OnDemandPercentageAboveBaseCapacity,
			Strategy: p.Distribution.SpotAllocationStrategy, Pools: p.Distribution.SpotInstancePools}
		if d := *g.Distribution; d.Base != want.Base || d.AboveBase != want.AboveBase || d.Strategy != want.Strategy || d.Pools != want.Pools {
			t.Errorf("%s: distribution %+v by eksctl, %+v by Terraform", g.Name, d, want)
		}
	}
	// The template that the autoscaler builds of Terraform's group has eksctl's labels and taints.
	labels, taints := declared(account, other)
	assert.Truef(t, maps.Equal(g.Labels, labels), "%s: labels %q by eksctl, %q by Terraform", g.Name, g.Labels, labels)
	var own []string
	for _, taint := range g.Taints {
		own = append(own, taint.Key+"="+taint.Value+":"+taint.Effect)
	}
	assert.Truef(t, slices.Equal(own, taints), "%s: taints %q by eksctl, %q by Terraform", g.Name, own, taints)
}

func (g eksctlGroup) types() []string {
	if g.Distribution != nil {
		return g.Distribution.Types
	}
	return g.InstanceTypes
}

// typesOf returns the instance types of a group.
func typesOf(account fakeaws.Config, g fakeaws.AutoScalingGroup) []string {
	if p := g.MixedInstancesPolicy; p != nil {
		var types []string
		for _, o := range p.Overrides {
			types = append(types, o.InstanceType)
		}
		return types
	}
	return []string{templateOf(account, g).InstanceType}
}

// declared returns the labels and taints that a group's EKS node group, or its user data, declares.
func declared(account fakeaws.Config, g fakeaws.AutoScalingGroup) (labels map[string]string, taints []string) {
	if len(g.NodeLabels)+len(g.NodeTaints) > 0 || g.Tags["eks:nodegroup-name"] != "" {
		return g.NodeLabels, g.NodeTaints
	}
	labels = map[string]string{}
	for line := range strings.Lines(templateOf(account, g).UserData) {
		flag := strings.TrimPrefix(strings.TrimSpace(line), "- ")
		if list, ok := strings.CutPrefix(flag, "--node-labels="); ok {
			for label := range strings.SplitSeq(list, ",") {
				key, value, _ := strings.Cut(label, "=")
				labels[key] = value
			}
		}
		if list, ok := strings.CutPrefix(flag, "--register-with-taints="); ok {
			taints = strings.Split(list, ",")
		}
	}
	return labels, taints
}

// templateOf returns the only version of a group's launch template.
func templateOf(account fakeaws.Config, g fakeaws.AutoScalingGroup) fakeaws.LaunchTemplateVersion {
	ref := g.LaunchTemplate
	if ref == nil {
		ref = &g.MixedInstancesPolicy.LaunchTemplate
	}
	i := slices.IndexFunc(account.LaunchTemplates, func(l fakeaws.LaunchTemplate) bool { return l.ID == ref.ID && l.ID != "" || l.Name == ref.Name })
	return account.LaunchTemplates[i].Versions[0]
}
