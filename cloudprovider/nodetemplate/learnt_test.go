package nodetemplate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// realM5Large is an m5.large as line 4 of testdata/real_nodes.csv has it, Ready for five minutes at noon.
func realM5Large(change ...func(*corev1.Node)) *corev1.Node {
	amounts := func(cpu, memory, disk string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
			corev1.ResourceEphemeralStorage: resource.MustParse(disk), corev1.ResourcePods: resource.MustParse("110")}
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "ip-10-0-1-23.ec2.internal", UID: "5f0c7c1e-8f0f-4a51-9d1c-0d1c5f0c7c1e", Labels: map[string]string{}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-0a1b2c3d4e5f60718"},
		Status: corev1.NodeStatus{Capacity: amounts("2", "7845568Ki", "52416492Ki"), Allocatable: amounts("1930m", "7155392Ki", "47233297124"),
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon.Add(-5 * time.Minute))}},
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.1.23"}}},
	}
	for _, c := range change {
		c(node)
	}
	return node
}

func labelled(pairs ...string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		for i := 0; i < len(pairs); i += 2 {
			n.Labels[pairs[i]] = pairs[i+1]
		}
	}
}

// learnt observes the nodes, all of one type, and concludes from them.
func learnt(instanceType string, nodes ...*corev1.Node) *Learnt {
	return Conclude(observed(instanceType, nodes...), nil, instancetypes.Embedded().Lookup)
}

func observed(instanceType string, nodes ...*corev1.Node) []*Observed {
	var all []*Observed
	for _, n := range nodes {
		all = append(all, Observe(n, instanceType, noon))
	}
	return all
}

func learntM5Large(t *testing.T, nodes ...*corev1.Node) Input {
	return Input{Group: "g", Members: members(t, "m5.large"), AMIFamily: AL2, Learnt: learnt("m5.large", nodes...)}
}

func amounting(name corev1.ResourceName, capacity, allocatable string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Status.Capacity[name], n.Status.Allocatable[name] = resource.MustParse(capacity), resource.MustParse(allocatable)
	}
}

func called(name string) func(*corev1.Node) { return func(n *corev1.Node) { n.Name = name } }

func TestNextNodeResemblesObservedNode(t *testing.T) {
	template, _ := Build(learntM5Large(t, realM5Large()))
	for _, list := range []struct {
		what      string
		want, got corev1.ResourceList
		sources   map[string]Source
	}{
		{"capacity", realM5Large().Status.Capacity, template.Capacity, template.Sources.Capacity},
		{"allocatable", realM5Large().Status.Allocatable, template.Allocatable, template.Sources.Allocatable},
	} {
		for name, want := range list.want {
			got := list.got[name]
			assert.Equalf(t, 0, got.Cmp(want), "%s of %s is %s, want the real %s", list.what, name, got.String(), want.String())
			source := list.sources[string(name)]
			assert.Truef(t, source.Kind == SourceLearnt, "%s of %s comes from %q, want it learnt", list.what, name, source.Kind)
		}
	}
}

func TestDeclaredSourcesOverruleObservedFacts(t *testing.T) {
	alike := labelled("team", "seen", "tier", "seen", "rack", "seen", "row", "seen")
	in := learntM5Large(t, realM5Large(alike), realM5Large(alike))
	in.Tags = map[string]string{labelPrefix + "team": "tag", resourcesPrefix + "memory": "7Gi"}
	in.Nodegroup = &Nodegroup{Name: "n", AMIType: "CUSTOM", Labels: map[string]string{"team": "eks", "tier": "eks"}}
	in.UserData = &UserData{Labels: map[string]string{"team": "user-data", "tier": "user-data", "rack": "user-data"}, MaxPods: 20}
	template, _ := Build(in)
	want := map[string]string{"team": "tag", "tier": "eks", "rack": "user-data", "row": "seen"}
	got := map[string]string{}
	for key := range want {
		got[key] = template.Labels[key]
	}
	assert.Empty(t, cmp.Diff(want, got), "labels differ (-want +got)")
	diff := cmp.Diff(map[string]string{"cpu": "1930m", "memory": "7Gi", "pods": "20", "ephemeral-storage": "47233297124"}, show(template.Allocatable))
	assert.Falsef(t, diff != "", "allocatable differs (-want +got):\n%s", diff)
	assert.True(t, template.Sources.Allocatable["pods"].Kind != SourceLearnt, "the pods of user data are said to be learnt")
	source := template.Sources.Labels["row"]
	assert.Truef(t, source.Kind == SourceLearnt, "the label nobody else tells comes from %q", source.Kind)
}

func TestOnlyLabelsThatAllNodesShareAreLearnt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		labels map[string]string
		want   map[string]string
	}{
		{name: "set by the image", labels: map[string]string{"team": "dsp", "example.com/tier": "", "node.spotmax/spec": "large"},
			want: map[string]string{"team": "dsp", "example.com/tier": "", "node.spotmax/spec": "large"}},
		{name: "of Kubernetes and of AWS", labels: map[string]string{"kubernetes.io/hostname": "a", "node.kubernetes.io/exclude-from-external-load-balancers": "true",
			"node-role.kubernetes.io/worker": "", "topology.k8s.aws/zone-id": "use1-az1", "eks.amazonaws.com/nodegroup-image": "ami", "k8s.io/cloud-provider-aws": "a",
			"vpc.amazonaws.com/has-trunk-attached": "true", "feature.node.kubernetes.io/cpu-cpuid.AVX": "true"}},
		{name: "of devices, which come and go with their plugins", labels: map[string]string{"nvidia.com/gpu.product": "Tesla-T4", "gpu.nvidia.com/x": "1",
			"amd.com/gpu": "1", "habana.ai/a": "1", "gpu.intel.com/b": "1"}},
		{name: "that name this node", labels: map[string]string{"alpha.eksctl.io/instance-id": "i-0a1b2c3d4e5f60718", "host": "ip-10-0-1-23.ec2.internal",
			"address": "10.0.1.23", "name": "worker-10-0-1-23", "az": "us-east-1a", "type": "m5.large"}},
		{name: "that a machine made", labels: map[string]string{"boot": "20261120115500", "id": "123e4567-e89b-12d3-a456-426614174000", "serial": "0123456789ab"}},
		{name: "that no label can be", labels: map[string]string{"team": "a b", "-": "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := realM5Large(labelled(corev1.LabelTopologyZone, "us-east-1a"))
			for key, value := range tt.labels {
				node.Labels[key] = value
			}
			want := tt.want
			if want == nil {
				want = map[string]string{}
			}
			assert.Empty(t, cmp.Diff(want, Observe(node, "m5.large", noon).labels), "labels learnt differ (-want +got)")
		})
	}
}

func TestLabelNeedsMajorityOfTwoNodes(t *testing.T) {
	of := func(counts [3]int, later time.Duration, zonal bool) (nodes []*corev1.Node) {
		kinds := []*corev1.Node{realM5Large(labelled("team", "dsp")), realM5Large(), realM5Large(labelled("team", "web"))}
		kinds[2].CreationTimestamp = metav1.Time{Time: noon}
		if zonal {
			kinds[2].Spec.ProviderID = "aws:///us-west-2c/i-0123456789abcdef0"
		}
		kinds[0].CreationTimestamp = metav1.Time{Time: noon.Add(later)}
		for i, n := range counts {
			nodes = append(nodes, slices.Repeat(kinds[i:i+1], n)...)
		}
		return nodes
	}
	for _, tt := range []struct {
		name          string
		present, gone [3]int // nodes with the label, without its key, and with another value
		want          bool
		stray         bool // beside them
		older         bool // than the ones with another value, else newer, by two minutes
		together      bool // by a minute alone
		zonal         bool // the ones with another value are in another zone
		odd           bool // the next node is not expected to carry it
	}{
		{name: "one node alone", present: [3]int{1, 0}},
		{name: "two nodes", present: [3]int{2, 0}, want: true},
		{name: "one of two", present: [3]int{1, 1}, odd: true},
		{name: "two of three", present: [3]int{2, 1}, want: true},
		{name: "two of four", present: [3]int{2, 2}, odd: true},
		{name: "one, and the one before it", present: [3]int{1, 0}, gone: [3]int{1, 0}, want: true},
		{name: "put on the last node by hand", present: [3]int{1, 0}, gone: [3]int{0, 4}, odd: true},
		{name: "lost by the last node", present: [3]int{0, 1}, gone: [3]int{4, 0}, want: true},
		{name: "on none of the nodes there are", present: [3]int{0, 2}, gone: [3]int{9, 0}},
		{name: "all nodes are gone", gone: [3]int{2, 0}, want: true},
		{name: "half of the nodes, the others have another value and are older", present: [3]int{2, 0, 2}, want: true},
		{name: "half of the nodes, the others have another value and are newer", present: [3]int{2, 0, 2}, older: true, odd: true},
		{name: "half of the nodes, others came with another value in the minute before", present: [3]int{2, 0, 2}, together: true},
		{name: "half of the nodes, others came with another value in the minute after", present: [3]int{2, 0, 2}, older: true, together: true},
		{name: "some that came together, and no value has a majority", present: [3]int{2, 1, 2}, together: true},
		{name: "half of the nodes, the others are newer and in another zone", present: [3]int{2, 0, 2}, older: true, zonal: true},
		{name: "most nodes are in another zone with another value", present: [3]int{2, 0, 3}, older: true, zonal: true},
		{name: "most nodes are in this zone, and the others with another value in another", present: [3]int{3, 0, 2}, zonal: true},
		{name: "the others are in another zone, and one node has neither value", present: [3]int{2, 0, 3}, older: true, zonal: true, stray: true},
		{name: "half of the nodes that are gone", gone: [3]int{3, 0, 3}, want: true},
		{name: "some, and no value has a majority", present: [3]int{2, 1, 2}, want: true},
		{name: "most nodes lack the key", present: [3]int{2, 4, 1}, odd: true},
		{name: "most nodes share another value", present: [3]int{2, 0, 3}, odd: true},
		{name: "one value for each node", present: [3]int{1, 0, 1}, odd: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, later := learntM5Large(t), 2*time.Minute
			if tt.together {
				later = time.Minute
			}
			if tt.older {
				later = -later
			}
			present := of(tt.present, later, tt.zonal)
			if tt.stray {
				present = append(present, realM5Large(labelled("team", "x")))
			}
			in.Learnt = Conclude(observed("m5.large", present...), observed("m5.large", of(tt.gone, later, tt.zonal)...),
				instancetypes.Embedded().Lookup)
			template, problems := Build(in)
			got := template.Labels["team"] == "dsp"
			assert.Truef(t, got == tt.want && len(problems) == 0, "promised: %t with problems %v, want %t and none", got, problems, tt.want)
			assert.Equalf(t, tt.odd, in.Learnt.Odd("team", "dsp"), "the label is odd: %t, want %t", !tt.odd, tt.odd)
		})
	}
}

// small is an m5.large that reports 512 MiB because of a broken kernel line or agent. Its figures do not contradict each other.
var small = amounting("memory", "524288Ki", "400000Ki")

func TestImplausibleNodeIsIgnoredAndReported(t *testing.T) {
	in := learntM5Large(t, realM5Large(called("small"), small))
	template, problems := Build(in)
	plain, _ := Build(learntM5Large(t))
	assert.Empty(t, cmp.Diff(show(plain.Allocatable), show(template.Allocatable)), "allocatable is not what it is without the node (-want +got)")
	require.Truef(t, len(problems) == 1 && problems[0].Reason == ReasonImplausibleNode && problems[0].Key == "small",
		"problems %v, want one with the node", problems)
	for _, part := range []string{"512Mi", "8Gi", "m5.large"} {
		assert.Containsf(t, problems[0].String(), part, "problem %q does not say %q", problems[0], part)
	}
	refused := in.Learnt.refused
	assert.Truef(t, len(refused) == 1 && refused[0].node == "small", "refused: %+v, want the node", refused)
}

func TestGroupRecoversAfterImplausibleNodeLeaves(t *testing.T) {
	odd, sound := Observe(realM5Large(called("odd"), small), "m5.large", noon), Observe(realM5Large(), "m5.large", noon)
	for _, tt := range []struct {
		name          string
		present, gone []*Observed
		refused       int
	}{
		{name: "beside a sound one", present: []*Observed{odd, sound}, refused: 1},
		{name: "gone", present: []*Observed{sound}, gone: []*Observed{odd}},
		{name: "after sound ones", present: []*Observed{odd}, gone: []*Observed{sound}, refused: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := learntM5Large(t)
			in.Learnt = Conclude(tt.present, tt.gone, instancetypes.Embedded().Lookup)
			template, _ := Build(in)
			memory := template.Capacity.Memory().String()
			assert.Falsef(t, memory != "7845568Ki" || len(in.Learnt.refused) != tt.refused,
				"memory %s, refused %v, want that of the sound node and %d refused", memory, in.Learnt.refused, tt.refused)
		})
	}
}

func TestNodeBehindOthersIsRefused(t *testing.T) {
	full := amounting("pods", "110", "110")
	for _, tt := range []struct {
		name    string
		nodes   []*corev1.Node
		pods    string
		refused int
	}{
		{name: "one of three", nodes: []*corev1.Node{realM5Large(full), realM5Large(full), realM5Large(amounting("pods", "29", "29"))}, pods: "110", refused: 1},
		{name: "one of two, the least counts", nodes: []*corev1.Node{realM5Large(full), realM5Large(amounting("pods", "29", "29"))}, pods: "29"},
		{name: "most", nodes: []*corev1.Node{realM5Large(full), realM5Large(amounting("pods", "29", "29")), realM5Large(amounting("pods", "29", "29"))}, pods: "29"},
		{name: "a little", nodes: []*corev1.Node{realM5Large(), realM5Large(), realM5Large(amounting("memory", "7845000Ki", "7150000Ki"))}, pods: "110"},
		{name: "in memory", nodes: []*corev1.Node{realM5Large(), realM5Large(), realM5Large(amounting("memory", "7845568Ki", "6000000Ki"))}, pods: "110", refused: 1},
		{name: "in CPU", nodes: []*corev1.Node{realM5Large(), realM5Large(), realM5Large(amounting("cpu", "2", "1500m"))}, pods: "110", refused: 1},
		{name: "in disk", nodes: []*corev1.Node{realM5Large(), realM5Large(), realM5Large(amounting("ephemeral-storage", "20Gi", "18Gi"))}, pods: "110", refused: 1},
	} {
		in := learntM5Large(t, tt.nodes...)
		template, problems := Build(in)
		pods := template.Allocatable.Pods().String()
		assert.Falsef(t, pods != tt.pods || len(in.Learnt.refused) != tt.refused || len(problems) != tt.refused,
			"%s: %s pods, refused %v, problems %v, want %s and %d", tt.name, pods, in.Learnt.refused, problems, tt.pods, tt.refused)
	}
}

func TestTaintsAndDevicesAreNotLearnt(t *testing.T) {
	node := realM5Large(amounting("cpu", "4", "3920m"), amounting("memory", "15919124Ki", "14902292Ki"), amounting("nvidia.com/gpu", "0", "0"),
		amounting("example.com/device", "3", "3"), func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "node.cilium.io/agent-not-ready", Effect: corev1.TaintEffectNoExecute}, {Key: "ToBeDeletedByClusterAutoscaler", Effect: corev1.TaintEffectNoSchedule}}
		})
	template, _ := Build(Input{Group: "g", Members: members(t, "g4dn.xlarge"), Learnt: learnt("g4dn.xlarge", node)})
	assert.Empty(t, template.Taints, "taints, want none")
	gpus := template.Capacity["nvidia.com/gpu"]
	_, ok := template.Capacity["example.com/device"]
	assert.Truef(t, !ok && gpus.Value() == 1, "capacity %v, want the GPU of the catalogue and no other device", show(template.Capacity))
	source := template.Sources.Capacity["memory"]
	assert.Truef(t, source.Kind == SourceLearnt, "memory comes from %q: the node was not looked at", source.Kind)
}

func TestImpossibleFiguresAreIgnored(t *testing.T) {
	plain, _ := Build(learntM5Large(t))
	for _, tt := range []struct {
		name   string
		change func(*corev1.Node)
	}{
		{"more memory than EC2 sells", amounting("memory", "9Gi", "7Gi")},
		{"far less memory", amounting("memory", "6000000Ki", "5000000Ki")},
		{"more CPU", amounting("cpu", "4", "2")},
		{"less than half of the CPUs", amounting("cpu", "900m", "800m")},
		{"hardly any of its memory for pods", amounting("memory", "7845568Ki", "3900000Ki")},
		{"hardly any of its CPUs for pods", amounting("cpu", "2", "900m")},
		{"more allocatable than there is", amounting("memory", "7Gi", "7.5Gi")},
		{"beyond all numbers", amounting("memory", "9e18", "9e18")},
		{"nothing at all", func(n *corev1.Node) { n.Status.Capacity, n.Status.Allocatable = nil, nil }},
	} {
		template, problems := Build(learntM5Large(t, realM5Large(tt.change)))
		assert.Emptyf(t, cmp.Diff(show(plain.Allocatable), show(template.Allocatable)), "%s: allocatable is not what it is without the node (-want +got)", tt.name)
		assert.Truef(t, len(problems) == 1 && problems[0].Reason == ReasonImplausibleNode, "%s: problems %v, want one with the node", tt.name, problems)
	}
}

// A script of the owner may reserve so much.
func TestReservationsOfSeveralNodesAreBelieved(t *testing.T) {
	keeps := func(name, memory string) *corev1.Node {
		return realM5Large(called(name), amounting("memory", "7845568Ki", memory))
	}
	list := func(nodes ...*corev1.Node) []*corev1.Node { return nodes }
	a, b := keeps("a", "3900000Ki"), keeps("b", "3890000Ki")
	plain, _ := Build(learntM5Large(t))
	unknown := plain.Allocatable[corev1.ResourceMemory]
	for _, tt := range []struct {
		name          string
		present, gone []*corev1.Node
		want          string
		refused       string // names
	}{
		{name: "one", present: list(a), want: unknown.String(), refused: "a"},
		{name: "two alike", present: list(a, b), want: "3890000Ki"},
		{name: "two that differ", present: list(a, keeps("b", "3000000Ki")), want: unknown.String(), refused: "ab"},
		{name: "one after another", present: list(a), gone: list(b), want: "3900000Ki"},
		{name: "two that are gone", gone: list(a, b), want: "3890000Ki"},
		{name: "one of three behind", present: list(a, b, keeps("c", "1000000Ki")), want: "3890000Ki", refused: "c"},
		{name: "beside a sound one", present: list(a, b, keeps("c", "7000000Ki")), want: "7000000Ki", refused: "ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := learntM5Large(t)
			in.Learnt = Conclude(observed("m5.large", tt.present...), observed("m5.large", tt.gone...), instancetypes.Embedded().Lookup)
			template, problems := Build(in)
			got := template.Allocatable[corev1.ResourceMemory]
			assert.Equalf(t, 0, got.Cmp(resource.MustParse(tt.want)), "memory for pods is %s, want %s", got.String(), tt.want)
			assert.Lenf(t, problems, len(tt.refused), "problems %v", problems)
			for _, node := range tt.present {
				refuses := in.Learnt.Refuses(node, "m5.large", instancetypes.Embedded().Lookup)
				assert.Equalf(t, strings.Contains(tt.refused, node.Name), refuses, "node %s is no model for the next one", node.Name)
			}
		})
	}
}

func TestWhatIsNearItsTypeIsBelieved(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*corev1.Node)
	}{
		{"as EC2 states it", amounting("memory", "8Gi", "7Gi")},
		{"three quarters of the memory", amounting("memory", "6Gi", "5Gi")},
		{"one thread for each core", amounting("cpu", "1", "940m")},
		{"half of the memory reserved", amounting("memory", "7845568Ki", "3922784Ki")},
		{"memory in huge pages", func(n *corev1.Node) {
			amounting("memory", "7845568Ki", "2600000Ki")(n)
			amounting("hugepages-2Mi", "4Gi", "4Gi")(n)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := realM5Large(tt.change)
			template, problems := Build(learntM5Large(t, node))
			for _, name := range []corev1.ResourceName{"cpu", "memory"} {
				got, want := template.Allocatable[name], node.Status.Allocatable[name]
				assert.Equalf(t, 0, got.Cmp(want), "allocatable %s is %s, want the node's %s", name, got.String(), want.String())
			}
			assert.Empty(t, problems, "problems, want none")
		})
	}
}

// Bottlerocket reserves 11 MiB for each pod that kubelet takes, here 110 with prefixes of addresses.
func TestSmallNodeWithManyPodsIsBelieved(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		pods, capacity, allocatable string
		refused                     int
	}{
		{name: "as reserved", pods: "110", capacity: "1958360Ki", allocatable: "355800Ki"},
		{name: "with fewer pods", pods: "11", capacity: "1958360Ki", allocatable: "355800Ki", refused: 1},
		{name: "with less than is left", pods: "110", capacity: "1958360Ki", allocatable: "300000Ki", refused: 1},
		{name: "with more pods than any node", pods: "100000", capacity: "3900000Ki", allocatable: "355800Ki", refused: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kind := map[string]string{"1958360Ki": "t3.small", "3900000Ki": "t3.medium"}[tt.capacity]
			l := learnt(kind, realM5Large(amounting("memory", tt.capacity, tt.allocatable), amounting("pods", tt.pods, tt.pods)))
			assert.Lenf(t, l.refused, tt.refused, "refused %v", l.refused)
		})
	}
}

func TestUnknownTypeIsNotJudged(t *testing.T) {
	l := learnt("zz9.large", realM5Large(small))
	_, ok := l.types["zz9.large"]
	assert.Truef(t, ok && len(l.refused) == 0, "refused %v", l.refused)
}

func TestUncountedDiskComesFromFormula(t *testing.T) {
	template, _ := Build(learntM5Large(t, realM5Large(func(n *corev1.Node) {
		delete(n.Status.Capacity, corev1.ResourceEphemeralStorage)
		delete(n.Status.Allocatable, corev1.ResourceEphemeralStorage)
	})))
	memory, disk := template.Sources.Capacity["memory"], template.Sources.Capacity["ephemeral-storage"]
	size := template.Capacity.StorageEphemeral()
	assert.Falsef(t, size.Sign() <= 0 || disk.Kind != SourceDefault || memory.Kind != SourceLearnt,
		"disk %s from %q, memory from %q; want the usual disk beside the memory learnt", size, disk.Kind, memory.Kind)
}

func TestUnobservedTypeIsComputedBesideObservedOne(t *testing.T) {
	in := learntM5Large(t, realM5Large())
	in.Members = members(t, "m5.large", "m5a.large")
	mixed, _ := Build(in)
	in.Members, in.Learnt = members(t, "m5a.large"), nil
	unseen, _ := Build(in)
	assert.Empty(t, cmp.Diff(unseen.Allocatable.Memory().String(), mixed.Allocatable.Memory().String()),
		"allocatable memory is not the least of what was seen and computed (-want +got)")
	source := mixed.Sources.Allocatable["cpu"]
	assert.Truef(t, source.Kind == SourceLearnt, "CPU comes from %q, want the first of two alike", source.Kind)
}

func TestANodeTeachesOnceItIsSettled(t *testing.T) {
	ready := func(status corev1.ConditionStatus, ago time.Duration) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, LastTransitionTime: metav1.NewTime(noon.Add(-ago))}}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*corev1.Node)
		want   bool
	}{
		{"ready for five minutes", func(*corev1.Node) {}, true},
		{"ready for a minute", ready(corev1.ConditionTrue, time.Minute), false},
		{"not ready", ready(corev1.ConditionFalse, time.Hour), false},
		{"cordoned", func(n *corev1.Node) { n.Spec.Unschedulable = true }, false},
		{"going", func(n *corev1.Node) { n.DeletionTimestamp = &metav1.Time{Time: noon} }, false},
	} {
		assert.Equalf(t, tt.want, Settled(realM5Large(tt.change), noon), "%s: settled", tt.name)
	}
}

func TestANodeWithVeryManyLabelsTeachesNone(t *testing.T) {
	node := realM5Large()
	for i := range maxObservedLabels + 1 {
		node.Labels[fmt.Sprintf("l%d", i)] = "a"
	}
	l := learnt("m5.large", node, node)
	assert.Falsef(t, len(l.labels) != 0 || len(l.types) != 1,
		"%d labels and %d types learnt, want the machine alone", len(l.labels), len(l.types))
}

func TestTellingTheSame(t *testing.T) {
	team := realM5Large(labelled("team", "dsp"))
	one := learnt("m5.large", realM5Large())
	var none *Learnt
	assert.True(t, one.Equal(learnt("m5.large", realM5Large())) && none.Equal(nil), "the same is not equal")
	for _, other := range []*Learnt{learnt("m5.large", team, team), learnt("m5.xlarge", realM5Large()), nil} {
		assert.Falsef(t, one.Equal(other) || other.Equal(one), "%+v is equal to %+v", one, other)
	}
	seen := Observe(realM5Large(), "m5.large", noon)
	assert.True(t, seen.Equal(Observe(realM5Large(), "m5.large", noon)) && !seen.Equal(nil), "one node differs from itself")
	assert.False(t, seen.Equal(Observe(team, "m5.large", noon)), "another node is equal")
}
