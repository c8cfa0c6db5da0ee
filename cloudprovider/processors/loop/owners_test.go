package loop

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

func replicaSet(replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{UID: "web"}, Spec: appsv1.ReplicaSetSpec{Replicas: &replicas}}
}

// owned is a pod of the controller "web".
func owned(pod *apiv1.Pod) *apiv1.Pod {
	pod.OwnerReferences = []metav1.OwnerReference{{UID: "web", Controller: ptr.To(true)}}
	return pod
}

func ofDefaultScheduler(pod *apiv1.Pod) *apiv1.Pod {
	pod.Spec.SchedulerName = apiv1.DefaultSchedulerName
	return pod
}

// The first of a controller's pods is unschedulable after 4 s. The others do not exist yet.
func TestBurstLastsUntilControllersHaveTheirPods(t *testing.T) {
	second := func(trigger *Trigger) { trigger.PodHandler().OnAdd(owned(pendingPod("web-1")), false) }
	update := func(change func(*appsv1.ReplicaSet)) func(*Trigger) {
		return func(trigger *Trigger) {
			changed := replicaSet(2)
			change(changed)
			trigger.OwnerHandler().OnUpdate(replicaSet(2), changed)
		}
	}
	for _, tt := range []struct {
		name    string
		owner   any
		early   time.Duration // how long before the first pod the controller changed
		foreign bool          // a pod of another scheduler has waited for a verdict from the start
		running int           // pods of the controller that run
		failed  int           // pods of the controller that have been there and failed
		then    func(*Trigger)
		after   time.Duration // of then, counted from the first pod
		want    time.Duration // counted from the first pod
	}{
		{name: "one pod of one", owner: replicaSet(1), want: 50e6},
		{name: "one pod of one that was wanted before", owner: replicaSet(1), early: 40e6, want: 10e6},
		{name: "one pod of one that was wanted long before", owner: replicaSet(1), early: 60e6},
		{name: "second pod", owner: replicaSet(2), then: second, after: 400e6, want: 400e6},
		{name: "more pods than the controller is known to want", owner: replicaSet(1), early: 2 * time.Second, running: 1, then: second, after: 40e6, want: 90e6},
		{name: "second pod that counts with the first", owner: replicaSet(2), after: 400e6, want: 400e6, then: func(trigger *Trigger) {
			trigger.PodHandler().OnAdd(ofDefaultScheduler(owned(newPod("web-1"))), false)
		}},
		{name: "pods that replace failed ones", owner: replicaSet(2), early: 2 * time.Second, want: 40e6, failed: 2, after: 40e6, then: second},
		{name: "one pod of one beside an old pod that nobody judges", owner: replicaSet(1), early: 60e6, foreign: true},
		{name: "one of two pods that replace failed ones", owner: replicaSet(2), early: 2 * time.Second, want: 50e6, failed: 2},
		{name: "second pod without the controller", owner: replicaSet(1), early: 30e6, after: 5e6, want: 55e6, then: func(trigger *Trigger) {
			trigger.PodHandler().OnAdd(pendingPod("other"), false)
		}},
		{name: "another controller after the first", owner: replicaSet(1), after: 20e6, want: 80e6, then: func(trigger *Trigger) {
			other, pod := replicaSet(1), owned(pendingPod("other"))
			other.UID, pod.OwnerReferences[0].UID = "other", "other"
			trigger.OwnerHandler().OnAdd(other, false)
			time.AfterFunc(60*time.Millisecond, func() { trigger.PodHandler().OnAdd(pod, false) })
		}},
		{name: "no second pod", owner: replicaSet(2), want: time.Second},
		{name: "no second pod for long", owner: replicaSet(2), early: 2 * time.Second, want: 50e6},
		{name: "no second pod for some time", owner: replicaSet(2), early: 700e6, want: 300e6},
		{name: "second pod that needs no node", owner: replicaSet(2), after: 300e6, want: 300e6, then: func(trigger *Trigger) {
			placed := owned(newPod("web-1"))
			placed.Spec.NodeName = "node-1"
			trigger.PodHandler().OnAdd(placed, false)
		}},
		{name: "scaled down", owner: replicaSet(2), then: update(func(rs *appsv1.ReplicaSet) { *rs.Spec.Replicas = 1 }), after: 300e6, want: 300e6},
		{name: "refused by a quota", owner: replicaSet(2), after: 300e6, want: 300e6, then: update(func(rs *appsv1.ReplicaSet) {
			rs.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: apiv1.ConditionTrue}}
		})},
		{name: "deleted", owner: replicaSet(2), after: 300e6, want: 300e6, then: func(trigger *Trigger) {
			trigger.OwnerHandler().OnDelete(cache.DeletedFinalStateUnknown{Obj: replicaSet(2)})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := settings
				config.Coming = synctest.Wait // the waiter looks as soon as the first pod is counted
				trigger := started(t, config)
				for i := range tt.running {
					pod := owned(newPod("running-" + podName(i)))
					pod.Spec.NodeName = "node-1"
					trigger.PodHandler().OnAdd(pod, false)
				}
				for i := range tt.failed {
					failing := owned(newPod("failed-" + podName(i)))
					failing.Spec.NodeName = "node-1"
					failed := failing.DeepCopy()
					failed.Status.Phase = apiv1.PodFailed
					trigger.PodHandler().OnAdd(failing, false)
					trigger.PodHandler().OnUpdate(failing, failed)
				}
				if tt.foreign {
					trigger.PodHandler().OnAdd(newPod("foreign"), false)
				}
				const first = 4 * time.Second
				owner := func() { trigger.OwnerHandler().OnAdd(tt.owner, false) }
				if tt.early > 0 {
					time.AfterFunc(first-tt.early, owner)
				}
				time.AfterFunc(first, func() {
					if tt.early == 0 { // just before its pod
						owner()
					}
					trigger.PodHandler().OnAdd(ofDefaultScheduler(owned(pendingPod("web-0"))), false)
				})
				if tt.then != nil {
					time.AfterFunc(first+tt.after, func() { tt.then(trigger) })
				}
				expect(t, trigger, PodsPending, first+tt.want)
			})
		})
	}
}

// A quota may keep a controller from its pods for ever. Only bursts shortly after its last change wait for it.
func TestControllerThatMakesNoPodsIsNotAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		trigger.OwnerHandler().OnAdd(replicaSet(2), false)
		time.AfterFunc(settings.SettleLimit, func() { becomes(trigger, "other") })
		expect(t, trigger, PodsPending, settings.SettleLimit+50*time.Millisecond)
	})
}

func TestOnlyPodsThatAControllerBeginsToWantAreAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := New(settings, clock.RealClock{})
		pods, owners := trigger.PodHandler(), trigger.OwnerHandler()
		expect := func(awaited bool, what string) {
			t.Helper()
			_, until := trigger.pods.owners.need(time.Now(), time.Second)
			assert.Equalf(t, awaited, !until.IsZero(), "%s: pods are awaited", what)
		}
		owners.OnAdd(replicaSet(1), true)
		expect(true, "before its pod is listed")
		first := owned(newPod("web-0"))
		pods.OnAdd(first, true)
		expect(false, "a listed pod")
		pods.OnDelete(cache.DeletedFinalStateUnknown{Obj: first})
		expect(false, "a pod that is gone")
		owners.OnUpdate(replicaSet(1), replicaSet(2))
		expect(true, "scaled up")
		foreign := newPod("web-1")
		pods.OnAdd(foreign, false)
		pods.OnUpdate(foreign, owned(foreign.DeepCopy()))
		pods.OnAdd(owned(newPod("web-2")), false)
		expect(false, "one pod adopted and one made")
		owners.OnUpdate(replicaSet(2), replicaSet(4))
		again := replicaSet(0)
		again.UID = "web again"
		owners.OnUpdate(replicaSet(4), again)
		expect(false, "made again under its name")
	})
}

func TestWantedPods(t *testing.T) {
	job := func(spec batchv1.JobSpec) *batchv1.Job { return &batchv1.Job{Spec: spec} }
	parallel := appsv1.StatefulSetSpec{Replicas: ptr.To[int32](3), PodManagementPolicy: appsv1.ParallelPodManagement}
	leaving := replicaSet(3)
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	for _, tt := range []struct {
		name  string
		owner any
		want  int
	}{
		{"ReplicaSet", replicaSet(3), 3},
		{"ReplicaSet that leaves", leaving, 0},
		{"ReplicaSet by default", &appsv1.ReplicaSet{}, 1},
		{"StatefulSet all at once", &appsv1.StatefulSet{Spec: parallel}, 3},
		{"StatefulSet one after another", &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](3)}}, 1},
		{"StatefulSet of none", &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](0)}}, 0},
		{"Job", job(batchv1.JobSpec{Parallelism: ptr.To[int32](4), Completions: ptr.To[int32](9)}), 4},
		{"Job of fewer pods than may run at once", job(batchv1.JobSpec{Parallelism: ptr.To[int32](4), Completions: ptr.To[int32](2)}), 2},
		{"Job near its end", &batchv1.Job{Spec: batchv1.JobSpec{Parallelism: ptr.To[int32](4), Completions: ptr.To[int32](9)},
			Status: batchv1.JobStatus{Succeeded: 7}}, 2},
		{"suspended Job", job(batchv1.JobSpec{Parallelism: ptr.To[int32](4), Suspend: ptr.To(true)}), 0},
		{"Job of another controller", job(batchv1.JobSpec{Parallelism: ptr.To[int32](4), ManagedBy: ptr.To("kueue.x-k8s.io/multikueue")}), 0},
		{"Job that has ended", &batchv1.Job{Spec: batchv1.JobSpec{Parallelism: ptr.To[int32](4)}, Status: batchv1.JobStatus{
			Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: apiv1.ConditionTrue}},
		}}, 0},
		{"DaemonSet", &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{UID: types.UID("agent")}}, 0},
	} {
		assert.Equalf(t, tt.want, wantedPods(tt.owner), "%s: pods", tt.name)
	}
}
