package nodetemplate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

func TestZoneIsPromisedOnlyWhereItIsCertain(t *testing.T) {
	for _, tt := range []struct {
		name              string
		in                Input
		promised, assumed string
		region            string
	}{
		{name: "none known"},
		{name: "one", in: Input{Zones: []string{"us-east-1b"}}, promised: "us-east-1b"},
		{name: "one, twice", in: Input{Zones: []string{"us-east-1b", "us-east-1b"}}, promised: "us-east-1b"},
		{name: "three, AWS's first", in: Input{Zones: []string{"us-east-1c", "us-east-1a", "us-east-1b"}}, assumed: "us-east-1c"},
		{name: "three, pinned", in: Input{Zones: []string{"us-east-1c", "us-east-1a"}, PinnedZone: "us-east-1c"}, promised: "us-east-1c"},
		{name: "region given", in: Input{Region: "cn-north-1", Zones: []string{"odd"}}, promised: "odd", region: "cn-north-1"},
		{name: "a tag tells", in: Input{Zones: []string{"us-east-1a", "us-east-1b"}, Tags: map[string]string{labelPrefix + "topology.kubernetes.io/zone": "us-east-1b"}},
			promised: "us-east-1b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, _ := building(t, tt.in, "m5.large")
			node := template.Node("n")
			for _, key := range []string{"topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone", "topology.ebs.csi.aws.com/zone"} {
				assert.Truef(t, template.Labels[key] == tt.promised && template.Assumed[key] == tt.assumed,
					"%s promised %q, assumed %q, want %q, %q", key, template.Labels[key], template.Assumed[key], tt.promised, tt.assumed)
				got := node.Labels[key]
				assert.Truef(t, got == tt.promised+tt.assumed, "the node's %s is %q, want %q", key, got, tt.promised+tt.assumed)
			}
			assert.Equal(t, tt.region, template.Labels["topology.kubernetes.io/region"], "region")
		})
	}
}

func TestKindsAreTheTypesAmongWhichAWSChooses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		types   []string
		unknown []string
		image   string
		tags    map[string]string
		want    []Kind
	}{
		{name: "one type", types: []string{"m5.large"}},
		{name: "one type, twice", types: []string{"m5.large", "m5.large"}},
		{name: "two types", types: []string{"m5.large", "m5a.large"}, want: []Kind{{"m5.large", "", ""}, {"m5a.large", "", ""}}},
		{name: "two architectures", types: []string{"m5.large", "m6g.large"}, want: []Kind{{"m5.large", "amd64", ""}, {"m6g.large", "arm64", ""}}},
		{name: "a type that the image does not run on", types: []string{"m5.large", "m6g.large"}, image: "amd64"},
		{name: "a declared architecture", types: []string{"m5.large", "m6g.large"},
			tags: map[string]string{labelPrefix + corev1.LabelArchStable: "amd64"}, want: []Kind{{"m5.large", "", ""}, {"m6g.large", "", ""}}},
		{name: "a declared type", types: []string{"m5.large", "m5a.large"},
			tags: map[string]string{labelPrefix + corev1.LabelInstanceTypeStable: "m5.large"}},
		{name: "two GPUs", types: []string{"g5.xlarge", "g4dn.xlarge"}, want: []Kind{{"g5.xlarge", "", "A10G"}, {"g4dn.xlarge", "", "T4"}}},
		{name: "one GPU", types: []string{"g5.xlarge", "g5.2xlarge"}, want: []Kind{{"g5.xlarge", "", ""}, {"g5.2xlarge", "", ""}}},
		{name: "a declared GPU", types: []string{"g5.xlarge", "g4dn.xlarge"}, tags: map[string]string{labelPrefix + labelGPUProduct: "any"},
			want: []Kind{{"g5.xlarge", "", ""}, {"g4dn.xlarge", "", ""}}},
		{name: "an unknown type", types: []string{"m5.large"}, unknown: []string{"x9z.large"}, want: []Kind{{"m5.large", "amd64", ""}, {"x9z.large", "", ""}}},
		{name: "unknown types alone", unknown: []string{"x9z.large", "x9z.xlarge"}, want: []Kind{{"x9z.large", "", ""}, {"x9z.xlarge", "", ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Group: "g", Members: members(t, tt.types...), UnknownTypes: tt.unknown, Tags: tt.tags}
			for i := range in.Members {
				in.Members[i].ImageArchitecture = tt.image
			}
			template, _ := Build(in)
			assert.Empty(t, cmp.Diff(tt.want, template.Kinds), "kinds (-want +got)")
			assert.Equal(t, tt.want == nil, template.Among == "", "nothing stands for a choice")
		})
	}
}

func TestProductOfAGPUHasTheWordsOfItsName(t *testing.T) {
	for _, tt := range []struct {
		gpu   string
		asked []string
		want  string
	}{
		{gpu: "T4", asked: []string{"NVIDIA-A10G", "Tesla-T4"}, want: "Tesla-T4"},
		{gpu: "T4", asked: []string{"NVIDIA-T4G"}, want: "T4"},
		{gpu: "T4g", asked: []string{"NVIDIA-T4G-SHARED"}, want: "NVIDIA-T4G-SHARED"},
		{gpu: "L4", asked: []string{"NVIDIA-L40S"}, want: "L4"},
		{gpu: "A100", asked: []string{"NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"}, want: "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"},
		{gpu: "RTX PRO Server 6000", asked: []string{"NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"}, want: "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"},
		{gpu: "RTX PRO 4500", asked: []string{"NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"}, want: "RTX PRO 4500"},
		{gpu: "", asked: []string{"Tesla-T4"}},
	} {
		got, follows := Kind{GPU: tt.gpu}.Label(labelGPUProduct, tt.asked...)
		assert.Truef(t, got == tt.want && follows == (tt.gpu != ""), "%q asked for %v: %q, want %q", tt.gpu, tt.asked, got, tt.want)
	}
}

func TestAPinnedZoneIsPromisedWhateverIsDeclared(t *testing.T) {
	const why = "expected no zone to be declared, for the group is scaled zone by zone and each node has the zone it is launched in"
	for key, value := range map[string]string{"topology.kubernetes.io/zone": "us-east-1a", "failure-domain.beta.kubernetes.io/zone": "us-east-1a",
		"topology.ebs.csi.aws.com/zone": "us-east-1a", "topology.k8s.aws/zone-id": "use1-az1"} {
		of := func(key string) map[string]string { return map[string]string{key: value} }
		for _, tt := range []struct {
			name string
			in   Input
			want string // the problem, "" for none
		}{
			{name: "nothing declared"},
			{name: "tag", in: Input{Tags: of(labelPrefix + key)}, want: `tag "` + labelPrefix + key + `"="` + value + `" ignored: ` + why},
			{name: "user data", in: Input{UserData: &UserData{Labels: of(key)}}, want: `user-data label "` + key + `"="` + value + `" ignored: ` + why},
			{name: "EKS node group", in: Input{Nodegroup: &Nodegroup{Name: "ng", Labels: of(key)}},
				want: `eks-nodegroup label "` + key + `"="` + value + `" ignored: ` + why},
			{name: "tag and EKS node group", in: Input{Tags: of(labelPrefix + key), Nodegroup: &Nodegroup{Name: "ng", Labels: map[string]string{key: "us-east-1f"}}},
				want: `tag "` + labelPrefix + key + `"="` + value + `" ignored: ` + why},
			{name: "nodes in the other zone", in: Input{Learnt: &Learnt{labels: of(key)}}},
		} {
			t.Run(tt.name+" "+key, func(t *testing.T) {
				tt.in.Group, tt.in.Members = "g", members(t, "m5.large")
				reported := map[Problem]bool{}
				for _, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
					tt.in.Zones, tt.in.PinnedZone = []string{zone}, zone
					template, problems := Build(tt.in)
					for _, label := range []string{"topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone", "topology.ebs.csi.aws.com/zone"} {
						got := template.Node("n").Labels[label]
						assert.Falsef(t, got != zone || template.Sources.Labels[label].Kind != SourceGroup,
							"in %s the node's %s is %q by %s", zone, label, got, template.Sources.Labels[label].Kind)
					}
					id, ok := template.Node("n").Labels["topology.k8s.aws/zone-id"]
					assert.Falsef(t, ok, "in %s the node has the zone-id %q", zone, id)
					if want := tt.want != "" && zone != value; len(problems) > 1 || len(problems) == 1 != want {
						t.Errorf("in %s problems are %v, want one: %t", zone, problems, want)
					}
					for _, p := range problems {
						reported[p] = true
						got := p.String()
						assert.Truef(t, got == `Auto Scaling group "g": `+tt.want && p.Reason == ReasonPinnedZone, "%s: %s, want %s", p.Reason, got, tt.want)
					}
				}
				assert.Truef(t, len(reported) <= 1, "one cause makes %d problems", len(reported))
			})
		}
	}
}

func TestUnpinnedGroupKeepsDeclaredZone(t *testing.T) {
	declared := map[string]string{"topology.kubernetes.io/zone": "rack-1", "topology.k8s.aws/zone-id": "use1-az7"}
	for _, zones := range [][]string{{"us-east-1a"}, {"us-east-1a", "us-east-1b"}} {
		for _, in := range []Input{
			{UserData: &UserData{Labels: declared}},
			{Nodegroup: &Nodegroup{Name: "ng", Labels: declared}},
			{Tags: map[string]string{labelPrefix + "topology.kubernetes.io/zone": "rack-1", labelPrefix + "topology.k8s.aws/zone-id": "use1-az7"}},
		} {
			in.Group, in.Members, in.Zones = "g", members(t, "m5.large"), zones
			template, problems := Build(in)
			node := template.Node("n")
			if node.Labels["topology.kubernetes.io/zone"] != "rack-1" || node.Labels["topology.ebs.csi.aws.com/zone"] != "rack-1" ||
				node.Labels["topology.k8s.aws/zone-id"] != "use1-az7" || len(problems) > 0 {
				t.Errorf("labels %v, problems %v, want what is declared and none", node.Labels, problems)
			}
		}
	}
}

func TestLabelsOfManagedNodeGroups(t *testing.T) {
	tags := map[string]string{eksNodegroupTag: "ng-1", "eks:cluster-name": "c"}
	eks := &Nodegroup{
		Name: "ng-1", CapacityType: "CAPACITY_BLOCK", AMIType: "AL2023_x86_64_NVIDIA",
		Labels: map[string]string{"team": "eks", "tier": "one"},
	}
	for _, tt := range []struct {
		name     string
		in       Input
		want     map[string]string
		problems []Reason
	}{
		{name: "not managed", in: Input{CapacityType: "spot"}, want: map[string]string{}},
		{name: "only the tags known", in: Input{Tags: tags}, want: map[string]string{labelNodegroup: "ng-1"}},
		{name: "capacity type from the group's policy", in: Input{Tags: tags, CapacityType: "on-demand"},
			want: map[string]string{labelNodegroup: "ng-1", labelCapacityType: "ON_DEMAND"}},
		{name: "EKS answered", in: Input{Tags: tags, CapacityType: "spot", Nodegroup: eks},
			want: map[string]string{labelNodegroup: "ng-1", labelCapacityType: "CAPACITY_BLOCK", "team": "eks", "tier": "one"}},
		{name: "a tag and EKS disagree", in: Input{Tags: map[string]string{labelPrefix + "team": "tag", labelPrefix + "tier": "one"}, Nodegroup: eks},
			want:     map[string]string{labelNodegroup: "ng-1", labelCapacityType: "CAPACITY_BLOCK", "team": "tag", "tier": "one"},
			problems: []Reason{ReasonConflict}},
		{name: "user data is weakest", in: Input{UserData: &UserData{Labels: map[string]string{"team": "data", "node.spotmax/type": "spot"}}, Nodegroup: eks},
			want: map[string]string{labelNodegroup: "ng-1", labelCapacityType: "CAPACITY_BLOCK", "team": "eks", "tier": "one", "node.spotmax/type": "spot"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Group = "g"
			tt.in.UnknownTypes = []string{"x"} // and so no labels of types
			template, problems := Build(tt.in)
			maps.DeleteFunc(template.Labels, func(k, _ string) bool { return strings.HasSuffix(k, "kubernetes.io/os") })
			assert.Empty(t, cmp.Diff(tt.want, template.Labels), "labels differ (-want +got)")
			got := slices.DeleteFunc(reasons(problems), func(r Reason) bool { return r == ReasonUnknownType })
			assert.Truef(t, slices.Equal(got, tt.problems), "problems %v, want %v", got, tt.problems)
		})
	}
}

// A tag copied from another group launches one node after the other for a pod that no node of the group can take.
func TestATagThatContradictsItsNodesIsReportedAndUsed(t *testing.T) {
	of := func(key, value string) map[string]string { return map[string]string{key: value} }
	const arch, kind = "kubernetes.io/arch", "node.kubernetes.io/instance-type"
	data := &UserData{Labels: of("pool", "cpu")}
	for _, tt := range []struct {
		name, key, value string
		in               Input
		want             string // the end of the problem, "" for none
	}{
		{name: "architecture", key: arch, value: "arm64", want: `the instance type gives its nodes, "amd64"`},
		{name: "instance type", key: kind, value: "m5.xlarge", want: `the instance type gives its nodes, "m5.large"`},
		{name: "in a zone group, too", key: arch, value: "arm64", in: Input{PinnedZone: "us-east-1a"}, want: `the instance type gives its nodes, "amd64"`},
		{name: "the same", key: arch, value: "amd64"},
		{name: "user data", key: "pool", value: "gpu", in: Input{UserData: data}, want: `the user data gives its nodes, "cpu"`},
		{name: "user data that says the same", key: "pool", value: "cpu", in: Input{UserData: data}},
		{name: "user data that nodes refute", key: "pool", value: "gpu", in: Input{UserData: data, Learnt: &Learnt{labels: of("pool", "gpu")}}},
		{name: "nodes, which may be gone", key: "pool", value: "gpu", in: Input{Learnt: &Learnt{labels: of("pool", "cpu")}}},
		{name: "the zone", key: corev1.LabelTopologyZone, value: "rack-1", in: Input{Zones: []string{"us-east-1a"}}},
		{name: "the usual operating system", key: corev1.LabelOSStable, value: "windows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Tags = of(labelPrefix+tt.key, tt.value)
			template, problems := building(t, tt.in, "m5.large")
			assert.Equal(t, tt.value, template.Labels[tt.key], "label")
			var got string
			for _, p := range problems {
				got += p.String()
				assert.Equal(t, ReasonConflict, p.Reason)
			}
			if tt.want != "" {
				tt.want = fmt.Sprintf(`Auto Scaling group "g": tag %q=%q used, but expected the value that %s`, labelPrefix+tt.key, tt.value, tt.want)
			}
			assert.Equal(t, tt.want, got, "problems")
		})
	}
	_, problems := building(t, Input{Tags: of(labelPrefix+kind, "m5a.large")}, "m5.large", "m5a.large")
	assert.Empty(t, problems, "one of several types")
}

// Two kinds of label that the stock provider puts on templates and no node carries made similar groups look unlike.
func TestTemplatesCarryNoLabelThatNodesDoNot(t *testing.T) {
	template, _ := Build(Input{
		Group: "g", Members: members(t, "g4dn.xlarge"), Zones: []string{"us-east-1a"},
		Tags:      map[string]string{eksNodegroupTag: "ng", "eks:cluster-name": "c"},
		Nodegroup: &Nodegroup{Name: "ng", AMIType: "AL2_x86_64_GPU", CapacityType: "SPOT"},
	})
	for _, key := range []string{"nodegroup-name", "cluster-name", "diskSize", "amiType", "k8sVersion", instancetypes.AcceleratorLabel} {
		v, ok := template.Node("n").Labels[key]
		assert.Falsef(t, ok, "label %s=%s", key, v)
	}
}

func TestTaintsOfAllSourcesAreJoined(t *testing.T) {
	template, problems := Build(Input{
		Group: "g", Members: members(t, "m5.large"),
		Tags: map[string]string{taintPrefix + "dedicated": "tag:NoSchedule", taintPrefix + "b": ":NoExecute"},
		Nodegroup: &Nodegroup{Name: "ng", Taints: []NodegroupTaint{
			{Key: "dedicated", Value: "eks", Effect: "NO_SCHEDULE"},
			{Key: "dedicated", Value: "eks", Effect: "NO_EXECUTE"},
			{Key: "empty", Effect: "PREFER_NO_SCHEDULE"},
			{Key: "odd", Effect: "SOMETIMES"},
		}},
		UserData: &UserData{Taints: []corev1.Taint{{Key: "boot", Value: "x", Effect: "NoSchedule"}, {Key: "empty", Value: "y", Effect: "PreferNoSchedule"}}},
	})
	want := []corev1.Taint{
		{Key: "b", Effect: "NoExecute"},
		{Key: "boot", Value: "x", Effect: "NoSchedule"},
		{Key: "dedicated", Value: "eks", Effect: "NoExecute"},
		{Key: "dedicated", Value: "tag", Effect: "NoSchedule"},
		{Key: "empty", Effect: "PreferNoSchedule"},
	}
	assert.Empty(t, cmp.Diff(want, template.Taints), "taints differ (-want +got)")
	eks := Source{Kind: SourceNodegroup, Detail: "taints"}
	wantSources := map[string]Source{"b:NoExecute": {Kind: SourceTag, Detail: taintPrefix + "b"}, "boot:NoSchedule": {Kind: SourceUserData},
		"dedicated:NoExecute": eks, "dedicated:NoSchedule": {Kind: SourceTag, Detail: taintPrefix + "dedicated"}, "empty:PreferNoSchedule": eks}
	assert.Empty(t, cmp.Diff(wantSources, template.Sources.Taints), "sources differ (-want +got)")
	assert.Empty(t, problems)
}
