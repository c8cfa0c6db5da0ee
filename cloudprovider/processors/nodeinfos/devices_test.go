package nodeinfos

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodeinfosprovider"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	drautils "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/utils"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/readiness"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// gpuCluster is a cluster as the core's simulator sees it, with a pending pod that claims a T4 by the device class.
type gpuCluster struct {
	w        *awsworld.World
	snapshot clustersnapshot.ClusterSnapshot
	registry *nodeinfosprovider.TemplateNodeInfoRegistry
	class    *resourceapi.DeviceClass // nil for none
	pod      *corev1.Pod
	running  map[*resourceapi.ResourceClaim]*corev1.Pod // by the claim that the pod owns
}

func newGPUCluster(t *testing.T, g fakeaws.AutoScalingGroup) *gpuCluster {
	w := awsworld.New(t, nil, g)
	return &gpuCluster{
		w: w, snapshot: testsnapshot.NewTestSnapshotOrDie(t), registry: nodeinfosprovider.NewTemplateNodeInfoRegistry(newProvider(w)),
		class: &resourceapi.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: nvidiaDriver}, Spec: resourceapi.DeviceClassSpec{
			Selectors: selector("device.driver == 'gpu.nvidia.com' && device.attributes['gpu.nvidia.com'].type == 'gpu'")}},
		pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pending", Namespace: "default", UID: "pod"},
			Spec: corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: ptr.To("t4")}}}},
	}
}

func selector(expression string) []resourceapi.DeviceSelector {
	return []resourceapi.DeviceSelector{{CEL: &resourceapi.CELDeviceSelector{Expression: expression}}}
}

var aT4 = resourceapi.ResourceClaimSpec{Devices: resourceapi.DeviceClaim{Requests: []resourceapi.DeviceRequest{{Name: "gpu",
	Exactly: &resourceapi.ExactDeviceRequest{DeviceClassName: nvidiaDriver, AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: 1,
		Selectors: selector("device.attributes['gpu.nvidia.com'].productName == 'Tesla T4'")}}}}}

// loop begins a loop of the core over the nodes and their slices.
func (c *gpuCluster) loop(nodes []*corev1.Node, slices map[string][]*resourceapi.ResourceSlice) *cacontext.AutoscalingContext {
	c.w.T.Helper()
	claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "t4", Namespace: "default", UID: types.UID("claim")}, Spec: aT4}
	classes := map[string]*resourceapi.DeviceClass{}
	if c.class != nil {
		classes[c.class.Name] = c.class
	}
	claims := map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{drasnapshot.GetClaimId(claim): claim}
	var running []*corev1.Pod
	for its, pod := range c.running {
		claims[drasnapshot.GetClaimId(its)], running = its, append(running, pod)
	}
	before := map[string][]*resourceapi.ResourceSlice{}
	for node, list := range slices {
		for _, slice := range list {
			before[node] = append(before[node], slice.DeepCopy())
		}
	}
	devices := drasnapshot.NewSnapshot(claims, slices, nil, classes)
	require.NoError(c.w.T, c.snapshot.SetClusterState(nodes, running, devices, nil))
	ctx := &cacontext.AutoscalingContext{CloudProvider: c.w.Provider, ClusterSnapshot: c.snapshot, TemplateNodeInfoRegistry: c.registry,
		AutoscalingOptions: config.AutoscalingOptions{DynamicResourceAllocationEnabled: true,
			NodeGroupDefaults: config.NodeGroupAutoscalingOptions{MaxNodeStartupTime: 15 * time.Minute}}}
	require.NoError(c.w.T, c.registry.Recompute(ctx, nodes, nil, taints.TaintConfig{}, time.Now()))
	if len(before) > 0 {
		assert.Equal(c.w.T, before, slices, "the slices of live nodes")
	}
	return ctx
}

// fits reports whether the core's simulator places the pod on the next node of the group.
func (c *gpuCluster) fits() bool {
	c.w.T.Helper()
	info, _ := c.registry.GetNodeInfo("gpu")
	c.snapshot.Fork()
	defer c.snapshot.Revert()
	require.NoError(c.w.T, c.snapshot.AddNodeInfo(info))
	return c.snapshot.CheckPredicates(c.pod, info.Node().Name) == nil
}

// node is a Ready node of the group with the age and the resources.
func (c *gpuCluster) node(age time.Duration, shown corev1.ResourceList) *corev1.Node {
	n := c.w.Nodes("gpu")[0]
	since := metav1.NewTime(time.Now().Add(-age))
	n.CreationTimestamp = since
	n.Labels = map[string]string{corev1.LabelHostname: n.Name}
	n.Status = corev1.NodeStatus{Capacity: shown, Allocatable: shown.DeepCopy(),
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: since}}}
	return n
}

// run puts a pod on the node that claims its device by a template.
func (c *gpuCluster) run(node *corev1.Node) {
	of := node.Name + "-claim"
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "running-" + node.Name, Namespace: "default", UID: types.UID(node.Name)},
		Spec:   corev1.PodSpec{NodeName: node.Name, ResourceClaims: []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: ptr.To("t4")}}},
		Status: corev1.PodStatus{ResourceClaimStatuses: []corev1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: &of}}}}
	selected := &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
		{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node.Name}}}}}}
	claim := &resourceapi.ResourceClaim{Spec: aT4, ObjectMeta: metav1.ObjectMeta{Name: of, Namespace: "default", UID: types.UID(of),
		OwnerReferences: []metav1.OwnerReference{drautils.PodClaimOwnerReference(pod)}}}
	claim.Status.ReservedFor = []resourceapi.ResourceClaimConsumerReference{drautils.PodClaimConsumerReference(pod)}
	claim.Status.Allocation = &resourceapi.AllocationResult{NodeSelector: selected, Devices: resourceapi.DeviceAllocationResult{
		Results: []resourceapi.DeviceRequestAllocationResult{{Request: "gpu", Driver: nvidiaDriver, Pool: node.Name, Device: "gpu-of-another-name"}}}}
	c.running = map[*resourceapi.ResourceClaim]*corev1.Pod{claim: pod}
}

// published is the slice of a node whose driver names its one device in its own way.
func published(node, product string) map[string][]*resourceapi.ResourceSlice {
	slice := nvidiaSlice(node, []resourceapi.Device{{Name: "gpu-of-another-name", Attributes: map[resourceapi.QualifiedName]resourceapi.DeviceAttribute{
		"type": {StringValue: ptr.To("gpu")}, "productName": {StringValue: &product}}}})
	return map[string][]*resourceapi.ResourceSlice{node: {slice}}
}

var wholeNode = awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29")

func TestAClaimedGPUWakesAGroupAtZero(t *testing.T) {
	c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil))
	c.loop(nil, nil)
	assert.True(t, c.fits(), "the pod does not fit the group's template")
	c.class = nil
	c.loop(nil, nil)
	info, _ := c.registry.GetNodeInfo("gpu")
	assert.Empty(t, info.LocalResourceSlices, "devices are assumed in a cluster without the driver's device class")
}

func TestWhatNodesShowReplacesAssumedDevices(t *testing.T) {
	c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	counted := awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "29", "nvidia.com/gpu", "1")
	for _, tt := range []struct {
		name     string
		node     *corev1.Node
		product  string // in the node's slice, or "" for no slice
		lent     bool   // by StartingNodes
		wantFits bool
		wantGPUs int64 // promised as nvidia.com/gpu
	}{
		{name: "nothing shown yet", node: c.node(time.Second, wholeNode), wantFits: true, wantGPUs: 1},
		{name: "devices lent", node: c.node(time.Hour, wholeNode), product: "Tesla T40", lent: true, wantFits: true, wantGPUs: 1},
		{name: "the driver's devices on a young node", node: c.node(time.Second, wholeNode), product: "Tesla T4", wantFits: true},
		{name: "the driver's devices on an old node", node: c.node(time.Hour, wholeNode), product: "Tesla T4", wantFits: true},
		{name: "others than assumed, young node", node: c.node(time.Second, wholeNode), product: "Tesla T40"},
		{name: "others than assumed, old node", node: c.node(time.Hour, wholeNode), product: "Tesla T40"},
		{name: "the device plugin instead, young node", node: c.node(time.Second, counted), wantGPUs: 1},
		{name: "the device plugin instead, old node", node: c.node(time.Hour, counted), wantGPUs: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.registry = nodeinfosprovider.NewTemplateNodeInfoRegistry(newProvider(c.w))
			slices := map[string][]*resourceapi.ResourceSlice{}
			if tt.product != "" {
				slices = published(tt.node.Name, tt.product)
			}
			if tt.lent {
				nodemeta.Assumed.Mark(slices[tt.node.Name][0])
			}
			c.loop([]*corev1.Node{tt.node}, slices)
			assert.Equal(t, tt.wantFits, c.fits(), "pod fits the group's next node")
			info, _ := c.registry.GetNodeInfo("gpu")
			assert.Equal(t, tt.wantGPUs, info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"], "nvidia.com/gpu promised")
		})
	}
}

// AWS may launch any of the types.
func TestDevicesOfMixedTypesAreAssumed(t *testing.T) {
	for _, tt := range []struct {
		name         string // of the other type. A g4dn.xlarge is live
		fits, slices bool   // a claim of a T4, and whether there are devices
	}{{"g4dn.2xlarge", true, true}, {"g4dn.12xlarge", true, true}, {"g5.xlarge", false, true}, {"m5.xlarge", false, false}} {
		t.Run(tt.name, func(t *testing.T) {
			g := awsworld.Group("gpu", "", 0, 1, 5, nil)
			g.LaunchTemplate = nil
			g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "g4dn.xlarge", Version: "1"},
				Overrides: []fakeaws.Override{{InstanceType: "g4dn.xlarge"}, {InstanceType: tt.name}}}
			c := newGPUCluster(t, g)
			node := c.node(time.Hour, wholeNode)
			c.loop([]*corev1.Node{node}, published(node.Name, "Tesla T4"))
			info, _ := c.registry.GetNodeInfo("gpu")
			if fits, slices := c.fits(), len(info.LocalResourceSlices) > 0; fits != tt.fits || slices != tt.slices {
				t.Errorf("the claim fits the next node: %t, want %t. It has devices: %t, want %t", fits, tt.fits, slices, tt.slices)
			}
		})
	}
}

func TestDevicesOfAFormerTypeAreNotThoseOfTheNext(t *testing.T) {
	c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	node := c.node(time.Hour, wholeNode)
	node.Labels[corev1.LabelInstanceTypeStable] = "g4dn.xlarge"
	require.NoError(t, c.w.AWS.PutLaunchTemplate(fakeaws.LaunchTemplate{Name: "four",
		Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "g4dn.12xlarge"}}}))
	require.NoError(t, c.w.AWS.EditGroup("gpu", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "four", Version: "1"}}))
	c.w.Reread()
	c.w.Eventually(func() string { return cmp.Diff([]string{"g4dn.12xlarge"}, c.w.View().Template("gpu").InstanceTypes) })
	c.loop([]*corev1.Node{node}, published(node.Name, "Tesla T4"))
	info, _ := c.registry.GetNodeInfo("gpu")
	require.Len(t, info.LocalResourceSlices, 1, "slices of the next node")
	assert.Len(t, info.LocalResourceSlices[0].Spec.Devices, 4, "devices of the next node")
	assert.Zero(t, info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"], "the driver's devices are promised by count, too")
}

func TestDevicesOfOtherNodesMakeNoNodeUnready(t *testing.T) {
	c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 2, 5, nil))
	live := c.w.Nodes("gpu")[1]
	live.Labels, live.Status = map[string]string{corev1.LabelHostname: live.Name}, c.node(time.Hour, wholeNode).Status
	for _, tt := range []struct {
		name      string
		node      *corev1.Node
		slices    func(node string) map[string][]*resourceapi.ResourceSlice
		wantReady bool
	}{
		{name: "nothing shown yet", node: c.node(time.Minute, wholeNode)},
		{name: "devices of other names", node: c.node(time.Minute, wholeNode), wantReady: true,
			slices: func(node string) map[string][]*resourceapi.ResourceSlice { return published(node, "Tesla T4") }},
		{name: "the device plugin instead", node: c.node(time.Minute, awsworld.Resources("cpu", "4", "nvidia.com/gpu", "1")), wantReady: true},
		{name: "nothing shown within the start-up time", node: c.node(time.Hour, wholeNode), wantReady: true},
	} {
		for _, nodes := range [][]*corev1.Node{nil, {live}} { // nil: its devices are assumed
			t.Run(fmt.Sprintf("%s, %d others", tt.name, len(nodes)), func(t *testing.T) {
				c.registry = nodeinfosprovider.NewTemplateNodeInfoRegistry(newProvider(c.w))
				other := nvidiaSlice(live.Name, []resourceapi.Device{{Name: "gpu-7"}})
				ctx := c.loop(nodes, map[string][]*resourceapi.ResourceSlice{live.Name: {other}})
				info, _ := c.registry.GetNodeInfo("gpu")
				require.Len(t, info.LocalResourceSlices, 1, "slices of the next node")
				var slices map[string][]*resourceapi.ResourceSlice
				if tt.slices != nil {
					slices = tt.slices(tt.node.Name)
				}
				starting := readiness.NewStartingNodes(c.w.Provider, c.w.Events.Add, customresources.NewDefaultCustomResourcesProcessor(true, false), clock.RealClock{})
				all := []*corev1.Node{tt.node}
				_, ready := starting.FilterOutNodesWithUnreadyResources(ctx, all, all, drasnapshot.NewSnapshot(nil, slices, nil, nil), nil)
				assert.Equal(t, tt.wantReady, len(ready) == 1, "counts as ready")
			})
		}
	}
}

// Kubernetes 1.36 lets a driver serve pods that ask for a count. Its nodes show the count nowhere, whatever their number.
func TestGPUsThatADriverServesByCountStayPromised(t *testing.T) {
	for byCount, want := range map[string]int64{instancetypes.ResourceNVIDIA: 1, "": 0} {
		c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
		c.class.Spec.ExtendedResourceName = ptr.To(byCount)
		node := c.node(time.Hour, wholeNode)
		ctx := c.loop([]*corev1.Node{node}, published(node.Name, "Tesla T4"))
		next := *c.w.View().Template("gpu")
		seen := nodetemplate.Observe(node, "g4dn.xlarge", time.Now())
		next.Seen.Learnt = nodetemplate.Conclude([]*nodetemplate.Observed{seen, seen}, nil, instancetypes.Embedded().Lookup)
		require.True(t, next.Seen.Learnt.Lacks(instancetypes.ResourceNVIDIA), "the nodes show that they lack the count")
		live, err := c.snapshot.GetNodeInfo(node.Name)
		require.NoError(t, err)
		nodes := []*corev1.Node{node}
		info := live.DeepCopy()
		promise(info, nodes, &next)
		newProvider(c.w).sharing(ctx, nodes).complete(info, false, &next, instancetypes.Embedded())
		got := info.Node().Status.Allocatable[instancetypes.ResourceNVIDIA]
		assert.Equalf(t, want, got.Value(), "class's extended resource %q: nvidia.com/gpu promised", byCount)
	}
}

// The slices of a node that is gone say what the next one may publish, and nothing about whether its driver works.
func TestDevicesOfNodesThatAreGoneAreAssumed(t *testing.T) {
	c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	node := c.node(time.Hour, wholeNode)
	for _, nodes := range [][]*corev1.Node{{node}, nil, {node}} {
		c.loop(nodes, published(node.Name, "Tesla T4"))
		info, _ := c.registry.GetNodeInfo("gpu")
		require.Len(t, info.LocalResourceSlices, 1, "slices of the next node")
		assert.Equal(t, "gpu-of-another-name", info.LocalResourceSlices[0].Spec.Devices[0].Name)
		assert.Equalf(t, len(nodes) == 0, nodemeta.Assumed.On(info.LocalResourceSlices[0]), "assumed with %d nodes", len(nodes))
	}
}

// A restarted kubelet, or the update of a driver, may leave a node without its slices, while its pods go on
// (kubernetes-sigs/dra-driver-nvidia-gpu#330, kubernetes/kubernetes#140011).
func TestANodeThatTheCoreCannotCopyEndsNoLoop(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		restarted, withAnother bool
		wantCPU                int64 // of the group's next node
	}{
		{name: "the cached NodeInfo serves", wantCPU: 3},
		{name: "the template serves after a restart", restarted: true, wantCPU: 4},
		{name: "another node serves", withAnother: true, wantCPU: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newGPUCluster(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 2, 5, nil))
			node := c.node(time.Hour, awsworld.Resources("cpu", "3", "memory", "15Gi", "pods", "29"))
			nodes := []*corev1.Node{node}
			if !tt.restarted {
				c.run(node)
				c.loop(nodes, published(node.Name, "Tesla T4"))
			}
			slices := map[string][]*resourceapi.ResourceSlice{}
			if tt.withAnother {
				another := c.w.Nodes("gpu")[1]
				another.Labels, another.Status = map[string]string{corev1.LabelHostname: another.Name}, *node.Status.DeepCopy()
				another.Status.Allocatable = awsworld.Resources("cpu", "2", "memory", "15Gi", "pods", "29")
				nodes, slices = append(nodes, another), published(another.Name, "Tesla T4")
			}
			state, log := klog.CaptureState(), &bytes.Buffer{}
			defer state.Restore()
			klog.LogToStderr(false)
			klog.SetOutput(log)
			for range 2 {
				c.run(node)
				c.loop(nodes, slices)
				assert.True(t, c.fits(), "the pod does not fit the group's next node")
				info, _ := c.registry.GetNodeInfo("gpu")
				assert.Equal(t, tt.wantCPU, info.Node().Status.Allocatable.Cpu().Value(), "CPUs of the next node")
			}
			info, err := c.snapshot.GetNodeInfo(node.Name)
			require.NoError(t, err)
			drained := (&snapshot.Emptied{}).Take(c.snapshot, info, snapshot.Pods(info))
			require.Len(t, drained, 1, "pods that look for a place when the node is drained")
			c.pod = drained[0]
			assert.True(t, c.fits(), "the drained pod does not fit the group's next node")
			assert.Equal(t, 1, strings.Count(log.String(), `node="`+node.Name+`"`), "the log names the node: %s", log)
		})
	}
}

func TestDevicesAreThoseThatEveryTypeHas(t *testing.T) {
	catalogue := instancetypes.Embedded()
	type device struct {
		Name, Product, Architecture string
		MemoryMiB                   int64
	}
	for _, tt := range []struct {
		name  string
		types []string
		want  []device
	}{
		{name: "one type", types: []string{"g4dn.xlarge"}, want: []device{{"gpu-0", "Tesla T4", "Turing", 15360}}},
		{name: "fewest devices", types: []string{"g4dn.12xlarge", "g4dn.xlarge"}, want: []device{{"gpu-0", "Tesla T4", "Turing", 15360}}},
		{name: "several models", types: []string{"g5.xlarge", "g4dn.xlarge"}, want: []device{{"gpu-0", "", "", 15360}}},
		{name: "same architecture", types: []string{"g6.xlarge", "g6e.xlarge"}, want: []device{{"gpu-0", "", "Ada Lovelace", 22888}}},
		{name: "a fraction of a card", types: []string{"g6f.large"}, want: []device{{"gpu-0", "", "", 2682}}},
		{name: "a type without", types: []string{"g5.xlarge", "m5.large"}},
		{name: "another vendor's", types: []string{"g4ad.xlarge"}},
		{name: "a type nobody knows", types: []string{"x9z.large"}},
		{name: "no type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []device
			for _, d := range nvidiaDevices(tt.types, catalogue) {
				memory := d.Capacity["memory"].Value
				got = append(got, device{d.Name, ptr.Deref(d.Attributes["productName"].StringValue, ""),
					ptr.Deref(d.Attributes["architecture"].StringValue, ""), memory.Value() >> 20})
			}
			assert.Empty(t, cmp.Diff(tt.want, got), "devices (-want +got)")
		})
	}
}
