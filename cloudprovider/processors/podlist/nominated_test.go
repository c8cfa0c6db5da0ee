package podlist

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/core/podlistprocessor"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown"
	"k8s.io/autoscaler/cluster-autoscaler/debuggingsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/predicate"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/store"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/scheduling"
	"k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/stretchr/testify/require"
)

type noDeletions struct{ scaledown.Actuator }

func (noDeletions) CheckStatus() scaledown.ActuationStatus { return noStatus{} }

type noStatus struct{ scaledown.ActuationStatus }

func (noStatus) DeletionsInProgress() (empty, drained []string) { return nil, nil }

// loop runs one loop's list of pending pods through r and the core's own processors, which know of claims.
func (r *FreeRoom) loop(t *testing.T, pending ...*corev1.Pod) []*corev1.Pod {
	t.Helper()
	_, ctx := newFreeRoom(t, []string{"a-placeholder", "a-ready"}, nil)
	ctx.DynamicResourceAllocationEnabled = true
	return r.loopIn(t, ctx, pending...)
}

// loopIn is a loop of a cluster. Its node a-ready is Ready. Node a-starting has registered and is not Ready. The snapshot has a placeholder
// instead of it.
func (r *FreeRoom) loopIn(t *testing.T, ctx *cacontext.AutoscalingContext, pending ...*corev1.Pod) []*corev1.Pod {
	t.Helper()
	ready, err := ctx.ClusterSnapshot.GetNodeInfo("a-ready")
	require.NoError(t, err)
	starting := utiltest.BuildTestNode("a-starting", 4000, 1<<30)
	utiltest.SetNodeReadyState(starting, false, time.Unix(0, 0))
	lister := kubernetes.NewTestNodeLister([]*corev1.Node{starting, ready.Node()})
	ctx.AutoscalingKubeClients = cacontext.AutoscalingKubeClients{
		ListerRegistry: kubernetes.NewListerRegistry(lister, lister, kubernetes.NewTestPodLister(nil), nil, nil, nil, nil, nil, nil)}
	ctx.ScaleDownActuator, ctx.DebuggingSnapshotter = noDeletions{}, debuggingsnapshot.NewDebuggingSnapshotter(false)
	r.Core = podlistprocessor.NewDefaultPodListProcessor(scheduling.ScheduleAnywhere)
	left, err := r.Process(ctx, pending)
	require.NoError(t, err, "no pod is helped in this loop")
	return left
}

// The core puts nominated pods on their nodes by name, and helps no pod at all if its snapshot lacks one of these nodes.
func TestNominationsOutsideThePlanStallNobody(t *testing.T) {
	for name, of := range map[string][]plan.Node{
		"no plan":               nil,
		"a plan of another pod": {planned("b", "", plannedPod("late", 1, ""))},
		"a pod planned anew":    {planned("b", "", plannedPod("nominated", 1, ""))},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newFreeRoom(t, nil, nil, of...)
			left := r.loop(t, plannedPod("nominated", 1, "a-starting"), plannedPod("late", 1, ""), plannedPod("huge", 64, ""))
			assert.Truef(t, len(left) == 1 && left[0].Name == "huge", "%d pods are left, want the one that fits on no node", len(left))
		})
	}
}

// kube-scheduler's last try of a pod may end with the reason SchedulerError. Then the core lists it as pending only in a later loop.
func TestPodAbsentForALoopStallsNobody(t *testing.T) {
	r, _ := newFreeRoom(t, nil, nil, planned("a", "a-starting", plannedPod("nominated", 1, "")))
	nominated, huge := plannedPod("nominated", 1, "a-starting"), plannedPod("huge", 64, "")
	for at, pending := range [][]*corev1.Pod{{nominated, huge}, {huge}, {nominated, huge}} {
		assert.Lenf(t, r.loop(t, pending...), 1, "loop %d: pods are left, want the one that fits on no node", at+1)
	}
}

// kube-scheduler does not try a pod without its claim, so nobody takes its nomination back.
func TestNominatedPodWithoutItsClaimStallsNobody(t *testing.T) {
	r, _ := newFreeRoom(t, nil, nil)
	nominated := plannedPod("nominated", 1, "a-ready")
	nominated.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: ptr.To("gone")}}
	assert.Len(t, r.loop(t, nominated, plannedPod("huge", 64, "")), 2, "pods are left")
}

// The core knows no claims then, and puts the pod on its node without a look at them.
func TestNominatedPodWithAClaimKeepsItsRoomWithoutDynamicResourceAllocation(t *testing.T) {
	r, ctx := newFreeRoom(t, nil, nil)
	handle, err := framework.NewTestFrameworkHandle()
	require.NoError(t, err)
	ctx.ClusterSnapshot = predicate.NewPredicateSnapshot(store.NewBasicSnapshotStore(), handle, false, 1, false)
	ready := utiltest.BuildTestNode("a-ready", 4000, 1<<30)
	utiltest.SetNodeReadyState(ready, true, time.Unix(0, 0))
	require.NoError(t, ctx.ClusterSnapshot.AddNodeInfo(framework.NewNodeInfo(ready, nil)))
	nominated := plannedPod("nominated", 3, "a-ready")
	nominated.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimName: ptr.To("unknown")}}
	left := r.loopIn(t, ctx, nominated, plannedPod("late", 3, ""))
	assert.Truef(t, len(left) == 1 && left[0].Name == "late", "%d pods are left, want the one without a nomination", len(left))
}
