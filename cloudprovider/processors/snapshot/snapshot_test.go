package snapshot

import (
	"flag"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/predicate"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/store"
	csisnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/snapshot"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/utils/ptr"
)

// loops bounds the core's loops of a test. 2,000 take about ten seconds: go test -run Claims -loops 2000
var loops = flag.Int("loops", 50, "loops in which the core reads the cluster")

// byDefault are the core's own defaults.
var byDefault = config.AutoscalingOptions{DynamicResourceAllocationEnabled: true, PredicateParallelism: 4, ClusterSnapshotParallelism: 16}

// world is a cluster as the core reads it.
type world struct {
	nodes  []*corev1.Node
	pods   []*corev1.Pod
	claims map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim
	slices map[string][]*resourceapi.ResourceSlice
}

// newWorld has nodes with pods, and each pod with a claim of its own if they have claims at all.
func newWorld(nodes, perNode int, claimed bool) *world {
	w := &world{claims: map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{}, slices: map[string][]*resourceapi.ResourceSlice{}}
	for n := range nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", n)}, Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourcePods: resource.MustParse("200")}}}
		w.nodes = append(w.nodes, node)
		for p := range perNode {
			pod := newPod(fmt.Sprintf("p-%d-%d", n, p), node.Name)
			if claimed {
				w.claim(pod, pod)
			}
			w.pods = append(w.pods, pod)
		}
	}
	return w
}

func newPod(name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "d", UID: types.UID(name)}, Spec: corev1.PodSpec{NodeName: node}}
}

// claim makes a claim that the owner owns, or nobody, and that the pod uses.
func (w *world) claim(pod, owner *corev1.Pod) *resourceapi.ResourceClaim {
	name := "claim-" + pod.Name
	claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "d", UID: types.UID(name)}}
	claim.Spec.Devices.Requests = []resourceapi.DeviceRequest{{Name: "gpu", Exactly: &resourceapi.ExactDeviceRequest{
		DeviceClassName: "gpu", AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: 1}}}
	if owner != nil {
		claim.OwnerReferences = []metav1.OwnerReference{{Kind: "Pod", Name: owner.Name, UID: owner.UID, Controller: ptr.To(true)}}
	}
	w.claims[drasnapshot.GetClaimId(claim)] = claim
	uses(pod, claim)
	return claim
}

func uses(pod *corev1.Pod, claim *resourceapi.ResourceClaim) {
	pod.Spec.ResourceClaims = append(pod.Spec.ResourceClaims, corev1.PodResourceClaim{Name: claim.Name, ResourceClaimName: &claim.Name})
}

// devices gives every node a slice of devices.
func (w *world) devices(each int) {
	for _, node := range w.nodes {
		slice := &resourceapi.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: node.Name}, Spec: resourceapi.ResourceSliceSpec{
			Driver: "gpu.example.com", NodeName: &node.Name, Pool: resourceapi.ResourcePool{Name: node.Name, ResourceSliceCount: 1}}}
		for d := range each {
			slice.Spec.Devices = append(slice.Spec.Devices, resourceapi.Device{Name: fmt.Sprint("gpu-", d)})
		}
		w.slices[node.Name] = []*resourceapi.ResourceSlice{slice}
	}
}

// read returns the claims as the core reads them in each loop.
func (w *world) read() *drasnapshot.Snapshot {
	return drasnapshot.NewSnapshot(w.claims, w.slices, nil,
		map[string]*resourceapi.DeviceClass{"gpu": {ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}})
}

func (w *world) load(t testing.TB, s clustersnapshot.ClusterSnapshot) {
	t.Helper()
	require.NoError(t, s.SetClusterState(w.nodes, w.pods, w.read(), nil))
}

// The core alone dies here of a write to a map from two goroutines, at the latest in the tenth loop.
func TestClaimsDoNotEndTheProcess(t *testing.T) {
	w := newWorld(50, 8, true)
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	for range *loops {
		w.load(t, s)
	}
}

// Anybody may bind a pod whose claim does not exist. It keeps its node, and the others count as ever.
func TestUnknownClaimsKeepNoLoopFromRunning(t *testing.T) {
	w := newWorld(50, 8, true)
	w.devices(8)
	delete(w.claims, drasnapshot.ResourceClaimId{Namespace: "d", Name: "claim-p-0-0"})
	w.pods[1].Spec.ResourceClaims[0].ResourceClaimName = nil // and no status names it
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	for range *loops {
		w.load(t, s)
		info, err := s.GetNodeInfo("n0")
		require.NoError(t, err)
		claims := 0
		for _, pod := range info.Pods() {
			claims += len(pod.NeededResourceClaims)
		}
		assert.Equal(t, [2]int{8, 6}, [2]int{len(info.Pods()), claims}, "pods and claims of the node")
		s.Fork()
		require.Error(t, s.UnschedulePod("d", "p-0-0", "n0"))
		require.NoError(t, s.RemoveNodeInfo("n0"))
		moved := w.pods[0].DeepCopy()
		moved.Spec.NodeName = ""
		_, refused := s.SchedulePodOnAnyNodeMatching(moved, clustersnapshot.SchedulingOptions{})
		require.NotNil(t, refused, "another node takes the pod")
		assert.Equal(t, clustersnapshot.FailingPredicateError, refused.Type())
		s.Revert()
	}
	clear(w.claims)
	w.load(t, s)
}

// The role or the API server may be too old for claims, and the scheduler may have placed pods with claims all the same.
func TestClaimsThatNobodyReadsKeepNoLoopFromRunning(t *testing.T) {
	w, off := newWorld(2, 2, true), byDefault
	off.DynamicResourceAllocationEnabled = false
	s := New(off, framework.NewTestFrameworkHandleOrDie(t))
	require.NoError(t, s.SetClusterState(w.nodes, w.pods, nil, nil))
	info, err := s.GetNodeInfo("n1")
	require.NoError(t, err)
	assert.Len(t, info.GetPods(), 2, "pods of a node")
	assert.NoError(t, s.RemoveNodeInfo("n1"))
}

func TestClaimsOfDeletedNodesKeepProcessAlive(t *testing.T) {
	w := newWorld(50, 8, true)
	handle, options := framework.NewTestFrameworkHandleOrDie(t), ForDeletions(byDefault)
	for range *loops {
		// As in the core's actuation.Actuator.
		w.load(t, predicate.NewPredicateSnapshot(store.NewBasicSnapshotStore(), handle, options.DynamicResourceAllocationEnabled,
			options.PredicateParallelism, options.CSINodeAwareSchedulingEnabled))
	}
}

// Predicates run in several goroutines, too. Pods claim the only free device of the last node, and forks are reverted between them.
func TestPredicatesOfClaimsDoNotEndTheProcess(t *testing.T) {
	w := newWorld(30, 0, false)
	w.devices(1)
	var waiting []*corev1.Pod
	for n := range w.nodes {
		pod := newPod(fmt.Sprint("waits-", n), "")
		w.claim(pod, pod)
		waiting = append(waiting, pod)
	}
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	for range max(1, *loops/10) {
		w.load(t, s)
		for range 2 {
			s.Fork()
			for _, pod := range waiting {
				_, err := s.SchedulePodOnAnyNodeMatching(pod, clustersnapshot.SchedulingOptions{})
				require.NoError(t, err)
			}
			_, err := s.SchedulePodOnAnyNodeMatching(newClaimant(w, "late"), clustersnapshot.SchedulingOptions{})
			require.Error(t, err, "a pod was scheduled without a free device")
			s.Revert()
		}
	}
}

// newClaimant is a pod whose claim the core did not read.
func newClaimant(w *world, name string) *corev1.Pod {
	pod := newPod(name, "")
	claim := w.claim(pod, pod)
	delete(w.claims, drasnapshot.GetClaimId(claim))
	return pod
}

func TestPredicatesOfCSINodesDoNotEndTheProcess(t *testing.T) {
	w := newWorld(200, 0, false)
	volumes := map[string]*storagev1.CSINode{}
	for _, node := range w.nodes {
		volumes[node.Name] = &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node.Name}}
	}
	options := byDefault
	options.CSINodeAwareSchedulingEnabled = true
	s := New(options, framework.NewTestFrameworkHandleOrDie(t))
	require.NoError(t, s.SetClusterState(w.nodes, nil, nil, csisnapshot.NewSnapshot(volumes)))
	waits := newPod("waits", "")
	waits.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-1"}}}}
	// No node will do, and the predicate of volumes comes before the one that says so.
	waits.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}}}}}
	for range *loops {
		s.Fork() // as a simulated removal of every node does
		for _, node := range w.nodes {
			s.CsiSnapshot().RemoveCSINode(node.Name)
		}
		s.Revert()
		_, err := s.SchedulePodOnAnyNodeMatching(waits, clustersnapshot.SchedulingOptions{})
		require.Error(t, err, "a pod was scheduled beside one that does not exist")
	}
}

// kubelet's CSINode comes a moment after its Node, and where no kubelet runs none ever does.
func TestNodeWithoutCSINodeKeepsNeitherALoopNorARemovalFromRunning(t *testing.T) {
	w, options, handle := newWorld(2, 1, false), byDefault, framework.NewTestFrameworkHandleOrDie(t)
	options.CSINodeAwareSchedulingEnabled = true
	volumes := csisnapshot.NewSnapshot(map[string]*storagev1.CSINode{"n0": {ObjectMeta: metav1.ObjectMeta{Name: "n0"}}})
	loop := New(options, handle)
	require.NoError(t, loop.SetClusterState(w.nodes, w.pods, nil, volumes))
	for node, want := range map[string]bool{"n0": true, "n1": false} {
		info, err := loop.GetNodeInfo(node)
		require.NoError(t, err)
		assert.Equal(t, want, info.CSINode != nil, node)
	}
	options = ForDeletions(options)
	// As in the core's actuation.Actuator.
	removal := predicate.NewPredicateSnapshot(store.NewBasicSnapshotStore(), handle, options.DynamicResourceAllocationEnabled,
		options.PredicateParallelism, options.CSINodeAwareSchedulingEnabled)
	require.NoError(t, removal.SetClusterState(w.nodes, w.pods, nil, volumes))
	info, err := removal.GetNodeInfo("n1")
	require.NoError(t, err)
	assert.Len(t, info.Pods(), 1)
}

func TestRemoveNodeWithBorrowedClaim(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(w *world)
	}{
		{"two pods use the claim of the first", func(w *world) {
			owner, borrower := newPod("a", "n0"), newPod("b", "n0")
			uses(borrower, w.claim(owner, owner))
			w.pods = []*corev1.Pod{owner, borrower}
		}},
		{"two pods use a claim of nobody", func(w *world) {
			first, second := newPod("a", "n0"), newPod("b", "n0")
			uses(second, w.claim(first, nil))
			w.pods = []*corev1.Pod{first, second}
		}},
		{"no pod uses a claim", func(w *world) { w.pods = []*corev1.Pod{newPod("a", "n0")} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(2, 0, false)
			tt.build(w)
			s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
			w.load(t, s)
			require.NoError(t, s.RemoveNodeInfo("n0"))
			infos, err := s.ListNodeInfos()
			assert.Truef(t, err == nil && len(infos) == 1 && infos[0].Node().Name == "n1", "nodes left: %v (%v), want n1", infos, err)
		})
	}
}

func TestRemoveNodeWithUnknownClaim(t *testing.T) {
	w := newWorld(2, 0, false)
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	w.load(t, s)
	info := framework.NewNodeInfo(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, nil,
		framework.NewPodInfo(newClaimant(w, "daemon"), nil)) // as the core adds a DaemonSet's pod to a node to come
	require.NoError(t, s.AddNodeInfo(info))
	require.NoError(t, s.RemoveNodeInfo("new"))
	_, err := s.GetNodeInfo("new")
	assert.Error(t, err, "the node is still there")
}

func TestSimulationLeavesReadClaimsAlone(t *testing.T) {
	w := newWorld(1, 0, false)
	w.devices(1)
	waits := newPod("waits", "")
	claim := w.claim(waits, nil)
	claim.Status.Allocation = &resourceapi.AllocationResult{}
	before := claim.DeepCopy()
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	w.load(t, s)
	require.NoError(t, s.SchedulePod(waits, "n0"))
	assert.Empty(t, cmp.Diff(before, claim), "the simulation changed the informer's claim (-before +after)")
}

// requested is the CPU that the pods of the only node ask for.
func requested(t *testing.T, s clustersnapshot.ClusterSnapshot) string {
	t.Helper()
	infos, err := s.ListNodeInfos()
	require.Truef(t, err == nil && len(infos) == 1, "%d nodes (%v), want 1", len(infos), err)
	return fmt.Sprintf("%d pods, %dm", len(infos[0].Pods()), infos[0].GetRequested().GetMilliCPU())
}

func TestPodsCountAsTheyAreNow(t *testing.T) {
	w := newWorld(1, 2, false)
	asks := func(pod *corev1.Pod, cpu string) *corev1.Pod {
		changed := pod.DeepCopy()
		changed.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}
		return changed
	}
	w.pods[0], w.pods[1] = asks(w.pods[0], "1"), asks(w.pods[1], "2")
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	expect := func(want string) {
		t.Helper()
		w.load(t, s)
		assert.Equal(t, want, requested(t, s), "the node has")
	}
	expect("2 pods, 3000m")
	// The next loop must not see a pod that this loop tried.
	require.NoError(t, s.SchedulePod(asks(newPod("tried", ""), "4"), "n0"))
	expect("2 pods, 3000m")
	w.pods[0] = asks(w.pods[0], "5") // resized
	expect("2 pods, 7000m")
	w.pods[1].Spec.NodeName = "gone"
	expect("1 pods, 5000m")
	gone := w.pods[0]
	w.pods = nil
	expect("0 pods, 0m")
	w.pods = []*corev1.Pod{asks(gone, "6")}
	expect("1 pods, 6000m")
}

func TestPreferredNodeComesFirst(t *testing.T) {
	w := newWorld(5, 0, false)
	s := New(byDefault, framework.NewTestFrameworkHandleOrDie(t))
	w.load(t, s)
	on := func(options clustersnapshot.SchedulingOptions, name string) string {
		node, err := s.SchedulePodOnAnyNodeMatching(newPod(name, ""), options)
		require.Nil(t, err)
		return node
	}
	s.Prefer(map[types.UID]string{"a": "n3", "b": "n3", "c": "gone"})
	assert.Equal(t, "n3", on(clustersnapshot.SchedulingOptions{}, "a"))
	other := on(clustersnapshot.SchedulingOptions{IsNodeAcceptable: func(info *framework.NodeInfo) bool { return info.Node().Name != "n3" }}, "b")
	assert.NotEqual(t, "n3", other, "the preferred node is not acceptable")
	assert.NotEmpty(t, on(clustersnapshot.SchedulingOptions{}, "c"), "the preferred node is gone")
}
