package loop

import (
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// owners knows which controllers are about to make pods. A controller's object states how many it wants, and comes before them.
//
// All pods of a controller count, whether they run, have ended or are about to go. So a controller that replaces a pod counts as complete.
// The loop then waits for its pod as for that of an unknown controller.
type owners struct {
	mu      sync.Mutex
	wanted  map[types.UID]int
	exist   map[types.UID]int
	lacking map[types.UID]time.Time // the last change of each controller that has fewer pods than it wants
}

func newOwners() *owners {
	return &owners{wanted: map[types.UID]int{}, exist: map[types.UID]int{}, lacking: map[types.UID]time.Time{}}
}

// want notes how many pods the controller wants, and reports whether it wanted another number before.
func (o *owners) want(now time.Time, controller types.UID, pods int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wanted[controller] == pods {
		return false // its status alone has changed
	}
	set(o.wanted, controller, pods)
	o.compare(now, controller)
	return true
}

// made notes that the controller has made a pod, or with -1 that one is gone.
func (o *owners) made(now time.Time, controller types.UID, pods int) {
	if controller == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	set(o.exist, controller, o.exist[controller]+pods)
	o.compare(now, controller)
}

// compare notes whether the controller lacks pods. The caller holds the lock.
func (o *owners) compare(now time.Time, controller types.UID) {
	if o.exist[controller] < o.wanted[controller] {
		o.lacking[controller] = now
	} else {
		delete(o.lacking, controller)
	}
}

// lack reports whether a controller that changed within the time lacks pods. One that has made none for longer is kept from it, such as by
// a quota.
func (o *owners) lack(now time.Time, within time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for controller, changed := range o.lacking {
		if now.Sub(changed) < within {
			return true
		}
		delete(o.lacking, controller)
	}
	return false
}

// set keeps no zero.
func set(counts map[types.UID]int, controller types.UID, n int) {
	if n == 0 {
		delete(counts, controller)
	} else {
		counts[controller] = n
	}
}

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
