package interruption_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/podserver"
)

// boundLate binds a pod to the node of the instance a moment after the first look that finds the node empty.
func (w *world) boundLate(instance, name string) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec: corev1.PodSpec{NodeName: w.nodes()[instance].Name}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	bind := sync.OnceFunc(func() {
		time.AfterFunc(100*time.Millisecond, func() { assert.NoError(w.t, w.cluster.Tracker().Create(podserver.Pods, pod, "default")) })
	})
	w.pods.RefuseList = func() error { bind(); return nil }
}

// recommendation is a rebalance recommendation.
func recommendation(instance string, at time.Time) string {
	return fmt.Sprintf(`{"id":"recommendation","detail-type":"EC2 Instance Rebalance Recommendation","source":"aws.ec2","time":%q,`+
		`"detail":{"instance-id":%q}}`, at.UTC().Format(time.RFC3339), instance)
}

func drainOnRebalance(o *interruption.Options) { o.Rebalance = interruption.Drain }

func TestPlannedDrainKeepsInstanceOfLatePod(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		kept := w.inService()[0]
		w.silent()
		w.refused.Store(true)
		w.annotate(kept, "cordon,label", time.Now().Add(13*time.Second), "kind", "rebalance-recommendation")
		w.boundLate(kept, "late")
		w.running(drainOnRebalance)
		w.wait("back in use, or ended", func() bool { return w.terminations() > 0 || w.nodes()[kept].Annotations[interruption.Taint] == "" })
		assert.Equal(t, 0, w.terminations(), "the instance was ended under its pod")
	})(t)
}

func TestInstanceTerminatedByCoreIsOnlyCounted(t *testing.T) {
	w, ended := parallelWorld(t, hooked(scalingGroup(0, 2, 5)))
	w.silent()
	w.run(ended, "a")
	w.edit(ended, func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, byCore) })
	require.NoError(t, w.cache.Terminate(t.Context(), "spot", []string{ended}))
	w.wait("it is leaving", func() bool { i, _ := w.cache.Snapshot().Instance(ended); return i != nil && i.Lifecycle.Leaving() })
	w.running()
	w.send(stateChange(ended, "shutting-down"))
	w.waitEmptyQueue()
	assert.Equal(t, map[string]int{"counted state-change": 1}, w.handled(), "messages by how they were handled")
	assert.Empty(t, w.allEvicted(), "evicted from a node that the core has drained")
}

// The core evicts one priority after the other (--drain-priority-config). It goes by name, and would evict the next pod of a StatefulSet, too.
func TestWarningDuringTheCoresDrainEvictsWhatStays(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.silent()
		warned := w.inService()[0]
		w.run(warned, "low", "high")
		w.create("named-0", func(p *corev1.Pod) {
			p.Spec.NodeName, p.Status.Phase = w.nodes()[warned].Name, corev1.PodRunning
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "named", Controller: ptr.To(true)}}
		})
		w.edit(warned, func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, byCore) })
		w.running()
		w.send(warning(warned, time.Now()))
		w.within(5*time.Second, "evicted", func() bool { return w.evictions("low") == 1 && w.evictions("high") == 1 })
		time.Sleep(10 * time.Second)
		assert.Zero(t, w.evictions("named-0"), "evictions of a pod that comes again under its name")
		require.NoError(t, w.cluster.Tracker().Delete(podserver.Pods, "default", "named-0")) // by the core
		w.waitTerminated(warned)
		w.waitEmptyQueue()
		assert.Equalf(t, 1, w.handled()["drained spot-interruption"], "handled %v, want no pod deleted by force", w.handled())
	})(t)
}

func TestTerminationsAndReplacementsUseSeparateCalls(t *testing.T) {
	w, _ := parallelWorld(t, scalingGroup(0, 3, 5))
	h := w.handler()
	ids := w.inService()
	var both sync.WaitGroup
	for n, replace := range []bool{false, true} {
		both.Go(func() { assert.NoError(t, h.Terminate(t.Context(), "spot", ids[n], replace)) })
	}
	both.Wait()
	w.waitTerminated(ids[0])
	w.waitTerminated(ids[1])
	assert.Equal(t, 2, w.desired(), "desired: one of three is replaced")
}

func TestHookIsCompletedAfterItsInstance(t *testing.T) {
	inBubble(hooked(scalingGroup(0, 1, 5)), func(t *testing.T, w *world) {
		warned := w.inService()[0]
		w.run(warned, "a")
		h := w.handler()
		forget := h.TerminateFails(warned, "spot")
		w.background(h.Run)
		require.NoError(t, w.aws.SetDesired("spot", 0))
		w.wait("the message is put back", func() bool { return w.handled()["hand-back-failed lifecycle-terminate"] > 0 })
		assert.True(t, w.aws.Calls()["CompleteLifecycleAction"] <= 0, "the lifecycle action was completed although nobody has drained the node")
		forget()
		w.waitTerminated(warned)
		assert.Equalf(t, 1, w.evictions("a"), "evicted %v", w.allEvicted())
	})(t)
}

func TestNodeStaysCordonedDuringItsDrain(t *testing.T) {
	w, id := parallelWorld(t, scalingGroup(0, 1, 5))
	w.annotate(id, "cordon,label", time.Now().Add(-6*time.Minute))
	h := w.handler()
	forget := h.TerminateFails(id, "spot")
	h.Reconcile(t.Context())
	assert.True(t, w.nodes()[id].Spec.Unschedulable, "the node was put back into use under its drain")
	forget()
	h.Reconcile(t.Context())
	assert.False(t, w.nodes()[id].Spec.Unschedulable, "the node is still cordoned, though nobody drains it and its instance was spared")
}
