package loop

import (
	"slices"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// OwnerHandler returns the handler that shows the Trigger how many pods a ReplicaSet, StatefulSet or Job wants. Add it to
// the informers of those that the loop shall wait for.
func (t *Trigger) OwnerHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { t.want(obj, wantedPods(obj)) },
		UpdateFunc: func(before, obj any) {
			if old, ok := before.(metav1.Object); ok && old.GetUID() != obj.(metav1.Object).GetUID() { // its deletion was missed
				t.want(before, 0)
			}
			t.want(obj, wantedPods(obj))
		},
		DeleteFunc: func(obj any) { t.want(nodemeta.LastState(obj), 0) },
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

// owners knows which controllers are about to make pods. A controller's object states how many it wants, and mostly comes before them.
//
// A controller that replaces pods is not waited for: only one that has just begun to want more is certain to make them at once. So all its pods
// count, whether they run, have ended or are about to go. A controller has what it wants once so many are active.
type owners struct {
	mu      sync.Mutex
	by      map[types.UID]owner
	lacking map[types.UID]time.Time // when each controller began to want the pods that it lacks
	last    time.Time               // when a controller last began to want more pods
}

type owner struct{ wanted, exist, active int }

// set changes what is known of a controller, and returns it as it was.
func (o *owners) set(controller types.UID, change func(*owner)) (before owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before = o.by[controller]
	now := before
	change(&now)
	if now == (owner{}) {
		delete(o.by, controller)
	} else {
		o.by[controller] = now
	}
	return before
}

// want notes how many pods the controller wants, and reports whether it wanted another number before.
func (o *owners) want(now time.Time, controller types.UID, pods int) bool {
	before := o.set(controller, func(c *owner) {
		if pods > c.wanted {
			o.last, o.lacking[controller] = now, now
		}
		c.wanted = pods
		if pods <= c.exist {
			delete(o.lacking, controller)
		}
	})
	return before.wanted != pods
}

// count notes that the controller has more pods, and more active ones, or fewer. It reports whether the controller no longer lacks pods.
func (o *owners) count(controller types.UID, pods, active int) (complete bool) {
	if controller == "" {
		return false
	}
	o.set(controller, func(c *owner) {
		c.exist, c.active = c.exist+pods, c.active+active
		if _, lacks := o.lacking[controller]; lacks && c.exist >= c.wanted {
			complete = true
			delete(o.lacking, controller)
		}
	})
	return complete
}

// complete reports whether the controller is known to have as many active pods as it wants. One with more wants more than was read of it: its
// object and its pods come by two watches, and under load the pods may come first.
func (o *owners) complete(controller types.UID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.by[controller]
	return c.wanted > 0 && c.active == c.wanted
}

// need returns when a controller last began to want more pods, zero for never, and until when pods of controllers are awaited, zero for
// none. A controller that has made none for the time is kept from it, such as by a quota.
func (o *owners) need(now time.Time, within time.Duration) (last, until time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for controller, began := range o.lacking {
		if end := began.Add(within); end.After(now) {
			until = later(until, end)
		} else {
			delete(o.lacking, controller)
		}
	}
	return o.last, until
}
