package loop

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// OwnerHandler returns the handler that shows the Trigger how many pods a ReplicaSet, ReplicationController, StatefulSet or Job wants. Add
// it to the informers of those that the loop shall wait for.
func (t *Trigger) OwnerHandler() cache.ResourceEventHandler {
	if t.config.Tick {
		return cache.ResourceEventHandlerFuncs{}
	}
	want := func(obj any) { t.want(obj, wantedPods) }
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    want,
		UpdateFunc: func(_, obj any) { want(obj) },
		DeleteFunc: func(obj any) { t.want(lastState(obj), func(any) int { return 0 }) },
	}
}

func (t *Trigger) want(obj any, pods func(any) int) {
	if owner, ok := obj.(metav1.Object); ok && t.pods.owners.want(t.clock.Now(), owner.GetUID(), pods(obj)) {
		t.pods.wakeWaiter()
	}
}

// wantedPods is how many pods the controller makes at once. It is 0 for one that makes them one after another, or none.
func wantedPods(owner any) int {
	switch o := owner.(type) {
	case *appsv1.ReplicaSet:
		refused := slices.ContainsFunc(o.Status.Conditions, func(c appsv1.ReplicaSetCondition) bool {
			return c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == apiv1.ConditionTrue
		})
		if o.DeletionTimestamp == nil && !refused {
			return count(o.Spec.Replicas)
		}
	case *apiv1.ReplicationController:
		if o.DeletionTimestamp == nil {
			return count(o.Spec.Replicas)
		}
	case *appsv1.StatefulSet:
		if o.DeletionTimestamp == nil && o.Spec.PodManagementPolicy == appsv1.ParallelPodManagement {
			return count(o.Spec.Replicas)
		}
	case *batchv1.Job:
		suspended, foreign := o.Spec.Suspend != nil && *o.Spec.Suspend, o.Spec.ManagedBy != nil && *o.Spec.ManagedBy != batchv1.JobControllerName
		ended := slices.ContainsFunc(o.Status.Conditions, func(c batchv1.JobCondition) bool {
			return (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == apiv1.ConditionTrue
		})
		if o.DeletionTimestamp == nil && !suspended && !foreign && !ended {
			pods := count(o.Spec.Parallelism)
			if o.Spec.Completions != nil {
				pods = min(pods, int(*o.Spec.Completions))
			}
			return pods
		}
	}
	return 0
}

// count is a number of pods, 1 by default.
func count(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}
