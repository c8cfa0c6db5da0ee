package fromgroup

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

func spotGroup() *group.Group {
	return &group.Group{Name: "a", Zones: []string{"us-west-2a"}, Tags: map[string]string{"a": "b"},
		LaunchSpec: &launchspec.LaunchSpec{Types: []launchspec.Type{{Name: "m5.large", Weight: 1}}}, Source: launchspec.Source{Mixed: true}}
}

func built(g *group.Group) *Template {
	return Seen{}.Build(nil, g, "us-west-2", instancetypes.Embedded())
}

func TestTemplateIsRebuiltOnlyForChangedInput(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*group.Group)
		want   bool
	}{
		{name: "nothing", change: func(*group.Group) {}, want: true},
		{name: "another reading of the same", change: func(g *group.Group) { g.Tags = maps.Clone(g.Tags); g.DesiredCapacity = 3 }, want: true},
		{name: "a tag", change: func(g *group.Group) { g.Tags = map[string]string{"a": "c"} }},
		{name: "zones", change: func(g *group.Group) { g.Zones = []string{"us-west-2a", "us-west-2b"} }},
		{name: "a view of its zone", change: func(g *group.Group) { g.Zone = "us-west-2a" }},
		{name: "what it launches", change: func(g *group.Group) { g.LaunchSpec = &launchspec.LaunchSpec{} }},
		{name: "spot to on-demand", change: func(g *group.Group) { g.Source.OnDemandPercentageAboveBase = 100 }},
	} {
		g := spotGroup()
		template := built(g)
		tt.change(g)
		assert.Equalf(t, tt.want, (Seen{}).Build(template, g, "us-west-2", instancetypes.Embedded()) == template, "%s: the template stayed", tt.name)
	}
}

func TestUnknownGroupHasNoTemplate(t *testing.T) {
	g := spotGroup()
	assert.True(t, built(g).Known(), "the template of a known type is not known")
	g.LaunchSpec = &launchspec.LaunchSpec{Types: []launchspec.Type{{Name: "x9z.large"}}, UserData: base64.StdEncoding.EncodeToString([]byte(
		"#!/bin/bash\n/etc/eks/bootstrap.sh kmax --kubelet-extra-args --node-labels=team=$(hostname)\n"))}
	g.Tags = map[string]string{"k8s.io/cluster-autoscaler/node-template/label/-": "x"}
	template := built(g)
	assert.Falsef(t, template.Known() || len(template.UnknownTypes) != 1,
		"the template of an unknown type is known: %+v", template.UnknownTypes)
	var reasons []nodetemplate.Reason
	for _, p := range template.Problems {
		reasons = append(reasons, p.Reason)
	}
	assert.Equal(t, []nodetemplate.Reason{nodetemplate.ReasonUnknownType, nodetemplate.ReasonLabelKey, nodetemplate.ReasonUnresolved}, reasons,
		"problems, the cause that nothing is known comes first")
	g.LaunchSpec = nil
	assert.False(t, built(g).Known(), "the template of a group without launch facts is known")
}

// EKS leaves the tags of a node group off its Auto Scaling group, so either may state what user data does not.
func TestATagCuresTheProblemOf(t *testing.T) {
	const tag = "k8s.io/cluster-autoscaler/node-template/resources/"
	const nvidia = "[settings.kubernetes]\ncluster-name = 'c'\n[settings.kubelet-device-plugins.nvidia]\n"
	for _, tt := range []struct{ name, data, resource, other string }{
		{name: "huge pages", data: "#!/bin/bash\nsysctl -w vm.nr_hugepages=512\n/etc/eks/bootstrap.sh kmax\n", resource: "hugepages-2Mi", other: "memory"},
		{name: "shared GPUs", data: nvidia + "device-sharing-strategy = 'time-slicing'\n", resource: "nvidia.com/gpu.shared", other: "nvidia.com/gpu"},
		{name: "parts of GPUs", data: nvidia + "device-partitioning-strategy = 'mig'\n", resource: "nvidia.com/gpu", other: "nvidia.com/gpu.shared"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := spotGroup()
			g.LaunchSpec.UserData = base64.StdEncoding.EncodeToString([]byte(tt.data))
			g.LaunchSpec.Nodegroup = &launchspec.Nodegroup{AMIType: "CUSTOM"}
			g.Tags = map[string]string{tag + tt.other: "1Gi"}
			assert.Len(t, built(g).Problems, 1, "problems with a tag of another resource")
			g.Tags = map[string]string{tag + tt.resource: "1Gi"}
			assert.Empty(t, built(g).Problems, "problems with a tag of the group")
			g.Tags, g.LaunchSpec.Nodegroup.Tags = nil, g.Tags
			assert.Empty(t, built(g).Problems, "problems with a tag of the EKS node group")
		})
	}
}

// Overrides may name launch templates of their own, as they must for types of another architecture.
func TestOnlyWhatAllLaunchTemplatesSayIsPromised(t *testing.T) {
	script := func(args string) string {
		return base64.StdEncoding.EncodeToString([]byte("#!/bin/bash\n/etc/eks/bootstrap.sh kmax --kubelet-extra-args '" + args + "'\n"))
	}
	g := spotGroup()
	g.LaunchSpec.UserData = script("--node-labels=team=dsp,own=1,arch=x86 --max-pods=20 --register-with-taints=a=1:NoSchedule")
	g.LaunchSpec.Others = []launchspec.OtherTemplate{{UserData: script("--node-labels=team=dsp,arch=arm --max-pods=10 --register-with-taints=b=1:NoSchedule")}}
	template := built(g)
	for key, want := range map[string]string{"team": "dsp", "own": "", "arch": ""} {
		assert.Equalf(t, want, template.Labels[key], "label %s", key)
	}
	assert.Len(t, template.Taints, 2, "taints, want both: each keeps pods from some node")
	assert.EqualValues(t, 10, template.Allocatable.Pods().Value(), "pods, want the 10 that fit on every node")
	assert.Falsef(t, len(template.Problems) != 5 || template.Problems[0].Group != "a" || !strings.Contains(template.Problems[0].Expected, "launch templates"),
		"problems = %v, want one for each of two labels, two taints and the pods", template.Problems)
	g.LaunchSpec.Others[0].UserData = g.LaunchSpec.UserData
	template = built(g)
	assert.Falsef(t, len(template.Problems) > 0 || template.Labels["own"] != "1",
		"labels %v, problems %v of two launch templates that say the same", template.Labels, template.Problems)
	g.LaunchSpec.Others[0].UserData = ""
	template = built(g)
	assert.Falsef(t, template.Labels["team"] != "",
		"labels %v, want none that nodes of the launch template without user data lack", template.Labels)
}

func TestCapacityTypeOfAGroup(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source launchspec.Source
		launch launchspec.LaunchSpec
		want   string
	}{
		{name: "launch template", want: "on-demand"},
		{name: "launch template that asks for spot", launch: launchspec.LaunchSpec{Spot: true}, want: "spot"},
		{name: "launch template that names a capacity block", launch: launchspec.LaunchSpec{PaidAhead: true}},
		{name: "policy all spot", source: launchspec.Source{Mixed: true}, want: "spot"},
		{name: "policy all on demand", source: launchspec.Source{Mixed: true, OnDemandPercentageAboveBase: 100}, want: "on-demand"},
		{name: "policy with a base", source: launchspec.Source{Mixed: true, OnDemandBase: 2}},
		{name: "policy half and half", source: launchspec.Source{Mixed: true, OnDemandPercentageAboveBase: 50}},
		{name: "policy with capacity blocks", source: launchspec.Source{Mixed: true, OnDemandPercentageAboveBase: 100, Segments: [][]string{{"capacity-block", "on-demand"}}}},
	} {
		assert.Equalf(t, tt.want, capacityType(&group.Group{Source: tt.source, LaunchSpec: &tt.launch}),
			"%s: capacity type", tt.name)
	}
}

func TestTemplateDependsOnMoreThanItsGroup(t *testing.T) {
	g, catalogue := spotGroup(), instancetypes.Embedded()
	template := Seen{}.Build(nil, g, "us-west-2", catalogue)
	for name, again := range map[string]*Template{
		"region":         Seen{}.Build(template, g, "us-west-1", catalogue),
		"catalogue":      Seen{}.Build(template, g, "us-west-2", catalogue.With(instancetypes.Type{Name: "x9z.large"})),
		"CNI":            Seen{CNI: nodetemplate.CNI{PrefixDelegation: true}}.Build(template, g, "us-west-2", catalogue),
		"observed facts": Seen{Learnt: &nodetemplate.Learnt{}}.Build(template, g, "us-west-2", catalogue),
	} {
		assert.Truef(t, again != template, "the template stayed although the %s changed", name)
	}
}

func TestCPUsThatAreTurnedOffAreNotPromised(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types []launchspec.Type
		want  int64
	}{
		{name: "all turned on", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1}}, want: 8},
		{name: "half of them", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1, VCPUs: 4}}, want: 4},
		{name: "of one of two types", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1}, {Name: "m5a.2xlarge", Weight: 1, VCPUs: 4}}, want: 4},
		{name: "more than there are", types: []launchspec.Type{{Name: "m5.2xlarge", Weight: 1, VCPUs: 16}}, want: 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := spotGroup()
			g.LaunchSpec = &launchspec.LaunchSpec{Types: tt.types}
			template := built(g)
			capacity, allocatable := template.Capacity.Cpu(), template.Allocatable.Cpu()
			assert.Truef(t, capacity.Value() == tt.want && allocatable.MilliValue() <= tt.want*1000 && allocatable.MilliValue() >= tt.want*900,
				"%s CPUs, %s allocatable, want %d", capacity, allocatable, tt.want)
		})
	}
}
