package nodeinfos

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// showing returns the nodes of the group's instances, Ready for that long, with the resources. The provider sees them from the next
// loop on.
func showing(w *awsworld.World, id, instanceType string, age time.Duration, shown corev1.ResourceList) []*corev1.Node {
	nodes := w.Nodes(id)
	for _, n := range nodes {
		since := metav1.NewTime(time.Now().Add(-age))
		n.CreationTimestamp = since
		n.Labels = map[string]string{corev1.LabelInstanceTypeStable: instanceType}
		n.Status = corev1.NodeStatus{Capacity: shown.DeepCopy(), Allocatable: shown.DeepCopy(),
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: since}}}
	}
	w.Cluster.Put(w.T, nodes...)
	return nodes
}

// nextNode returns the NodeInfo of the group's next node in a loop of a new process over the nodes.
func nextNode(w *awsworld.World, id string, nodes ...*corev1.Node) *framework.NodeInfo {
	w.T.Helper()
	return process(w, newProvider(w), nil, nodes...)[id]
}

// A node with a divided GPU publishes its parts (MIG, strategy mixed) or renamed time slices, and no whole GPU or 0.
var divisions = map[string]corev1.ResourceList{
	"MIG, whole ones 0":  awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29", "nvidia.com/mig-1g.10gb", "7", "nvidia.com/gpu", "0"),
	"MIG, no whole ones": awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29", "nvidia.com/mig-1g.10gb", "7"),
	"renamed slices":     awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29", "nvidia.com/gpu.shared", "4"),
}

func TestDividedGPUIsNotPromisedAsWhole(t *testing.T) {
	for name, shown := range divisions {
		t.Run(name, func(t *testing.T) {
			w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
			w.NextLoop()
			live := showing(w, "gpu", "g4dn.xlarge", 2*time.Minute, shown)
			for _, nodes := range [][]*corev1.Node{live, nil} { // nil: from the template alone, as after a restart
				info := nextNode(w, "gpu", nodes...)
				assert.EqualValuesf(t, 0, info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"],
					"with %d nodes the scheduler sees whole GPUs on the next node, want none", len(nodes))
				w.NextLoop()
			}
		})
	}
}

func TestNoDevicesAreAssumedOnADividedGPU(t *testing.T) {
	c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	for name, shown := range divisions {
		for _, age := range []time.Duration{time.Second, time.Hour} {
			c.loop([]*corev1.Node{c.node(age, shown)}, map[string][]*resourceapi.ResourceSlice{})
			assert.Falsef(t, c.fits(), "%s: a claim of a whole GPU fits the next node when the first is Ready for %s", name, age)
		}
	}
}

func TestNoDevicesAreAssumedWithoutNodes(t *testing.T) {
	tagged := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, map[string]string{awsworld.Template + "resources/nvidia.com/mig-1g.10gb": "7"}))
	learnt := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	learnt.w.NextLoop()
	showing(learnt.w, "gpu", "g4dn.xlarge", 2*time.Minute, divisions["renamed slices"])
	learnt.w.NextLoop()
	for name, c := range map[string]*gpuCluster{"by a tag": tagged, "by a node of before": learnt} {
		c.loop(nil, nil)
		assert.Falsef(t, c.fits(), "a claim of a whole GPU fits the next node whose GPU is divided %s", name)
	}
}

// The launch template does not change with the settings of the device plugin.
func TestATagStatesTheNextDivisionOfAGPUAtZero(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	w.NextLoop()
	live := showing(w, "gpu", "g4dn.xlarge", 2*time.Minute, awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29", "nvidia.com/gpu", "1"))
	w.NextLoop()
	infos := newProvider(w)
	process(w, infos, nil, live...)
	require.NoError(t, w.AWS.SetTags("gpu", map[string]*string{awsworld.Template + "resources/nvidia.com/mig-1g.10gb": ptr.To("7")}))
	w.Reread()
	w.NextLoop()
	for _, infos := range []*Provider{infos, newProvider(w)} {
		got := process(w, infos, nil, live...)["gpu"].GetAllocatable().GetScalarResources()
		assert.Zerof(t, got["nvidia.com/mig-1g.10gb"], "%v while a node shows a whole one", got)
	}
	w.Emptied("gpu")
	w.Cluster.Drop(t, live...)
	w.NextLoop()
	for _, infos := range []*Provider{infos, newProvider(w)} {
		got := process(w, infos, nil)["gpu"].GetAllocatable().GetScalarResources()
		assert.Truef(t, got["nvidia.com/mig-1g.10gb"] == 7 && got["nvidia.com/gpu"] == 0, "the next node has %v, want 7 parts alone", got)
	}
}

// Stock asks for such a tag, and a person who divides the GPUs later may leave it.
func TestATagOfWholeGPUsDoesNotOverrulePartsThatANodeShowed(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, map[string]string{awsworld.Template + "resources/nvidia.com/gpu": "1"}))
	w.NextLoop()
	infos, live := newProvider(w), showing(w, "gpu", "g4dn.xlarge", 2*time.Minute, divisions["MIG, no whole ones"])
	w.NextLoop()
	process(w, infos, nil, live...)
	w.Emptied("gpu")
	w.Cluster.Drop(t, live...)
	w.NextLoop()
	got := process(w, infos, nil)["gpu"].GetAllocatable().GetScalarResources()
	assert.Truef(t, got["nvidia.com/mig-1g.10gb"] == 7 && got["nvidia.com/gpu"] == 0, "the next node has %v, want 7 parts alone", got)
	got = process(w, newProvider(w), nil)["gpu"].GetAllocatable().GetScalarResources()
	assert.Zerof(t, got["nvidia.com/gpu"], "the next node has %v by the template", got)
}

// kubelet counts an unhealthy device in the capacity alone.
func TestUnhealthyDevicesCountOnTheNextNode(t *testing.T) {
	for _, tt := range []struct {
		name, instanceType string
		device             corev1.ResourceName
		has, healthy, want int64
		beside             corev1.ResourceList
	}{
		{name: "a GPU", instanceType: "p4d.24xlarge", device: "nvidia.com/gpu", has: 8, healthy: 7, want: 8},
		{name: "all of them", instanceType: "p4d.24xlarge", device: "nvidia.com/gpu", has: 8, want: 8},
		{name: "a GPU in time slices", instanceType: "p4d.24xlarge", device: "nvidia.com/gpu", has: 32, healthy: 28, want: 32},
		{name: "all GPUs in time slices", instanceType: "p4d.24xlarge", device: "nvidia.com/gpu", has: 32, want: 32},
		{name: "a GPU in parts", instanceType: "p4d.24xlarge", device: "nvidia.com/gpu", has: 56, healthy: 49, want: 56},
		{name: "a core", instanceType: "inf1.xlarge", device: "aws.amazon.com/neuroncore", has: 4, healthy: 3, want: 4,
			beside: awsworld.Resources("aws.amazon.com/neuron", "1")},
		{name: "a device without a promise", instanceType: "m5.large", device: "example.com/fuse", has: 8, healthy: 5, want: 8},
		{name: "no device", instanceType: "m5.large", device: "hugepages-2Mi", has: 1 << 30, healthy: 1 << 29, want: 1 << 29},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := awsworld.New(t, nil, awsworld.Group("a", tt.instanceType, 0, 1, 5, nil))
			w.NextLoop()
			live, infos := showing(w, "a", tt.instanceType, 2*time.Minute, offers(tt.instanceType)), newProvider(w)
			maps.Copy(live[0].Status.Allocatable, tt.beside)
			live[0].Status.Capacity[tt.device] = *resource.NewQuantity(tt.has, resource.DecimalSI)
			live[0].Status.Allocatable[tt.device] = *resource.NewQuantity(tt.healthy, resource.DecimalSI)
			for _, nodes := range [][]*corev1.Node{live, nil} { // nil: from the core's copy
				got := process(w, infos, nil, nodes...)["a"].GetAllocatable().GetScalarResources()[tt.device]
				assert.Equalf(t, tt.want, got, "with %d nodes the next node offers", len(nodes))
			}
		})
	}
}

func withP4d(c *fakeaws.Config) {
	c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "p4d.24xlarge",
		Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "p4d.24xlarge"}}})
}

// A failed GPU may be missing from the capacity, too. A group whose nodes all have fewer than their type may also be like that on purpose.
func TestNodeThatLostADeviceIsNoModelOnceItIsGone(t *testing.T) {
	for _, tt := range []struct {
		name        string
		tags        map[string]string
		shown       []string // by each node
		with, after string   // GPUs of the next node with the nodes and without them
	}{
		{name: "alone", shown: []string{"7"}, with: "7", after: "8"},
		{name: "beside a sound one", shown: []string{"7", "8"}, with: "8", after: "8"},
		{name: "beside one whose plugin is late", shown: []string{"7", "0"}, with: "8", after: "8"},
		{name: "as a tag states", tags: map[string]string{awsworld.Template + "resources/nvidia.com/gpu": "7"}, shown: []string{"7"}, with: "7", after: "7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := awsworld.New(t, withP4d, awsworld.Group("a", "p4d.24xlarge", 0, len(tt.shown), 5, tt.tags))
			w.NextLoop()
			live := showing(w, "a", "p4d.24xlarge", 2*time.Minute, offers("p4d.24xlarge"))
			for i, gpus := range tt.shown {
				maps.Copy(live[i].Status.Capacity, awsworld.Resources("nvidia.com/gpu", gpus))
				maps.Copy(live[i].Status.Allocatable, awsworld.Resources("nvidia.com/gpu", gpus))
			}
			for range 2 {
				slices.Reverse(live) // the core's list has no order
				infos := newProvider(w)
				with := process(w, infos, nil, live...)["a"].Node().Status.Allocatable["nvidia.com/gpu"]
				after := process(w, infos, nil)["a"].Node().Status.Allocatable["nvidia.com/gpu"]
				assert.Equal(t, []string{tt.with, tt.after}, []string{with.String(), after.String()}, "GPUs of the next node with the nodes and without")
			}
		})
	}
}

// One node may have a broken device plugin.
func TestAResourceThatTwoNodesLackIsNotPromised(t *testing.T) {
	plain := awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29")
	with := awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29", "nvidia.com/gpu", "1", "example.com/fuse", "8")
	for _, tt := range []struct {
		name         string
		first, other corev1.ResourceList
		age, others  time.Duration
		want         bool
	}{
		{name: "for long", first: plain, other: plain, age: time.Hour, others: time.Hour},
		{name: "while it may still come", first: plain, other: plain, age: 10 * time.Minute, others: time.Hour, want: true},
		{name: "and another has", first: plain, other: with, age: time.Hour, others: time.Hour, want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tags := map[string]string{awsworld.Template + "resources/example.com/fuse": "8", awsworld.Template + "resources/vpc.amazonaws.com/pod-eni": "9"}
			w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 2, 5, tags))
			w.NextLoop()
			nodes := showing(w, "gpu", "g4dn.xlarge", tt.age, tt.first)
			nodes[0].Spec.Taints = []corev1.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: corev1.TaintEffectNoSchedule}}
			nodes[1].Status.Allocatable, nodes[1].Status.Capacity = tt.other, tt.other
			nodes[1].Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Now().Add(-tt.others))
			w.NextLoop()
			got := nextNode(w, "gpu", nodes[0]).GetAllocatable().GetScalarResources()
			for _, name := range []corev1.ResourceName{"nvidia.com/gpu", "example.com/fuse"} {
				assert.Equalf(t, tt.want, got[name] > 0, "%d of %s are promised, want some: %t", got[name], name, tt.want)
			}
			assert.EqualValues(t, 9, got[instancetypes.ResourcePodENI], "branch interfaces, want them whatever the nodes lack: a new one gets them")
			template := w.View().Template("gpu")
			if fuse := template.Capacity["example.com/fuse"]; fuse.IsZero() == tt.want || len(template.Accelerators()) != 1 {
				t.Errorf("the template has %v, want fuse: %t, and in any case the GPU, for which a new node is waited", template.Capacity, tt.want)
			}
		})
	}
}

// offers are the resources that a node of the type shows, with more of them by name and amount.
func offers(instanceType string, more ...string) corev1.ResourceList {
	list := awsworld.Resources(append(more, "cpu", "8", "memory", "31Gi", "pods", "58")...)
	if t, known := instancetypes.Embedded().Lookup(instanceType); known {
		list[corev1.ResourceCPU] = *resource.NewQuantity(int64(t.VCPU), resource.DecimalSI)
		list[corev1.ResourceMemory] = *resource.NewQuantity(t.MemoryBytes*95/100, resource.BinarySI)
		list[corev1.ResourcePods] = *resource.NewQuantity(int64(t.ENIMaxPods()), resource.DecimalSI)
	}
	return list
}

// AWS may launch any of the types.
func TestMixedSizesPromiseTheLeast(t *testing.T) {
	for _, tt := range []struct {
		name  string
		types []string            // the first is live
		more  []string            // what the live one shows beside the usual
		ill   []string            // of that, what is left for pods
		want  corev1.ResourceList // beside the template's figures, nil for all that is shown
	}{
		{name: "a larger one is live", types: []string{"m5.2xlarge", "m5.large"}, want: corev1.ResourceList{}},
		{name: "the least is live", types: []string{"m5.large", "m5.2xlarge"}},
		{name: "one size", types: []string{"m5.large", "m5a.large"}},
		{name: "an unknown one is live", types: []string{"x9z.large", "m5.large"}, more: []string{"nvidia.com/gpu", "8"}, want: corev1.ResourceList{}},
		{name: "fewer devices", types: []string{"g5.12xlarge", "g5.xlarge"},
			more: []string{"nvidia.com/gpu", "4", "vpc.amazonaws.com/efa", "1", "example.com/fuse", "8"}, want: awsworld.Resources("example.com/fuse", "8")},
		{name: "parts of fewer devices", types: []string{"g5.12xlarge", "g5.xlarge"}, more: []string{"nvidia.com/gpu.shared", "16"},
			want: awsworld.Resources("nvidia.com/gpu.shared", "4")},
		{name: "slices of fewer devices under their name", types: []string{"g5.12xlarge", "g5.xlarge"}, more: []string{"nvidia.com/gpu", "16"},
			want: awsworld.Resources("nvidia.com/gpu", "4")},
		{name: "unhealthy devices", types: []string{"g5.12xlarge", "g5.xlarge"}, more: []string{"nvidia.com/gpu", "4"},
			ill: []string{"nvidia.com/gpu", "0"}, want: corev1.ResourceList{}},
		{name: "unhealthy parts of fewer devices", types: []string{"g5.12xlarge", "g5.xlarge"}, more: []string{"nvidia.com/gpu.shared", "16"},
			ill: []string{"nvidia.com/gpu.shared", "12"}, want: awsworld.Resources("nvidia.com/gpu.shared", "4")},
		{name: "fewer cores of a device", types: []string{"inf1.xlarge", "inf2.xlarge"},
			more: []string{"aws.amazon.com/neuron", "1", "aws.amazon.com/neuroncore", "4"},
			want: offers("inf1.xlarge", "aws.amazon.com/neuron", "1", "aws.amazon.com/neuroncore", "2")},
		{name: "no device in some", types: []string{"g4dn.xlarge", "m5.xlarge"}, more: []string{"nvidia.com/gpu", "1"},
			want: offers("g4dn.xlarge", "nvidia.com/gpu", "0")},
		{name: "fewer branch interfaces", types: []string{"m5.2xlarge", "m5.large"}, more: []string{"vpc.amazonaws.com/pod-eni", "38"},
			want: awsworld.Resources("vpc.amazonaws.com/pod-eni", "9")},
		{name: "huge pages of the image", types: []string{"p5.48xlarge", "p4d.24xlarge"},
			more: []string{"hugepages-2Mi", "42242Mi", "vpc.amazonaws.com/efa", "32"},
			want: awsworld.Resources("hugepages-2Mi", "21122Mi", "vpc.amazonaws.com/efa", "4")},
		{name: "joined disks of a larger one", types: []string{"m5d.4xlarge", "m5d.xlarge"}, more: []string{"ephemeral-storage", "540Gi"},
			want: awsworld.Resources("ephemeral-storage", "135Gi")},
		{name: "joined disks in some", types: []string{"m5d.large", "m5.large"}, more: []string{"ephemeral-storage", "66Gi"},
			want: offers("m5d.large")},
		{name: "a volume beside local disks", types: []string{"m5d.large", "m5.large"}, more: []string{"ephemeral-storage", "100Gi"}},
		{name: "a small volume beside local disks", types: []string{"m5d.4xlarge", "m5d.xlarge"}, more: []string{"ephemeral-storage", "100Gi"},
			want: awsworld.Resources("ephemeral-storage", "100Gi")},
		{name: "joined disks of one size", types: []string{"m5d.large", "m5ad.large"}, more: []string{"ephemeral-storage", "66Gi"}},
		{name: "huge pages of the owner", types: []string{"m5.2xlarge", "m5.large"}, more: []string{"hugepages-2Mi", "1Gi"},
			want: awsworld.Resources("hugepages-2Mi", "1Gi")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := awsworld.Group("mixed", "", 0, 1, 20, nil)
			g.LaunchTemplate = nil
			g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"}}
			for _, name := range tt.types {
				g.MixedInstancesPolicy.Overrides = append(g.MixedInstancesPolicy.Overrides, fakeaws.Override{InstanceType: name})
			}
			w := awsworld.New(t, nil, g)
			w.NextLoop()
			shown := offers(tt.types[0], tt.more...)
			live := showing(w, "mixed", tt.types[0], 2*time.Minute, shown)
			maps.Copy(live[0].Status.Allocatable, awsworld.Resources(tt.ill...))
			got := nextNode(w, "mixed", live...).Node().Status.Allocatable
			want := shown
			if tt.want != nil {
				want = w.View().Template("mixed").Allocatable.DeepCopy()
				maps.Copy(want, tt.want)
			}
			for name := range shown {
				q, least := got[name], want[name]
				assert.Equalf(t, 0, q.Cmp(least), "%s of %s on the next node, want %s", q.String(), name, least.String())
			}
		})
	}
}

// Stock reads no user data, so that its group at zero grows.
func TestStartupTaintsKeepNoGroupAtZero(t *testing.T) {
	register := func(list string) func(*fakeaws.Config) {
		return func(c *fakeaws.Config) {
			script := "#!/bin/bash\n/etc/eks/bootstrap.sh prod --kubelet-extra-args '--register-with-taints=" + list + "'\n"
			c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "boot",
				Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large", UserData: script}}})
		}
	}
	for _, tt := range []struct {
		name    string
		taints  string
		carried []corev1.Taint // by a node, nil for no node
		want    []string       // keys that the next node keeps
	}{
		{name: "of a known agent", taints: "ebs.csi.aws.com/agent-not-ready=:NoExecute,node.cilium.io/agent-not-ready=true:NoExecute," +
			"node.cluster.x-k8s.io/uninitialized=:NoSchedule,node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule"},
		{name: "of somebody else", taints: "team=a:NoSchedule", want: []string{"team"}},
		{name: "that a node lost", taints: "team=a:NoSchedule,example.com/booting=:NoExecute", want: []string{"team"},
			carried: []corev1.Taint{{Key: "team", Value: "a", Effect: corev1.TaintEffectNoSchedule}}},
		{name: "of Kubernetes", taints: "node.kubernetes.io/special=:NoSchedule", carried: []corev1.Taint{},
			want: []string{"node.kubernetes.io/special"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			desired := 0
			if tt.carried != nil {
				desired = 1
			}
			w := awsworld.New(t, register(tt.taints), awsworld.Group("zero", "boot", 0, desired, 5, nil))
			w.NextLoop()
			for _, n := range showing(w, "zero", "m5.large", 2*time.Minute, awsworld.Resources("cpu", "2", "memory", "7900Mi", "pods", "29")) {
				n.Spec.Taints = tt.carried
			}
			w.NextLoop()
			var got []string
			for _, taint := range nextNode(w, "zero").Node().Spec.Taints {
				got = append(got, taint.Key)
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "taints of the next node (-want +got)")
		})
	}
}
