package nodetemplate

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

func members(t testing.TB, names ...string) []Member {
	t.Helper()
	var list []Member
	for _, name := range names {
		typ, ok := instancetypes.Embedded().Lookup(name)
		require.Truef(t, ok, "%s is not in the catalogue", name)
		list = append(list, Member{Type: typ})
	}
	return list
}

func building(t *testing.T, in Input, types ...string) (Template, []Problem) {
	t.Helper()
	in.Group, in.Members = "g", members(t, types...)
	return Build(in)
}

func show(list corev1.ResourceList) map[string]string {
	m := map[string]string{}
	for name, q := range list {
		m[string(name)] = q.String()
	}
	return m
}

func reasons(problems []Problem) []Reason {
	var list []Reason
	for _, p := range problems {
		list = append(list, p.Reason)
	}
	return list
}

func TestTemplateOfThePublishedGPUGroup(t *testing.T) {
	got, problems := Build(Input{
		Group: "g4dn-spot", Tags: gpuGroupTags, Region: "cn-northwest-1", Zones: []string{"cn-northwest-1a"},
		Members: members(t, "g4dn.xlarge", "g4dn.2xlarge"), CapacityType: "spot", AMIFamily: AL2023,
	})
	assert.Empty(t, cmp.Diff([]Reason{ReasonTaintForm}, reasons(problems)), "problems differ (-want +got)")
	for _, of := range []struct {
		what      string
		want, got map[string]string
	}{
		{"labels", map[string]string{"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
			"failure-domain.beta.kubernetes.io/region": "cn-northwest-1", "failure-domain.beta.kubernetes.io/zone": "cn-northwest-1a",
			"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "nvidia.com/gpu": "true", "topology.ebs.csi.aws.com/zone": "cn-northwest-1a",
			"topology.kubernetes.io/region": "cn-northwest-1", "topology.kubernetes.io/zone": "cn-northwest-1a"}, got.Labels},
		{"assumed labels", map[string]string{"node.kubernetes.io/instance-type": "g4dn.xlarge", "beta.kubernetes.io/instance-type": "g4dn.xlarge"}, got.Assumed},
		{"capacity", map[string]string{"cpu": "4", "memory": "16018472Ki", "ephemeral-storage": "20893676Ki", "pods": "29", "nvidia.com/gpu": "1"}, show(got.Capacity)},
		{"allocatable", map[string]string{"cpu": "3920m", "memory": "15328296Ki", "ephemeral-storage": "18181869946", "pods": "29", "nvidia.com/gpu": "1"},
			show(got.Allocatable)},
		{"accelerators", map[string]string{"nvidia.com/gpu": "1"}, show(got.Accelerators())},
	} {
		assert.Empty(t, cmp.Diff(of.want, of.got), of.what+" differ (-want +got)")
	}
	assert.Truef(t, len(got.Taints) == 0 && got.Usable(), "taints %v, usable %v, want none, true", got.Taints, got.Usable())
	assert.Empty(t, cmp.Diff([]string{"g4dn.xlarge", "g4dn.2xlarge"}, got.InstanceTypes), "instance types differ (-want +got)")
}

func TestEveryFieldHasASource(t *testing.T) {
	template, _ := Build(Input{
		Group: "g", Members: members(t, "g4dn.xlarge", "p3.2xlarge"), Zones: []string{"us-east-1a", "us-east-1b"},
		Tags:      map[string]string{resourcesPrefix + "cpu": "3", labelPrefix + "a": "b", eksNodegroupTag: "ng"},
		Nodegroup: &Nodegroup{Name: "ng", CapacityType: "SPOT", Labels: map[string]string{"c": "d"}},
	})
	check := func(what string, fields, sources []string) {
		slices.Sort(fields)
		slices.Sort(sources)
		assert.Emptyf(t, cmp.Diff(fields, sources), "sources of %s are not those of its fields (-fields +sources)", what)
	}
	check("labels", slices.Concat(keys(template.Labels), keys(template.Assumed)), keys(template.Sources.Labels))
	check("capacity", keys(show(template.Capacity)), keys(template.Sources.Capacity))
	check("allocatable", keys(show(template.Allocatable)), keys(template.Sources.Allocatable))
	for field, want := range map[string]Source{
		"cpu":            {Kind: SourceTag, Detail: resourcesPrefix + "cpu"},
		"memory":         {Kind: SourceCatalogue, Detail: "measured on a g4dn.xlarge (g4dn.xlarge has the least of 2 types)"},
		"nvidia.com/gpu": {Kind: SourceCatalogue, Detail: "g4dn.xlarge"},
	} {
		assert.Equalf(t, want, template.Sources.Capacity[field], "source of capacity %s", field)
	}
	assert.True(t, template.Sources.Labels["c"].Declared() && !template.Sources.Labels[corev1.LabelOSStable].Declared(),
		"a label of the EKS node group counts as declared, the derived operating system does not")
}

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

func TestUnknownTypesAreNamedAndTagsStandIn(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in      Input
		usable  bool
		problem string
	}{
		{name: "nothing known", in: Input{}, problem: `Auto Scaling group "g": expected an instance type in the launch template`},
		{name: "type unknown", in: Input{UnknownTypes: []string{"zz9.a"}}, problem: `Auto Scaling group "g": instance types "zz9.a" are unknown: expected types that the built-in list, EC2 or --asg-instance-types-file describes`},
		{name: "many unknown", in: Input{UnknownTypes: []string{"g", "f", "e", "d", "c", "b", "a"}, Members: members(t, "m5.large")}, usable: true,
			problem: `instance types "a, b, c, d, e and 2 more" are unknown`},
		{name: "tags stand in", in: Input{UnknownTypes: []string{"zz9.a"}, Tags: map[string]string{resourcesPrefix + "cpu": "8", resourcesPrefix + "memory": "30Gi"}},
			problem: `instance types "zz9.a" are unknown`, usable: true},
		{name: "architectures", in: Input{Members: members(t, "m5.large", "m6g.large")}, usable: true, problem: `instance types "m5.large (amd64), m6g.large (arm64)" used, but expected one architecture`},
	} {
		tt.in.Group = "g"
		template, problems := Build(tt.in)
		assert.Equalf(t, tt.usable, template.Usable(), "%s: Usable(), with %v", tt.name, show(template.Allocatable))
		assert.Truef(t, len(problems) == 1 && strings.Contains(problems[0].String(), tt.problem),
			"%s: problems %v, want one with %q", tt.name, problems, tt.problem)
	}
}

func TestNodeIsReadyAndSharesNothing(t *testing.T) {
	template, _ := Build(Input{
		Group: "g", Members: members(t, "g4dn.xlarge"), Zones: []string{"us-east-1a", "us-east-1b"},
		Tags: map[string]string{taintPrefix + "nvidia.com/gpu": ":NoSchedule"},
	})
	node := template.Node("g-1")
	assert.Falsef(t, node.Name != "g-1" || node.Labels[corev1.LabelHostname] != "g-1" || node.Spec.ProviderID != "" || node.Spec.Unschedulable,
		"node %q, hostname %q, provider ID %q, unschedulable %v", node.Name, node.Labels[corev1.LabelHostname], node.Spec.ProviderID, node.Spec.Unschedulable)
	info := node.Status.NodeInfo
	assert.Truef(t, info.Architecture == "amd64" && info.OperatingSystem == "linux", "node info %+v", info)
	for _, c := range node.Status.Conditions {
		want := c.Type == corev1.NodeReady
		assert.Equalf(t, want, c.Status == corev1.ConditionTrue, "condition %s is %s", c.Type, c.Status)
	}
	before := template.Node("g-2")
	node.Labels["x"] = "y"
	node.Spec.Taints[0].Value = "changed"
	node.Status.Capacity["x"] = resource.MustParse("1")
	delete(node.Status.Allocatable, corev1.ResourceCPU)
	assert.Empty(t, cmp.Diff(before, template.Node("g-2")), "changing one node changed the next (-before +after)")
}

func TestBuildLeavesItsInputAlone(t *testing.T) {
	input := func() Input {
		return Input{
			Group: "g", Tags: maps.Clone(gpuGroupTags), Zones: []string{"b", "a"}, Members: members(t, "g4dn.xlarge", "m5.large"),
			UnknownTypes: []string{"z", "y"},
			Nodegroup:    &Nodegroup{Name: "ng", Labels: map[string]string{"a": "b"}, Tags: map[string]string{resourcesPrefix + "cpu": "1"}},
			UserData:     &UserData{Labels: map[string]string{"c": "d"}, Taints: []corev1.Taint{{Key: "z"}, {Key: "a"}}},
		}
	}
	in := input()
	template, _ := Build(in)
	template.Labels["a"], template.Taints[0].Value = "changed", "changed"
	assert.Empty(t, cmp.Diff(input(), in), "input changed (-before +after)")
}
