package podlist

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	capacitybuffer "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// plannedPod requests so many CPUs, and may be nominated for a node.
func plannedPod(name string, cpus int64, nominated string) *corev1.Pod {
	pod := utiltest.BuildTestPod(name, cpus*1000, 1<<20)
	pod.UID, pod.Status.NominatedNodeName = types.UID(name), nominated
	return pod
}

// podsOn are the pods of each node that has any.
func podsOn(t *testing.T, snapshot clustersnapshot.ClusterSnapshot) map[string][]string {
	t.Helper()
	infos, err := snapshot.ListNodeInfos()
	require.NoError(t, err)
	on := map[string][]string{}
	for _, info := range infos {
		for _, pod := range info.Pods() {
			on[info.Node().Name] = append(on[info.Node().Name], pod.Name)
		}
	}
	return on
}

// planned is a node of the plan.
func planned(group, name string, pods ...*corev1.Pod) plan.Node {
	node := plan.Node{Group: group, Name: name, Asked: time.Unix(0, 0)}
	for _, pod := range pods {
		node.Pods = append(node.Pods, pod)
	}
	return node
}

// packing is the core's processor. It puts pods on nodes by name, and leaves the others.
type packing map[*corev1.Pod]string

func (p packing) Process(ctx *cacontext.AutoscalingContext, pods []*corev1.Pod) ([]*corev1.Pod, error) {
	var left []*corev1.Pod
	for _, pod := range pods {
		if p[pod] == "" {
			left = append(left, pod)
		} else if err := ctx.ClusterSnapshot.SchedulePod(pod, p[pod]); err != nil {
			return nil, err
		}
	}
	return left, nil
}

func (packing) CleanUp() {}

// newFreeRoom has the plan, and a snapshot of Ready nodes with 4 CPUs. The name of a node begins with its group, such as a, or a/x for a
// zone of a. A hyphen follows. A node x-cordoned is cordoned, a node x-drained has the core's taint alone, and a node x-dead is not Ready.
func newFreeRoom(t *testing.T, nodes []string, core packing, of ...plan.Node) (*FreeRoom, *cacontext.AutoscalingContext) {
	t.Helper()
	snapshot := testsnapshot.NewTestSnapshotOrDie(t)
	for _, name := range nodes {
		node := utiltest.BuildTestNode(name, 4000, 1<<30)
		utiltest.SetNodeReadyState(node, !strings.HasSuffix(name, "-dead"), time.Unix(0, 0))
		node.Spec.Unschedulable = strings.HasSuffix(name, "-cordoned")
		if strings.HasSuffix(name, "-drained") {
			node.Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Effect: corev1.TaintEffectNoSchedule}}
		}
		require.NoError(t, snapshot.AddNodeInfo(framework.NewNodeInfo(node, nil)))
	}
	p := plan.New(testingclock.NewFakePassiveClock(time.Unix(0, 0)))
	p.Add(of...)
	groupOf := func(node *corev1.Node) (group, whole string) {
		group, _, _ = strings.Cut(node.Name, "-")
		whole, _, _ = strings.Cut(group, "/")
		return group, whole
	}
	return &FreeRoom{Core: core, Plan: p, GroupOf: groupOf}, &cacontext.AutoscalingContext{ClusterSnapshot: snapshot}
}

// Pods that find room on an upcoming node of the plan join it. One that was planned for another node leaves that.
func TestPodsJoinThePlan(t *testing.T) {
	huge, late, moved, elsewhere := plannedPod("huge", 3, ""), plannedPod("late", 1, ""), plannedPod("moved", 1, ""), plannedPod("elsewhere", 1, "")
	r, ctx := newFreeRoom(t, []string{"a-1", "a-2", "b-1"}, packing{late: "a-2", moved: "a-1"},
		planned("a", "", huge), planned("a", "a-2", elsewhere), planned("c", "gone", moved))
	left, err := r.Process(ctx, []*corev1.Pod{huge, late, moved, elsewhere})
	require.Truef(t, err == nil && len(left) == 0, "%d pods are left (%v), want none", len(left), err)
	got := map[string][]types.UID{}
	for _, node := range r.Plan.Planned() {
		for _, pod := range node.Pods {
			got[node.Name] = append(got[node.Name], pod.UID)
		}
	}
	assert.Empty(t, cmp.Diff(map[string][]types.UID{"": {"huge", "moved"}, "a-2": {"elsewhere"}}, got), "planned pods by node (-want +got)")
}

// Pods of capacity buffers and injected pods are with the core alone. No kube-scheduler ever binds them.
func TestPodsThatDoNotExistDoNotJoin(t *testing.T) {
	for name, annotation := range map[string][2]string{
		"injected":        {fake.FakePodAnnotationKey, fake.FakePodAnnotationValue},
		"capacity buffer": {capacitybuffer.CapacityBufferFakePodAnnotationKey, capacitybuffer.CapacityBufferFakePodAnnotationValue},
	} {
		t.Run(name, func(t *testing.T) {
			large, made := plannedPod("large", 2, ""), plannedPod("made", 1, "")
			made.Annotations = map[string]string{annotation[0]: annotation[1]}
			r, ctx := newFreeRoom(t, []string{"a-1"}, packing{made: "a-1"}, planned("a", "", large))
			_, err := r.Process(ctx, []*corev1.Pod{large, made})
			require.NoError(t, err)
			assert.Len(t, r.Plan.Planned()[0].Pods, 1, "pods are planned for the node, want the one that exists")
		})
	}
}

// mild is a planned pod that may not preempt.
func mild(name, nominated string) *corev1.Pod {
	pod := plannedPod(name, 1, nominated)
	pod.Spec.PreemptionPolicy = ptr.To(corev1.PreemptNever)
	return pod
}

func TestPlannedPodsGetTheirNodes(t *testing.T) {
	small, large, late := plannedPod("small", 1, ""), plannedPod("large", 3, ""), plannedPod("late", 1, "")
	for _, tt := range []struct {
		name    string
		nodes   []string
		planned []plan.Node
		pending []*corev1.Pod
		on      map[string][]string
		left    []string // with their nominations
		still   int      // nodes that are planned afterwards
	}{
		{name: "pods have their places before others", nodes: []string{"a-1", "a-2", "b-1"},
			planned: []plan.Node{planned("a", "", large, small), planned("a", "", plannedPod("huge", 4, ""))},
			pending: []*corev1.Pod{late, small, plannedPod("huge", 4, ""), large},
			on:      map[string][]string{"a-1": {"large", "small"}, "a-2": {"huge"}}, left: []string{"late="}, still: 2},
		{name: "a node that registered has its own pods", nodes: []string{"a-1", "a-2"},
			planned: []plan.Node{planned("a", "a-2", small), planned("a", "", large)}, pending: []*corev1.Pod{small, large},
			on: map[string][]string{"a-2": {"small"}, "a-1": {"large"}}, still: 2},
		{name: "one placeholder stands in for a node that is not ready", nodes: []string{"a-1"},
			planned: []plan.Node{planned("a", "starting", large), planned("a", "starting", small)}, pending: []*corev1.Pod{large, small},
			on: map[string][]string{"a-1": {"large", "small"}}, still: 2},
		{name: "a node did not come", nodes: []string{"a-1"},
			planned: []plan.Node{planned("a", "", large), planned("a", "", small)}, pending: []*corev1.Pod{large, small},
			on: map[string][]string{"a-1": {"large"}}, left: []string{"small="}, still: 2},
		{name: "nominations for a Ready node", nodes: []string{"a-1"}, planned: []plan.Node{planned("a", "a-1", small, late)},
			pending: []*corev1.Pod{plannedPod("small", 1, "a-1"), late, plannedPod("other", 1, "a-1")}, on: map[string][]string{"a-1": {"late"}},
			left: []string{"small=a-1", "other=a-1"}, still: 1},
		{name: "a nomination for a node that is not Ready and has no placeholder", nodes: []string{"b-1"},
			planned: []plan.Node{planned("a", "starting", plannedPod("huge", 5, ""))},
			pending: []*corev1.Pod{plannedPod("huge", 5, "starting"), plannedPod("other", 1, "starting")}, on: map[string][]string{},
			left: []string{"huge=", "other="}, still: 1},
		{name: "a nomination of a preemption for a node that is then drained", nodes: []string{"a-cordoned"},
			planned: []plan.Node{planned("b", "", late)}, pending: []*corev1.Pod{plannedPod("small", 1, "a-cordoned")}, on: map[string][]string{},
			left: []string{"small="}},
		{name: "a nomination of a preemption for a node whose kubelet died", nodes: []string{"a-dead"},
			planned: []plan.Node{planned("b", "", late)}, pending: []*corev1.Pod{plannedPod("small", 1, "a-dead")}, on: map[string][]string{},
			left: []string{"small="}},
		{name: "a nomination that kube-scheduler never takes back", nodes: []string{"a-1", "b-1"},
			planned: []plan.Node{planned("b", "b-1", mild("small", "b-1"))}, pending: []*corev1.Pod{mild("late", "a-1"), mild("small", "b-1")},
			on: map[string][]string{"b-1": {"small"}}, left: []string{"late="}, still: 1},
		{name: "a nomination for a node that is drained with --cordon-node-before-terminating=false", nodes: []string{"a-drained"},
			planned: []plan.Node{planned("b", "", late)}, pending: []*corev1.Pod{plannedPod("small", 1, "a-drained")}, on: map[string][]string{},
			left: []string{"small="}},
		{name: "a group that was divided since, and grew", nodes: []string{"a/x-1", "a/y-1", "a/y-2"},
			planned: []plan.Node{planned("a", "", large), planned("a", "", plannedPod("huge", 4, "")),
				planned("a/y", "", small), planned("a/x", "", late)},
			pending: []*corev1.Pod{large, plannedPod("huge", 4, ""), small, late},
			on:      map[string][]string{"a/x-1": {"large"}, "a/y-1": {"huge"}, "a/y-2": {"small"}}, left: []string{"late="}, still: 4},
		{name: "pods that wait no longer", nodes: []string{"a-1"}, planned: []plan.Node{planned("a", "", large), planned("a", "", small)},
			pending: []*corev1.Pod{small}, on: map[string][]string{"a-1": {"small"}}, still: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, ctx := newFreeRoom(t, tt.nodes, nil, tt.planned...)
			pods, err := r.Process(ctx, tt.pending)
			require.NoError(t, err)
			for _, pod := range tt.pending {
				if pod.Name == "huge" && tt.planned[0].Name != "" && pod.Status.NominatedNodeName == "" {
					t.Error("the pod of the informer was changed")
				}
			}
			var left []string
			for _, pod := range pods {
				left = append(left, pod.Name+"="+pod.Status.NominatedNodeName)
			}
			assert.Empty(t, cmp.Diff(tt.left, left), "still pending (-want +got)")
			assert.Empty(t, cmp.Diff(tt.on, podsOn(t, ctx.ClusterSnapshot)), "pods by node (-want +got)")
			assert.Equal(t, tt.still, len(r.Plan.Planned()), "nodes are planned")
		})
	}
}
