package status

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/tools/cache"
	testclock "k8s.io/utils/clock/testing"
)

// waits keeps what it receives.
type waits struct{ asked, ready []time.Duration }

func (w *waits) PodAsked(d time.Duration) { w.asked = append(w.asked, d) }
func (w *waits) PodReady(d time.Duration) { w.ready = append(w.ready, d) }

// unschedulable returns a pod, created a minute before the scheduler found no node for it at the time.
func unschedulable(uid string, at time.Time) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), CreationTimestamp: metav1.NewTime(at.Add(-time.Minute))},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(at)}}},
	}
}

// running returns the pod on a node, ready or not.
func running(pod *corev1.Pod, ready corev1.ConditionStatus) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Spec.NodeName = "node"
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: ready}}
	return pod
}

func TestReactionIsMeasuredOncePerPod(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	now, got := testclock.NewFakePassiveClock(start), &waits{}
	r := NewReaction(got, now)
	handler := r.PodHandler()
	one, gone, elsewhere := unschedulable("one", start), unschedulable("gone", start), unschedulable("elsewhere", start)
	failed := unschedulable("failed", start)
	requested := unschedulable("requested", start)
	requested.Annotations = map[string]string{provreqv1.ProvisioningRequestPodAnnotationKey: "request"}
	interrupted := running(unschedulable("interrupted", start.Add(-time.Hour)), corev1.ConditionTrue) // counted off its node, which AWS takes
	interrupted.Spec.NodeName = ""
	asked := &corestatus.ScaleUpStatus{PodsTriggeredScaleUp: []*corev1.Pod{one, gone, requested, failed, interrupted}}

	now.SetTime(start.Add(2 * time.Second))
	r.Process(nil, asked)
	r.Process(nil, asked) // the first launch brought too few nodes
	want := []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}
	assert.Truef(t, slices.Equal(got.asked, want), "asked after %v, want %v", got.asked, want)

	now.SetTime(start.Add(40 * time.Second))
	handler.OnUpdate(one, running(one, corev1.ConditionFalse))
	ended := failed.DeepCopy()
	ended.Status.Phase = corev1.PodFailed
	handler.OnUpdate(failed, ended)
	handler.OnUpdate(elsewhere, running(elsewhere, corev1.ConditionTrue))
	handler.OnDelete(cache.DeletedFinalStateUnknown{Obj: gone})
	handler.OnUpdate(gone, running(gone, corev1.ConditionTrue))
	now.SetTime(start.Add(45 * time.Second))
	handler.OnUpdate(one, running(one, corev1.ConditionTrue))
	handler.OnUpdate(one, running(one, corev1.ConditionTrue))
	if want := []time.Duration{45 * time.Second}; !slices.Equal(got.ready, want) {
		t.Errorf("ready after %v, want %v", got.ready, want)
	}
	assert.Empty(t, r.since, "pods are timed still")
}

// A pod that was deleted during its scale-up has no later event.
func TestReactionTimesABoundedNumberOfPods(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	got := &waits{}
	now := testclock.NewFakePassiveClock(start)
	r := NewReaction(got, now)
	s := &corestatus.ScaleUpStatus{}
	for i := range maxTimed + 5 {
		s.PodsTriggeredScaleUp = append(s.PodsTriggeredScaleUp, unschedulable(fmt.Sprint(i), start))
	}
	r.Process(nil, s)
	assert.Truef(t, len(r.since) == maxTimed && len(got.asked) == maxTimed,
		"%d pods are timed, %d counted, want %d", len(r.since), len(got.asked), maxTimed)

	now.SetTime(start.Add(longestTimed + time.Second))
	r.Process(nil, &corestatus.ScaleUpStatus{PodsTriggeredScaleUp: []*corev1.Pod{unschedulable("later", now.Now())}})
	assert.Lenf(t, r.since, 1, "pods are timed once the others have waited for more than %s", longestTimed)
}
