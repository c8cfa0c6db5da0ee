package recipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// cluster is the name that stands for var.cluster_name and CLUSTER_NAME.
const cluster = "eksworkshop"

// variables are values for the references in the snippets. Every other reference keeps its own text.
var variables = map[string]any{
	"var": map[string]any{"cluster_name": cluster},
	"data": map[string]any{"aws_eks_cluster": map[string]any{"this": map[string]any{
		"version":                   "1.35",
		"endpoint":                  "https://example.eks.amazonaws.com",
		"certificate_authority":     []any{map[string]any{"data": "LS0t"}},
		"kubernetes_network_config": []any{map[string]any{"service_ipv4_cidr": "10.100.0.0/16", "service_ipv6_cidr": nil}},
	}}},
}

// These types are the part of Terraform's provider for AWS (version 6) that the snippets use, by its documents. Any other
// argument is an error.
type (
	tfProvider struct {
		Region string `json:"region"`
	}
	tfLaunchTemplate struct {
		Name           string               `json:"name"`
		Image          string               `json:"image_id"`
		Type           string               `json:"instance_type"`
		UserData       string               `json:"user_data"`
		SecurityGroups string               `json:"vpc_security_group_ids"`
		Profile        []tfName             `json:"iam_instance_profile"`
		Tags           []tfTagSpecification `json:"tag_specifications"`
		Market         []struct {
			Type string `json:"market_type"`
		} `json:"instance_market_options"`
	}
	tfTagSpecification struct {
		Resource string            `json:"resource_type"`
		Tags     map[string]string `json:"tags"`
	}
	tfName  struct{ Name string }
	tfGroup struct {
		Name           string        `json:"name"`
		Min            int           `json:"min_size"`
		Max            int           `json:"max_size"`
		Desired        int           `json:"desired_capacity"`
		Subnets        []string      `json:"vpc_zone_identifier"`
		Protected      bool          `json:"protect_from_scale_in"`
		LaunchTemplate []tfTemplate  `json:"launch_template"`
		Mixed          []tfMixed     `json:"mixed_instances_policy"`
		Tags           []tfTag       `json:"tag"`
		Lifecycle      []tfLifecycle `json:"lifecycle"`
	}
	tfTemplate struct {
		ID      string `json:"id"`
		Version string `json:"version"`
	}
	tfMixed struct {
		LaunchTemplate []struct {
			Specification []struct {
				ID      string `json:"launch_template_id"`
				Version string `json:"version"`
			} `json:"launch_template_specification"`
			Overrides []struct {
				Type string `json:"instance_type"`
			} `json:"override"`
		} `json:"launch_template"`
		Distribution []struct {
			Base         int    `json:"on_demand_base_capacity"`
			AboveBase    int    `json:"on_demand_percentage_above_base_capacity"`
			SpotStrategy string `json:"spot_allocation_strategy"`
			SpotPools    int    `json:"spot_instance_pools"`
		} `json:"instances_distribution"`
	}
	tfTag struct {
		Key       string `json:"key"`
		Value     string `json:"value"`
		Propagate bool   `json:"propagate_at_launch"`
	}
	tfLifecycle struct {
		Ignored []string `json:"ignore_changes"`
	}
	tfNodeGroup struct {
		Cluster      string            `json:"cluster_name"`
		Name         string            `json:"node_group_name"`
		Role         string            `json:"node_role_arn"`
		Subnets      []string          `json:"subnet_ids"`
		AMIType      string            `json:"ami_type"`
		CapacityType string            `json:"capacity_type"`
		Types        []string          `json:"instance_types"`
		Labels       map[string]string `json:"labels"`
		Scaling      []struct {
			Min     int `json:"min_size"`
			Max     int `json:"max_size"`
			Desired int `json:"desired_size"`
		} `json:"scaling_config"`
		Taints []struct {
			Key    string `json:"key"`
			Value  string `json:"value"`
			Effect string `json:"effect"`
		} `json:"taint"`
		Lifecycle []tfLifecycle `json:"lifecycle"`
	}
	tfGroupTag struct {
		Group string  `json:"autoscaling_group_name"`
		Tag   []tfTag `json:"tag"`
	}
)

type tfBlock struct {
	Type   string
	Labels []string
	Body   json.RawMessage
}

// reader is the built program of the nested module.
var reader = sync.OnceValues(func() (string, error) {
	build := exec.Command("go", "tool", "-n", "github.com/asg-autoscaler/asg-autoscaler/test/repo/recipes/hcl")
	build.Dir = "hcl"
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off")
	var complaints bytes.Buffer
	build.Stderr = &complaints
	path, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("build the reader of Terraform's language: %w\n%s", err, complaints.String())
	}
	return strings.TrimSpace(string(path)), nil
})

// blocksOf evaluates a configuration in Terraform's language, with values for its references.
func blocksOf(text string, variables map[string]any) ([]tfBlock, error) {
	path, err := reader()
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(map[string]any{"text": text, "variables": variables})
	if err != nil {
		return nil, err
	}
	var complaints bytes.Buffer
	read := exec.Command(path)
	read.Stdin, read.Stderr = bytes.NewReader(request), &complaints
	out, err := read.Output()
	if err != nil {
		return nil, errors.New(complaints.String())
	}
	var blocks []tfBlock
	return blocks, json.Unmarshal(out, &blocks)
}

// accountOf returns the account that has the resources of a configuration, and nothing else.
func accountOf(text string) (fakeaws.Config, error) {
	blocks, err := blocksOf(text, variables)
	if err != nil {
		return fakeaws.Config{}, err
	}
	account := fakeaws.Config{}
	for _, b := range blocks {
		if err := b.addTo(&account); err != nil {
			return account, fmt.Errorf("%s %s: %w", b.Type, strings.Join(b.Labels, "."), err)
		}
	}
	return account, nil
}

func (b tfBlock) addTo(account *fakeaws.Config) error {
	switch kind := strings.Join(b.Labels[:1], ""); {
	case b.Type == "data":
		return nil
	case b.Type == "provider":
		p, err := decode[tfProvider](b.Body)
		account.Region = p.Region
		return err
	case b.Type != "resource":
		return errors.New("an unknown kind of block")
	case kind == "aws_launch_template":
		t, err := decode[tfLaunchTemplate](b.Body)
		account.LaunchTemplates = append(account.LaunchTemplates, t.launchTemplate(b.Labels[1]))
		return err
	case kind == "aws_autoscaling_group":
		g, err := decode[tfGroup](b.Body)
		account.AutoScalingGroups = append(account.AutoScalingGroups, g.group())
		return err
	case kind == "aws_eks_node_group":
		g, err := decode[tfNodeGroup](b.Body)
		g.addTo(account)
		return err
	case kind == "aws_autoscaling_group_tag":
		t, err := decode[tfGroupTag](b.Body)
		if err != nil {
			return err
		}
		found := managedReference.FindStringSubmatch(t.Group)
		for _, g := range account.AutoScalingGroups {
			if found != nil && g.Name == managedGroup(found[1]) {
				g.Tags[t.Tag[0].Key] = t.Tag[0].Value
				return nil
			}
		}
		return fmt.Errorf("no group %s", t.Group)
	default:
		return errors.New("an unknown kind of resource")
	}
}

func decode[T any](raw json.RawMessage) (T, error) {
	var v T
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	return v, decoder.Decode(&v)
}

// launchTemplate returns the launch template. Its ID is the reference by which groups name it.
func (t tfLaunchTemplate) launchTemplate(label string) fakeaws.LaunchTemplate {
	version := fakeaws.LaunchTemplateVersion{ImageID: "ami-1", InstanceType: t.Type, UserData: t.UserData, Spot: len(t.Market) > 0}
	for _, s := range t.Tags {
		if s.Resource == "instance" {
			version.Tags = s.Tags
		}
	}
	return fakeaws.LaunchTemplate{Name: t.Name, ID: launchTemplateID(label), Versions: []fakeaws.LaunchTemplateVersion{version}}
}

func launchTemplateID(label string) string { return "lt-" + label }

var launchTemplateReference = regexp.MustCompile(`^aws_launch_template\.(\w+)\.id$`)

func reference(id, version string) fakeaws.LaunchTemplateRef {
	return fakeaws.LaunchTemplateRef{ID: launchTemplateReference.ReplaceAllString(id, "lt-$1"), Version: version}
}

func (g tfGroup) group() fakeaws.AutoScalingGroup {
	group := fakeaws.AutoScalingGroup{Name: g.Name, Min: g.Min, Max: g.Max, Desired: max(g.Min, g.Desired), Zones: zones(g.Subnets),
		ProtectNewInstances: g.Protected, Tags: map[string]string{}}
	for _, tag := range g.Tags {
		group.Tags[tag.Key] = tag.Value
	}
	for _, t := range g.LaunchTemplate {
		ref := reference(t.ID, t.Version)
		group.LaunchTemplate = &ref
	}
	for _, m := range g.Mixed {
		group.MixedInstancesPolicy = m.policy()
	}
	return group
}

func (m tfMixed) policy() *fakeaws.MixedInstancesPolicy {
	specification, d := m.LaunchTemplate[0].Specification[0], m.Distribution[0]
	policy := &fakeaws.MixedInstancesPolicy{
		LaunchTemplate: reference(specification.ID, specification.Version),
		Distribution: fakeaws.Distribution{OnDemandBaseCapacity: d.Base, OnDemandPercentageAboveBaseCapacity: &d.AboveBase,
			SpotAllocationStrategy: d.SpotStrategy, SpotInstancePools: d.SpotPools},
	}
	for _, o := range m.LaunchTemplate[0].Overrides {
		policy.Overrides = append(policy.Overrides, fakeaws.Override{InstanceType: o.Type})
	}
	return policy
}

// zones returns the zones of subnets. The snippets name a subnet by its zone: var.subnets["us-west-2a"].
func zones(subnets []string) []string {
	var found []string
	for _, s := range subnets {
		found = append(found, strings.TrimPrefix(s, "var.subnets."))
	}
	return found
}

var managedReference = regexp.MustCompile(`^aws_eks_node_group\.\w+\.([\w-]+)\.resources\.autoscaling_groups\.name$`)

// managedGroup returns the name of the Auto Scaling group of a managed node group. EKS has a UUID at its end.
func managedGroup(nodegroup string) string { return "eks-" + nodegroup + "-0ac4" }

// addTo adds a managed node group with the group, the launch template and the tags that EKS makes for it.
func (g tfNodeGroup) addTo(account *fakeaws.Config) {
	if len(g.Scaling) != 1 {
		return
	}
	name := managedGroup(g.Name)
	scaling := g.Scaling[0]
	ng := fakeaws.EKSNodegroup{Cluster: g.Cluster, Name: g.Name, AutoScalingGroup: name, Labels: g.Labels, InstanceTypes: g.Types,
		CapacityType: g.CapacityType, AMIType: g.AMIType}
	group := fakeaws.AutoScalingGroup{Name: name, Min: scaling.Min, Max: scaling.Max, Desired: scaling.Desired, Zones: zones(g.Subnets),
		NodeConfig: fakeaws.NodeConfig{NodeLabels: maps.Clone(g.Labels)},
		Tags: map[string]string{
			"eks:cluster-name": g.Cluster, "eks:nodegroup-name": g.Name, "kubernetes.io/cluster/" + g.Cluster: "owned",
			"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/" + g.Cluster: "owned",
		},
		MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: name, Version: "1"}},
	}
	for _, t := range g.Types {
		group.MixedInstancesPolicy.Overrides = append(group.MixedInstancesPolicy.Overrides, fakeaws.Override{InstanceType: t})
	}
	effects := map[string]string{"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
	for _, t := range g.Taints {
		ng.Taints = append(ng.Taints, fakeaws.EKSTaint{Key: t.Key, Value: t.Value, Effect: t.Effect})
		group.NodeTaints = append(group.NodeTaints, t.Key+"="+t.Value+":"+effects[t.Effect])
	}
	account.EKSNodegroups = append(account.EKSNodegroups, ng)
	account.AutoScalingGroups = append(account.AutoScalingGroups, group)
	account.LaunchTemplates = append(account.LaunchTemplates, fakeaws.LaunchTemplate{Name: name,
		Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: slices.Concat(g.Types, []string{""})[0]}}})
}
