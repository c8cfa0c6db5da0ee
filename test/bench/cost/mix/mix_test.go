package mix

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestExampleFileMatchesItsComments(t *testing.T) {
	m, err := Read("../testdata/shop.yaml")
	require.NoError(t, err)
	type row struct {
		Name, Type string
		Spot       bool
		PerHour    float64
		Max        int
		CPU        string
	}
	var got []row
	for _, g := range m.Groups {
		got = append(got, row{g.Name, g.InstanceType, g.Spot, g.PerHour, g.Max, g.Node.Status.Allocatable.Cpu().String()})
	}
	want := []row{
		{"m5.large", "m5.large", false, 0.09, 1000, "1930m"},
		{"m5.2xlarge", "m5.2xlarge", false, 0.384, 20, "7910m"},
		{"r6g", "r6g.xlarge", false, 0.2016, 1000, "3920m"},
		{"m5-spot", "m5.2xlarge", true, 0.384 * 0.35, 1000, "7910m"},
		{"m5.xlarge", "m5.xlarge", false, 0.17, 1000, "3920m"},
		{"g4dn.xlarge", "g4dn.xlarge", false, 0.526, 1000, "3920m"},
	}
	assert.Empty(t, cmp.Diff(want, got), "groups (-want +got)")
	assert.Truef(t, len(m.Pods) == 57 && len(m.DaemonSets) == 1 && m.Currency == "USD",
		"%d pods, %d daemon sets, in %s; want 57, 1, in USD", len(m.Pods), len(m.DaemonSets), m.Currency)
	for _, tt := range []struct {
		pod, group int
		want       bool
	}{
		{pod: 0, group: 0, want: true},  // web on m5.large
		{pod: 0, group: 3, want: false}, // web on spot, which it does not tolerate
		{pod: 30, group: 2, want: true}, // arm on r6g
		{pod: 30, group: 0, want: false},
		{pod: 56, group: 5, want: true}, // model on its GPU
	} {
		assert.Equalf(t, tt.want, Suits(m.Pods[tt.pod], m.Groups[tt.group].Node),
			"pod %s suits group %s", m.Pods[tt.pod].Name, m.Groups[tt.group].Name)
	}
}

func TestTypesAloneMakeAGroupEach(t *testing.T) {
	m, err := Parse([]byte(`{"types": ["m5.large", "g4dn.12xlarge"], "prices": {"g4dn.12xlarge": 0.5},
		"pods": [{"count": 3, "cpu": 0.5, "memory": "1Gi", "resources": {"nvidia.com/gpu": 1}}, {"cpu": "250m"}]}`))
	require.NoError(t, err)
	assert.Truef(t, len(m.Groups) == 2 && m.Groups[1].PerHour == 0.5 && len(m.Pods) == 4,
		"%d groups and %d pods, the second group at %v; want 2, 4 and 0.5", len(m.Groups), len(m.Pods), m.Groups[1].PerHour)
	gpus := m.Groups[1].Node.Status.Allocatable["nvidia.com/gpu"]
	assert.EqualValues(t, 4, gpus.Value(), "GPUs")
	asked := m.Pods[0].Spec.Containers[0].Resources.Requests
	assert.Truef(t, asked.Cpu().MilliValue() == 500 && asked.Name("nvidia.com/gpu", "").Value() == 1, "the first pod asks for %v", asked)
}

func TestClaimsHaveADriverShareTheGPUsOut(t *testing.T) {
	m, err := Parse([]byte(`{"types": ["g4dn.12xlarge"],
		"pods": [{"cpu": 1, "claims": 2, "volumes": 3, "spread": "zone"}]}`))
	require.NoError(t, err)
	g, pod := m.Groups[0], m.Pods[0]
	counted := g.Node.Status.Allocatable["nvidia.com/gpu"]
	assert.Truef(t, g.Devices == 4 && counted.IsZero(),
		"%d GPUs by claims and %v by count, want 4 by claims alone", g.Devices, counted.Value())
	asked, offered := Requests(pod), g.Offers()
	for name, want := range map[corev1.ResourceName][2]int64{devices: {2, 4}, volumes: {3, 25}} {
		a, o := asked[name], offered[name]
		assert.Equalf(t, want, [2]int64{a.Value(), o.Value()}, "%s: asked for and offered", name)
	}
	assert.Truef(t, len(pod.Spec.ResourceClaims) == 1 && len(pod.Spec.Volumes) == 3 && pod.Spec.TopologySpreadConstraints[0].TopologyKey == corev1.LabelTopologyZone,
		"the pod has claims %v, volumes %v and spread %v", pod.Spec.ResourceClaims, pod.Spec.Volumes, pod.Spec.TopologySpreadConstraints)
}

func TestExclusiveNamesWhatANodeHasOneOf(t *testing.T) {
	m, err := Parse([]byte(`{"types": ["m5.large"], "pods": [{"name": "a", "onePerNode": true, "exclusive": "disk", "hostPort": 80}, {"name": "b"}]}`))
	require.NoError(t, err)
	want := [][]string{{"app=a", "asg-autoscaler/exclusive=disk", "port 80"}, nil}
	assert.Empty(t, cmp.Diff(want, [][]string{Exclusive(m.Pods[0]), Exclusive(m.Pods[1])}), "names (-want +got)")
}

func TestUnusableFilesAreRefusedWithReason(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", ``, `no groups: list "groups", or "types"`},
		{"no pods", `{"types": ["m5.large"]}`, `no pods: list some`},
		{"no YAML", `[`, `yaml`},
		{"unknown field", `{"types": ["m5.large"], "pods": [{"cup": 1}]}`, `unknown field "cup"`},
		{"unknown type", `{"types": ["m99.large"], "pods": [{"cpu": 1}]}`, `groups, item 1: group "m99.large": instance type "m99.large" is not in the catalogue`},
		{"group without type", `{"groups": [{"name": "a"}], "pods": [{"cpu": 1}]}`, `groups, item 1: group "a" has no type`},
		{"no price", `{"region": "eu-isoe-west-1", "types": ["m5.large"], "pods": [{"cpu": 1}]}`, `no price of "m5.large" is known in eu-isoe-west-1`},
		{"bad amount", `{"types": ["m5.large"], "pods": [{"cpu": "lots"}]}`, `"lots" is not an amount`},
		{"negative amount", `{"types": ["m5.large"], "pods": [{"cpu": -1}]}`, `"-1" is not an amount`},
		{"memory without a unit", `{"types": ["m5.large"], "pods": [{"cpu": 1, "memory": 16}]}`, `memory 16 is in bytes: write a unit, such as 16Gi`},
		{"bad other resource", `{"types": ["m5.large"], "pods": [{"resources": {"x": "y"}}]}`, `pods, item 1: "pods-1": resources: "x": "y" is not an amount`},
		{"bad taint", `{"groups": [{"type": "m5.large", "taints": ["a=b"]}], "pods": [{"cpu": 1}]}`, `taint "a=b" is not of the form`},
		{"bad toleration", `{"types": ["m5.large"], "pods": [{"tolerations": ["a=b:Sometimes"]}]}`, `toleration: taint "a=b:Sometimes"`},
		{"bad capacity type", `{"groups": [{"type": "m5.large", "capacityType": "cheap"}], "pods": [{"cpu": 1}]}`, `capacity type "cheap" is neither`},
		{"bad spread", `{"types": ["m5.large"], "pods": [{"spread": "rack"}]}`, `spread "rack" is neither "node" nor "zone"`},
		{"one name twice", `{"types": ["m5.large", "m5.large"], "pods": [{"cpu": 1}]}`, `two groups are called "m5.large"`},
		{"one workload twice", `{"types": ["m5.large"], "pods": [{"name": "a", "cpu": 1}, {"name": "a", "cpu": 2}]}`, `two pods are called "a-0"`},
	} {
		_, err := Parse([]byte(tt.text))
		assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want), "%s: error %v, want one with %q", tt.name, err, tt.want)
	}
}

func TestSeededMixesAreTheSameEachTime(t *testing.T) {
	first, err := Seeded()
	require.NoError(t, err)
	again, err := Seeded()
	require.NoError(t, err)
	assert.Len(t, first, 16, "mixes")
	for i, m := range first {
		assert.Emptyf(t, cmp.Diff(summaryOf(m), summaryOf(again[i])), "mix %q (-first +second)", m.Name)
		n := len(m.Pods)
		assert.Truef(t, n >= 50 && n <= 5000, "mix %q has %d pods, want 50 to 5000", m.Name, n)
		n = len(m.Groups)
		assert.Truef(t, n >= 10 && n <= 70, "mix %q has %d groups, want 10 to 70", m.Name, n)
	}
}

func summaryOf(m *Mix) []string {
	var list []string
	for _, g := range m.Groups {
		list = append(list, g.Name, pricePerHour(g.PerHour))
	}
	for _, pod := range m.Pods {
		r := pod.Spec.Containers[0].Resources.Requests
		list = append(list, pod.Name, r.Cpu().String(), r.Memory().String(), r.Name(corev1.ResourceName("nvidia.com/gpu"), "").String())
	}
	return list
}

func pricePerHour(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
