package readiness

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	kubelettypes "k8s.io/kubernetes/pkg/kubelet/types"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestANodeIsStartingUntilItShowsItsAccelerator(t *testing.T) {
	w := awsworld.New(t, nil,
		awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, map[string]string{awsworld.Template + "autoscaling-options/maxnodestartuptime": "10m"}),
		awsworld.Group("plain", "m5.large", 0, 1, 5, nil))
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ready := func(id string, age time.Duration, shown corev1.ResourceList) *corev1.Node {
		n := w.Nodes(id)[0]
		n.CreationTimestamp = metav1.NewTime(now.Add(-age))
		if id == "gpu" { // by the label the core would take all of them for starting
			n.Labels = map[string]string{w.GPULabel(): "nvidia-tesla-t4"}
		}
		n.Status = corev1.NodeStatus{Allocatable: shown, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}
		return n
	}
	untold := ready("plain", time.Minute, awsworld.Resources("cpu", "2")) // a tag may state that the group has no GPUs by count
	untold.Labels = map[string]string{w.GPULabel(): "nvidia-tesla-t4"}
	for _, tt := range []struct {
		name      string
		node      *corev1.Node
		pods      []*corev1.Pod
		driver    string   // of a slice of the node
		devices   []string // in it
		wantReady bool
		wantEvent bool
	}{
		{name: "no accelerator promised", node: ready("plain", time.Minute, awsworld.Resources("cpu", "2")), wantReady: true},
		{name: "published", node: ready("gpu", time.Minute, awsworld.Resources("nvidia.com/gpu", "1")), wantReady: true},
		{name: "not published yet", node: ready("gpu", 9*time.Minute, awsworld.Resources("cpu", "4"))},
		{name: "published in slices", node: ready("gpu", time.Minute, awsworld.Resources("nvidia.com/mig-1g.5gb", "7")), wantReady: true},
		{name: "shared out by a driver", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")), driver: "gpu.nvidia.com", devices: []string{"gpu-0"},
			wantReady: true},
		{name: "shared out by a driver, and not promised", node: untold, driver: "gpu.nvidia.com", devices: []string{"gpu-0"}, wantReady: true},
		{name: "none left that a driver shares out", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")), driver: "gpu.nvidia.com"},
		{name: "other devices shared out", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")), driver: "compute-domain.nvidia.com", devices: []string{"gpu-0"}},
		{name: "another vendor's devices shared out", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")), driver: "neuron.aws.com", devices: []string{"gpu-0"}},
		{name: "not published, but used already", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")), wantReady: true,
			pods: []*corev1.Pod{podOn(ready("gpu", 0, nil).Name, "ReplicaSet")}},
		{name: "not published, with the pods of every node", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")),
			pods: []*corev1.Pod{podOn(ready("gpu", 0, nil).Name, "DaemonSet"), podOn("other", "ReplicaSet")}},
		{name: "not published, with the pods of its kubelet", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")),
			pods: []*corev1.Pod{
				marked(podOn(ready("gpu", 0, nil).Name, "Node"), kubelettypes.ConfigMirrorAnnotationKey),
				marked(podOn(ready("gpu", 0, nil).Name, "Node"), kubelettypes.ConfigSourceAnnotationKey)}},
		{name: "not published, and used by a pod that succeeded", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")),
			pods: []*corev1.Pod{finished(podOn(ready("gpu", 0, nil).Name, "Job"), corev1.PodSucceeded)}},
		{name: "not published, and used by a pod that failed", node: ready("gpu", time.Minute, awsworld.Resources("cpu", "4")),
			pods: []*corev1.Pod{finished(podOn(ready("gpu", 0, nil).Name, "Job"), corev1.PodFailed)}},
		{name: "zero published", node: ready("gpu", 9*time.Minute, awsworld.Resources("nvidia.com/gpu", "0"))},
		{name: "never published", node: ready("gpu", 11*time.Minute, awsworld.Resources("cpu", "4")), wantReady: true, wantEvent: true},
		{name: "never published, and used", node: ready("gpu", 11*time.Minute, awsworld.Resources("cpu", "4")), wantReady: true, wantEvent: true,
			pods: []*corev1.Pod{podOn(ready("gpu", 0, nil).Name, "ReplicaSet")}},
		{name: "not ours", node: awsworld.Node("stranger", "aws:///cn-northwest-1a/i-0fffffffffffffff0"), wantReady: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.Events.All())
			s, ctx := starting(w, testclock.NewFakePassiveClock(now))
			ctx.ListerRegistry = podsOf{list: tt.pods}
			nodes := []*corev1.Node{tt.node}
			slice := slicesOf(tt.node.Name, tt.driver, tt.devices...)[0]
			devices := drasnapshot.NewSnapshot(nil, map[string][]*resourceapi.ResourceSlice{tt.node.Name: {slice}}, nil, nil)
			for range 3 { // loops
				all, stillReady := s.FilterOutNodesWithUnreadyResources(ctx, nodes, nodes, devices, nil)
				assert.Equal(t, tt.wantReady, len(stillReady) == 1, "counts as ready")
				require.Len(t, all, 1, "nodes of 1")
				if r, _ := kubernetes.GetNodeReadiness(all[0]); !tt.wantReady && (r.Ready || r.Reason != kubernetes.ResourceUnready) {
					t.Errorf("among all nodes its readiness is %+v, want not ready for its resources", r)
				}
			}
			events := w.Events.All()[before:]
			assert.Truef(t, len(events) == 1 == tt.wantEvent && strings.Contains(strings.Join(events, ""), "nvidia.com/gpu") == tt.wantEvent,
				"events = %q, want one about the accelerator: %t", events, tt.wantEvent)
		})
	}
}

// The core knows whole GPUs only, by the label that some nodes have.
// The core counts the devices of all nodes before it launches any, and ends with an error of a node.
func TestForeignNodeWithoutWholeGPUKeepsNoGroupFromGrowing(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("plain", "m5.large", 0, 1, 5, nil))
	n := awsworld.Node("stranger", "aws:///cn-northwest-1a/i-0fffffffffffffff0")
	n.Labels = map[string]string{w.GPULabel(): "inferentia2"}
	n.Status.Allocatable = awsworld.Resources("aws.amazon.com/neuron", "2")
	s := NewStartingNodes(w.Provider, w.Events.Add, customresources.NewDefaultCustomResourcesProcessor(true, false), clock.RealClock{})
	targets, err := s.GetNodeResourceTargets(&cacontext.AutoscalingContext{CloudProvider: w.Provider}, n, nil)
	assert.Truef(t, err == nil && len(targets) == 0, "devices %v, error %v, want neither", targets, err)
}

func TestDividedGPUIsStartingUntilItHasSettled(t *testing.T) {
	g := newGPUNodes(t, 1, nil)
	n := g.boots()
	n.Labels = map[string]string{g.GPULabel(): "nvidia-tesla-t4"}
	n.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "0", "nvidia.com/mig-1g.10gb", "7")
	assert.Equal(t, 70*time.Second, g.startsFor(n), "the node counts as starting for, want a minute and a loop")
	for _, e := range g.Events.All() {
		assert.Falsef(t, strings.Contains(e, "AcceleratorMissing"), "event %q, want none that it is missing", e)
	}
}

func TestANodeIsStartingUntilAllPromisedIsShown(t *testing.T) {
	g := newGPUNodes(t, 2, map[string]string{awsworld.Template + "resources/vpc.amazonaws.com/efa": "1"})
	n := g.boots()
	for _, shown := range []corev1.ResourceList{awsworld.Resources("nvidia.com/gpu", "1"), awsworld.Resources("vpc.amazonaws.com/efa", "1")} {
		n.Status.Allocatable = shown
		assert.Truef(t, g.starts(n), "a node that shows only %v does not count as starting", shown)
	}
	n.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1", "vpc.amazonaws.com/efa", "1")
	assert.False(t, g.starts(n), "a node that shows all counts as starting")
	late := g.boots()
	late.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
	assert.Equal(t, 3*time.Minute, g.startsFor(late), "the node without the adapter counts as starting for, want 3 min")
}

// Pods that wait for what comes late get no second node. The other pods of the node are not disturbed.
func TestReadyNodeCountsWithWhatComesLate(t *testing.T) {
	own := map[string]string{corev1.LabelTopologyZone: awsworld.ZoneA, "disk": "none"}
	tags := map[string]string{awsworld.Template + "label/nvidia.com/gpu.product": "Tesla-T4", awsworld.Template + "label/disk": "fast"}
	late := maps.Clone(own)
	late["nvidia.com/gpu.product"], late["topology.ebs.csi.aws.com/zone"] = "Tesla-T4", awsworld.ZoneA
	withEBS := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"topology.ebs.csi.aws.com/zone": awsworld.ZoneB}}}
	bare, whole := awsworld.Resources("cpu", "4"), awsworld.Resources("cpu", "4", "nvidia.com/gpu", "1")
	for _, tt := range []struct {
		name        string
		shown, want corev1.ResourceList
		old         bool // and Ready again
	}{
		{name: "labels", shown: whole, want: whole},
		{name: "a GPU, while other pods use the node", shown: bare, want: whole},
		{name: "an old node that was not Ready for a moment", shown: whole, want: whole, old: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGPUNodes(t, 1, tags)
			n := g.boots()
			n.ResourceVersion, n.CreationTimestamp = "77", metav1.NewTime(g.now.Now())
			if tt.old {
				n.CreationTimestamp = metav1.NewTime(g.now.Now().Add(-time.Hour))
			}
			n.Labels, n.Status.Allocatable = own, tt.shown
			g.ctx.ListerRegistry = podsOf{list: []*corev1.Pod{podOn(n.Name, "ReplicaSet")}}
			g.ctx.TemplateNodeInfoRegistry = knows{info: framework.NewNodeInfo(awsworld.Node("next", ""), slicesOf("next", "gpu.nvidia.com", "gpu-0"))}
			counts := func(labels map[string]string, resources corev1.ResourceList) {
				t.Helper()
				others := map[string][]*resourceapi.ResourceSlice{n.Name: slicesOf(n.Name, "compute-domain.nvidia.com")}
				devices := drasnapshot.NewSnapshot(nil, others, nil, nil)
				all, ready := g.s.FilterOutNodesWithUnreadyResources(g.ctx, append(slices.Clone(g.nodes), withEBS), g.nodes, devices, nil)
				published, _ := devices.NodeResourceSlices(n.Name)
				assert.Len(t, published, 1+len(resources)-len(tt.shown), "slices in the snapshot, with the late driver's")
				require.Len(t, ready, 1, "ready nodes")
				assert.Same(t, all[0], ready[0], "the node among all and among the ready ones")
				assert.Equal(t, labels, ready[0].Labels, "labels")
				assert.Equal(t, ready[0] == n, ready[0].ResourceVersion == "77", "the API server takes a write of the copy, with its labels")
				got := ready[0].Status.Allocatable
				assert.Truef(t, equality.Semantic.DeepEqual(resources, got), "resources %v, want %v", got, resources)
			}
			if tt.old {
				counts(own, tt.shown)
				return
			}
			counts(late, tt.want)
			assert.NotContains(t, n.Labels, "nvidia.com/gpu.product", "the informer's node was changed")
			g.now.Step(leastPatience)
			counts(own, tt.shown)
		})
	}
}

// A driver that is installed on the node may need more than three minutes, and feature discovery then needs some time, too.
func TestLabelsOfALateGPUCountOnceItShows(t *testing.T) {
	const product = "nvidia.com/gpu.product"
	for _, tt := range []struct {
		name, tag string
		like      string // type of the node that the group's NodeInfo is a copy of
		want      string
	}{
		{name: "by a tag", tag: "Tesla-T4", like: "g4dn.xlarge", want: "Tesla-T4"},
		{name: "of a node with the same GPU", like: "g4dn.2xlarge", want: "T4"},
		{name: "of a node with another GPU", like: "g5.xlarge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tags := map[string]string{awsworld.Template + "autoscaling-options/maxnodestartuptime": "10m"}
			model := awsworld.Node("next", "")
			model.Labels = map[string]string{corev1.LabelInstanceTypeStable: tt.like, product: "T4", "team": "a"}
			if tt.tag != "" {
				tags[awsworld.Template+"label/"+product] = tt.tag
				delete(model.Labels, product)
			}
			g := newGPUNodes(t, 1, tags)
			g.ctx.TemplateNodeInfoRegistry = knows{info: framework.NewNodeInfo(model, nil)}
			n := g.boots()
			n.Labels = map[string]string{corev1.LabelInstanceTypeStable: "g4dn.xlarge"}
			for range 4 * time.Minute / loopEvery {
				require.True(t, g.starts(n), "counts as starting")
				g.now.Step(loopEvery)
			}
			n.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
			counts := func(want string) {
				t.Helper()
				_, ready := g.s.FilterOutNodesWithUnreadyResources(g.ctx, g.nodes, g.nodes, nil, nil)
				require.Len(t, ready, 1, "ready nodes")
				assert.Equal(t, want, ready[0].Labels[product], "the label of the GPU")
				assert.NotContains(t, ready[0].Labels, "team", "labels of the other node")
			}
			counts(tt.want)
			g.now.Step(leastPatience)
			counts("")
		})
	}
}

func TestLateNodeIsReportedOnce(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil))
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	late := w.Nodes("gpu")[0]
	late.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
	s, ctx := starting(w, testclock.NewFakePassiveClock(now))
	all := []*corev1.Node{late}
	for _, loop := range []struct {
		ready []*corev1.Node
		pods  []*corev1.Pod
	}{{ready: all}, {ready: all, pods: []*corev1.Pod{podOn(late.Name, "ReplicaSet")}}, {ready: nil}, {ready: all}} {
		ctx.ListerRegistry = podsOf{list: loop.pods}
		s.FilterOutNodesWithUnreadyResources(ctx, all, loop.ready, nil, nil)
	}
	assert.Len(t, w.Events.All(), 1, "events, want one")
}

// gpuNodes is a group of GPU nodes, and the loops of a process that looks at them every ten seconds.
type gpuNodes struct {
	*awsworld.World
	now   *testclock.FakeClock
	s     *StartingNodes
	ctx   *cacontext.AutoscalingContext
	nodes []*corev1.Node
}

const loopEvery = 10 * time.Second

func newGPUNodes(t *testing.T, count int, tags map[string]string) *gpuNodes {
	t.Helper()
	g := &gpuNodes{World: awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, count, 20, tags)),
		now: testclock.NewFakeClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))}
	g.s, g.ctx = starting(g.World, g.now)
	return g
}

// starting is a process that has seen nothing, and the context of its loops.
func starting(w *awsworld.World, now clock.PassiveClock) (*StartingNodes, *cacontext.AutoscalingContext) {
	return NewStartingNodes(w.Provider, w.Events.Add, customresources.NewDefaultCustomResourcesProcessor(false, false), now),
		&cacontext.AutoscalingContext{CloudProvider: w.Provider, TemplateNodeInfoRegistry: knows{}, AutoscalingOptions: config.AutoscalingOptions{
			NodeGroupDefaults: config.NodeGroupAutoscalingOptions{MaxNodeStartupTime: 15 * time.Minute}}}
}

// boots adds a node that becomes Ready now, a minute after it was made.
func (g *gpuNodes) boots() *corev1.Node {
	n := g.World.Nodes("gpu")[len(g.nodes)]
	n.CreationTimestamp = metav1.NewTime(g.now.Now().Add(-time.Minute))
	n.Status = corev1.NodeStatus{Allocatable: awsworld.Resources("cpu", "4"), Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(g.now.Now())}}}
	g.nodes = append(g.nodes, n)
	return n
}

// starts reports whether the node counts as starting in a loop.
func (g *gpuNodes) starts(n *corev1.Node) bool {
	_, ready := g.s.FilterOutNodesWithUnreadyResources(g.ctx, g.nodes, g.nodes, nil, nil)
	return !slices.Contains(ready, n)
}

// startsFor is how long the node counts as starting from now on, if nothing changes.
func (g *gpuNodes) startsFor(n *corev1.Node) time.Duration {
	began := g.now.Now()
	for g.starts(n) {
		g.now.Step(loopEvery)
	}
	return g.now.Since(began)
}

// publishes has a new node show its GPU some time after it is Ready.
func (g *gpuNodes) publishes(after time.Duration) {
	n := g.boots()
	for range after / loopEvery {
		g.starts(n)
		g.now.Step(loopEvery)
	}
	g.now.Step(after % loopEvery)
	n.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
	g.starts(n)
}

// Each node that is given up is one more to pay for.
func TestBrokenDevicePluginIsAwaitedEverLonger(t *testing.T) {
	g := newGPUNodes(t, 9, nil)
	waits := func(n int) (list []time.Duration) {
		for range n {
			list = append(list, g.startsFor(g.boots()).Round(time.Minute))
		}
		return list
	}
	assert.Equal(t, []time.Duration{3 * time.Minute, 3 * time.Minute, 6 * time.Minute, 12 * time.Minute, 14 * time.Minute}, waits(5), "waits")
	works := g.boots()
	works.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
	g.starts(works)
	assert.Equal(t, 3*time.Minute, waits(1)[0], "after a node that works, the next is waited for, want 3m")
}

// After the first failure the group has a problem and another chance. After the second nobody launches for the accelerator, until a node shows it.
func TestNodesWithoutAcceleratorAreTheGroupsProblem(t *testing.T) {
	g := newGPUNodes(t, 4, nil)
	g.now.SetTime(time.Now()) // as the provider's clock
	fails := func() {
		node := g.boots()
		g.startsFor(node)
		g.NextLoop()
	}
	problem := func() string {
		for _, p := range g.Problems() {
			if p.Reason == aws.ReasonMissingDevice {
				return p.Group + " " + p.Message + ", " + p.Remedy
			}
		}
		return ""
	}
	fails()
	want := `gpu Auto Scaling group "gpu": its nodes came up without nvidia.com/gpu (the last one was `
	assert.Truef(t, strings.HasPrefix(problem(), want), "problem %q, want %q", problem(), want)
	assert.Empty(t, g.Withheld("gpu"), "is withheld after the first failure")
	fails()
	if got := g.Withheld("gpu"); !slices.Equal(got, []string{"nvidia.com/gpu"}) || !strings.Contains(problem(), ", next try at ") {
		t.Errorf("withheld is %q after two failures, problem %q", got, problem())
	}
	works := g.boots()
	works.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
	g.starts(works)
	g.NextLoop()
	assert.Truef(t, problem() == "" && g.Withheld("gpu") == nil,
		"problem %q and withheld %q while a node shows its GPU", problem(), g.Withheld("gpu"))
	works.Status.Allocatable = awsworld.Resources("cpu", "4")
	g.startsFor(works)
	g.NextLoop()
	assert.Equal(t, "", problem(), "problem for a GPU that was there")
}

// A device plugin publishes several resources, and pods ask for one of them. A node may lack those of two device plugins, too.
func TestAllThatANodeLacksIsWithheld(t *testing.T) {
	g := newGPUNodes(t, 2, map[string]string{awsworld.Template + "resources/vpc.amazonaws.com/efa": "1"})
	g.now.SetTime(time.Now()) // as the provider's clock
	for range 2 {
		g.startsFor(g.boots())
		g.NextLoop()
	}
	assert.Equal(t, []string{"nvidia.com/gpu", "vpc.amazonaws.com/efa"}, g.Withheld("gpu"))
	assert.Contains(t, strings.Join(g.Events.All(), "\n"), "has not published nvidia.com/gpu, vpc.amazonaws.com/efa in ")
}

// The network interfaces of older nodes may all have been in use when security groups for pods were turned on.
func TestOlderNodesWithoutPodInterfacesAreNotReported(t *testing.T) {
	for _, tt := range []struct {
		name  string
		age   time.Duration
		lacks string
		want  bool // an event
	}{
		{name: "an older node", age: time.Hour},
		{name: "an older node without its GPU", age: time.Hour, lacks: "nvidia.com/gpu", want: true},
		{name: "a new node", age: time.Minute, want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGPUNodes(t, 1, map[string]string{awsworld.Template + "resources/vpc.amazonaws.com/pod-eni": "9"})
			n := g.boots()
			n.CreationTimestamp = metav1.NewTime(g.now.Now().Add(-tt.age))
			if tt.lacks == "" {
				n.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
			}
			g.startsFor(n)
			missing := slices.DeleteFunc(g.Events.All(), func(e string) bool { return !strings.Contains(e, "AcceleratorMissing") })
			assert.Equalf(t, tt.want, len(missing) == 1, "events %q, want one: %t", missing, tt.want)
		})
	}
}

// Nodes on which the device plugin works all the time say nothing about new ones, on which it does not.
func TestNodesThatWorkDoNotHideTheFailuresOfNewOnes(t *testing.T) {
	g := newGPUNodes(t, 5, nil)
	g.now.SetTime(time.Now()) // as the provider's clock
	g.publishes(10 * time.Second)
	works := g.nodes[0]
	fails := func() *corev1.Node {
		node := g.boots()
		g.startsFor(node)
		g.starts(node) // the next loop sees all nodes again
		g.NextLoop()
		return node
	}
	has := func(when string, problem bool, withheld ...string) {
		t.Helper()
		got := slices.ContainsFunc(g.Problems(), func(p aws.Problem) bool { return p.Reason == aws.ReasonMissingDevice })
		assert.Truef(t, got == problem && slices.Equal(g.Withheld("gpu"), withheld),
			"%s: a problem %t, withheld %q, want %t, %q", when, got, g.Withheld("gpu"), problem, withheld)
	}
	fails()
	has("after the first failure", true)
	last := fails()
	has("after the second failure", true, "nvidia.com/gpu")
	works.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "0")
	g.starts(works)
	works.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
	g.starts(works)
	g.NextLoop()
	has("after the device plugin of an older node restarted", true, "nvidia.com/gpu")
	last.Status.Allocatable = awsworld.Resources("nvidia.com/gpu", "1")
	g.starts(last)
	g.NextLoop()
	has("once the node that failed shows its GPU", false)
}

// changes has the group launch something else from now on.
func (g *gpuNodes) changes(to fakeaws.LaunchTemplateVersion) {
	g.T.Helper()
	to.ImageID = "ami-0def"
	require.NoError(g.T, g.AWS.PutLaunchTemplate(fakeaws.LaunchTemplate{Name: "changed", Versions: []fakeaws.LaunchTemplateVersion{to}}))
	require.NoError(g.T, g.AWS.EditGroup("gpu", fakeaws.GroupEdit{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "changed", Version: "1"}}))
	g.Reread()
	g.Eventually(func() string {
		if l := g.View().Group("gpu").LaunchSpec; l != nil && l.ImageID == to.ImageID {
			return ""
		}
		return "the launch template is not read"
	})
}

// Nodes that work are not to blame for what only the next one will have.
func TestNodesOfAFormerLaunchTemplateAreNotToBlame(t *testing.T) {
	for _, tt := range []struct {
		name  string
		to    fakeaws.LaunchTemplateVersion
		shown corev1.ResourceList
		want  time.Duration // that a node of before which shows no more counts as starting
	}{
		{name: "another vendor's accelerator", to: fakeaws.LaunchTemplateVersion{InstanceType: "inf2.xlarge"},
			shown: awsworld.Resources("cpu", "4")},
		{name: "a fabric adapter",
			to:    fakeaws.LaunchTemplateVersion{InstanceType: "g4dn.8xlarge", NetworkInterfaces: []fakeaws.NetworkInterface{{Type: "efa"}}},
			shown: awsworld.Resources("nvidia.com/gpu", "1")},
		{name: "the same accelerator", to: fakeaws.LaunchTemplateVersion{InstanceType: "g4dn.2xlarge"},
			shown: awsworld.Resources("cpu", "4"), want: 3 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGPUNodes(t, 1, nil)
			g.changes(tt.to)
			former := g.boots()
			former.Status.Allocatable = tt.shown
			assert.Equal(t, tt.want, g.startsFor(former), "the node of before counts as starting for")
			assert.Equalf(t, tt.want > 0, len(g.Events.All()) > 0, "events %q, want some: %t", g.Events.All(), tt.want > 0)
		})
	}
}

func TestFailuresEndWithTheirLaunchTemplate(t *testing.T) {
	g := newGPUNodes(t, 4, nil)
	for range 3 {
		g.startsFor(g.boots())
	}
	g.changes(fakeaws.LaunchTemplateVersion{InstanceType: "g4dn.xlarge"})
	assert.Equal(t, 3*time.Minute, g.startsFor(g.boots()).Round(time.Minute), "the first node after the change counts as starting for")
}

func TestHowLongAnAcceleratorIsWaitedFor(t *testing.T) {
	tag := func(value string) map[string]string {
		return map[string]string{awsworld.Template + "autoscaling-options/maxnodestartuptime": value}
	}
	for _, tt := range []struct {
		name string
		took []time.Duration // by nodes before
		tags map[string]string
		want time.Duration
	}{
		{name: "nothing is known", want: 3 * time.Minute},
		{name: "usually soon", took: []time.Duration{20 * time.Second}, want: 3 * time.Minute},
		{name: "usually late", took: []time.Duration{100 * time.Second, 120 * time.Second, 110 * time.Second}, want: 330 * time.Second},
		{name: "once much later than usual", took: []time.Duration{100 * time.Second, 5 * time.Minute, 100 * time.Second}, want: 300 * time.Second},
		{name: "usually so late that it would be above the start-up time", took: []time.Duration{3 * time.Minute, 5 * time.Minute, 7 * time.Minute}, want: 14 * time.Minute},
		{name: "a tag says less", tags: tag("2m"), want: time.Minute},
		{name: "a tag says more", tags: tag("11m"), want: 10 * time.Minute},
		{name: "a tag says less than is usual", took: []time.Duration{2 * time.Minute}, tags: tag("4m"), want: 3 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGPUNodes(t, len(tt.took)+1, tt.tags)
			for _, after := range tt.took {
				g.publishes(after)
			}
			assert.Equal(t, tt.want, g.startsFor(g.boots()), "the node counts as starting for")
		})
	}
}

func TestUsualTimeIsKnownAfterARestart(t *testing.T) {
	g := newGPUNodes(t, 5, nil)
	bound := func(n *corev1.Node, after time.Duration, phase corev1.PodPhase) *corev1.Pod {
		p := finished(podOn(n.Name, "Job"), phase)
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: awsworld.Resources("nvidia.com/gpu", "1")}}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(nodemeta.ReadySince(n).Add(after))}}
		return p
	}
	g.publishes(2 * time.Minute)
	g.publishes(2 * time.Minute)
	first, second := g.nodes[0], g.nodes[1]
	g.now.Step(time.Hour)
	g.s, g.ctx = starting(g.World, g.now)
	g.ctx.ListerRegistry = podsOf{list: []*corev1.Pod{bound(first, 130*time.Second, corev1.PodSucceeded), bound(first, 20*time.Minute, corev1.PodRunning),
		bound(second, 50*time.Minute, corev1.PodRunning), podOn(second.Name, "DaemonSet")}}
	assert.Equal(t, 390*time.Second, g.startsFor(g.boots()),
		"the node counts as starting for, want 390 s: three times what the first one needed at most")
	g.publishes(70 * time.Second)
	assert.Equal(t, 210*time.Second, g.startsFor(g.boots()),
		"the node counts as starting for, want 210 s: three times what one needed that was watched")
}

func TestLostAcceleratorIsBrokenAfterTwoMinutes(t *testing.T) {
	zero, one := awsworld.Resources("nvidia.com/gpu", "0"), awsworld.Resources("nvidia.com/gpu", "1")
	for _, tt := range []struct {
		name string
		fall func(*gpuNodes, *corev1.Node)
		tags map[string]string
		want time.Duration
	}{
		{name: "watched", want: 2 * time.Minute, fall: func(g *gpuNodes, n *corev1.Node) {
			n.Status.Allocatable = one
			g.starts(n)
			n.Status.Allocatable = zero
		}},
		{name: "before a restart", want: 2 * time.Minute, fall: func(_ *gpuNodes, n *corev1.Node) { n.Status.Capacity, n.Status.Allocatable = one, zero }},
		{name: "by a node that is no longer starting", want: 0, fall: func(g *gpuNodes, n *corev1.Node) {
			n.Status.Capacity, n.Status.Allocatable = one, zero
			g.now.Step(time.Hour)
		}},
		{name: "the tag says otherwise", tags: map[string]string{awsworld.Template + "autoscaling-options/maxnodestartuptime": "5m"}, want: 4 * time.Minute,
			fall: func(_ *gpuNodes, n *corev1.Node) { n.Status.Capacity, n.Status.Allocatable = one, zero }},
		{name: "twice", want: 2 * time.Minute, fall: func(g *gpuNodes, n *corev1.Node) {
			for _, shown := range []corev1.ResourceList{one, zero, zero, zero, one, zero} {
				n.Status.Allocatable = shown
				if g.starts(n) {
					g.now.Step(30 * time.Second)
				}
			}
			g.now.SetTime(g.now.Now().Add(-30 * time.Second)) // to the fall
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGPUNodes(t, 1, tt.tags)
			n := g.boots()
			tt.fall(g, n)
			assert.Equal(t, tt.want, g.startsFor(n), "the node counts as starting for")
			events := g.Events.All()
			assert.Containsf(t, events[len(events)-1],
				"AcceleratorMissing", "events %q, want the last to say that the node is waited for no longer", events)
		})
	}
}

func TestEventNamesAccelerator(t *testing.T) {
	g := newGPUNodes(t, 2, nil)
	g.publishes(80 * time.Second)
	before := len(g.Events.All())
	n := g.boots()
	g.startsFor(n)
	events := g.Events.All()[before:]
	require.Len(t, events, 1, "events, want one")
	for _, want := range []string{"AcceleratorMissing", n.Name, "has not published nvidia.com/gpu in 5m, although"} {
		assert.Containsf(t, events[0], want, "event %q lacks %q", events[0], want)
	}
}

// knows is a registry with one NodeInfo for all groups, or none.
type knows struct {
	cacontext.TemplateNodeInfoRegistry
	info *framework.NodeInfo
}

func (k knows) GetNodeInfo(string) (*framework.NodeInfo, bool) { return k.info, k.info != nil }

// slicesOf is a slice that a driver publishes for a node.
func slicesOf(node, driver string, devices ...string) []*resourceapi.ResourceSlice {
	spec := resourceapi.ResourceSliceSpec{Driver: driver, NodeName: &node, Pool: resourceapi.ResourcePool{Name: node}}
	for _, name := range devices {
		spec.Devices = append(spec.Devices, resourceapi.Device{Name: name})
	}
	return []*resourceapi.ResourceSlice{{Spec: spec}}
}

// podsOf is a registry of listers with the lister of all pods alone.
type podsOf struct {
	kubernetes.ListerRegistry
	list []*corev1.Pod
}

func (p podsOf) AllPodLister() kubernetes.PodLister { return p }

func (p podsOf) List() ([]*corev1.Pod, error) { return p.list, nil }

func podOn(node, ownerKind string) *corev1.Pod {
	controller := true
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: ownerKind, Controller: &controller}}},
		Spec: corev1.PodSpec{NodeName: node}}
}

// marked is the pod as a kubelet that has it from a file marks it.
func marked(pod *corev1.Pod, annotation string) *corev1.Pod {
	pod.Annotations = map[string]string{annotation: "file"}
	return pod
}

func finished(pod *corev1.Pod, phase corev1.PodPhase) *corev1.Pod {
	pod.Status.Phase = phase
	return pod
}

// The core filters nodes before it calls Refresh.
func TestNodeOfNewGroupStartsOneLoopLater(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("plain", "m5.large", 0, 1, 5, nil))
	require.NoError(t, w.AWS.AddGroup(awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, nil)))
	for deadline := time.Now().Add(time.Minute); ; { // without a loop meanwhile
		require.NoError(t, w.Cache.Refresh(t.Context()))
		if g := w.Cache.Snapshot().Group("gpu"); g != nil && len(g.Instances) == 1 && g.LaunchSpec != nil {
			break
		}
		require.False(t, time.Now().After(deadline), "the group has no instance after a minute")
	}
	i := w.Cache.Snapshot().Group("gpu").Instances[0]
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	n := awsworld.Node("n", nodemeta.ProviderID(i.Zone, i.ID))
	n.CreationTimestamp = metav1.NewTime(now)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	s, ctx := starting(w, testclock.NewFakePassiveClock(now))
	for loop, want := range []int{1, 0} {
		_, ready := s.FilterOutNodesWithUnreadyResources(ctx, []*corev1.Node{n}, []*corev1.Node{n}, nil, nil)
		assert.Lenf(t, ready, want, "loop %d: nodes count as ready", loop)
		w.NextLoop()
	}
}
