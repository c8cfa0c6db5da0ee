package loop

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// OwnerHandler returns the handler that shows the Trigger how many pods a ReplicaSet, ReplicationController, StatefulSet or Job wants. Add
// it to the informers of those that the loop shall wait for.
func (t *Trigger) OwnerHandler() cache.ResourceEventHandler {
	if t.config.Tick {
		return cache.ResourceEventHandlerFuncs{}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { t.want(obj, wantedPods(obj)) },
		UpdateFunc: func(before, obj any) {
			if old, ok := before.(metav1.Object); ok && old.GetUID() != obj.(metav1.Object).GetUID() { // its deletion was missed
				t.want(before, 0)
			}
			t.want(obj, wantedPods(obj))
		},
		DeleteFunc: func(obj any) { t.want(lastState(obj), 0) },
	}
}

func (t *Trigger) want(obj any, pods int) {
	if owner, ok := obj.(metav1.Object); ok && t.pods.owners.want(t.clock.Now(), owner.GetUID(), pods) {
		t.pods.wakeWaiter()
	}
}

// wantedPods returns the number of pods that the controller makes at once: 1 for one that makes them one after another.
func wantedPods(owner any) int {
	if o, ok := owner.(metav1.Object); !ok || o.GetDeletionTimestamp() != nil {
		return 0
	}
	switch o := owner.(type) {
	case *appsv1.ReplicaSet:
		refused := slices.ContainsFunc(o.Status.Conditions, func(c appsv1.ReplicaSetCondition) bool {
			return c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == apiv1.ConditionTrue
		})
		if !refused {
			return int(ptr.Deref(o.Spec.Replicas, 1))
		}
	case *apiv1.ReplicationController:
		refused := slices.ContainsFunc(o.Status.Conditions, func(c apiv1.ReplicationControllerCondition) bool {
			return c.Type == apiv1.ReplicationControllerReplicaFailure && c.Status == apiv1.ConditionTrue
		})
		if !refused {
			return int(ptr.Deref(o.Spec.Replicas, 1))
		}
	case *appsv1.StatefulSet:
		pods := int(ptr.Deref(o.Spec.Replicas, 1))
		if o.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
			return min(pods, 1)
		}
		return pods
	case *batchv1.Job:
		ended := slices.ContainsFunc(o.Status.Conditions, func(c batchv1.JobCondition) bool {
			return c.Type != batchv1.JobSuspended && c.Status == apiv1.ConditionTrue // or about to end
		})
		foreign := ptr.Deref(o.Spec.ManagedBy, batchv1.JobControllerName) != batchv1.JobControllerName
		if !ended && !foreign && !ptr.Deref(o.Spec.Suspend, false) {
			pods := ptr.Deref(o.Spec.Parallelism, 1)
			if o.Spec.Completions != nil {
				pods = min(pods, *o.Spec.Completions-o.Status.Succeeded)
			}
			return int(pods)
		}
	}
	return 0
}
