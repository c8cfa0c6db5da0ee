package status

import (
	"maps"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/tools/cache"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/clock"
)

// maxTimed bounds how many pods are timed at once. Pods beyond it are not measured.
const maxTimed = 10_000

// longestTimed is how long a pod is timed at least. One that was deleted during its scale-up has no later event.
const longestTimed = time.Hour

// Waits receives how long pods wait. Calls may come from several goroutines at once.
type Waits interface {
	PodAsked(time.Duration) // from a pod becoming pending until the autoscaler asks AWS for a node for it
	PodReady(time.Duration) // from there until the pod is ready, the time before included
}

// Reaction measures how soon pods get a node that was asked for. A pod counts once. A pod of a ProvisioningRequest does not count,
// because no such pod exists.
//
// It implements the core's ScaleUpStatusProcessor, and belongs behind the ones that take out made-up pods. PodHandler watches the pods.
type Reaction struct {
	waits Waits
	clock clock.PassiveClock

	mu    sync.Mutex
	since map[types.UID]time.Time // when pods became pending for which a node was asked
}

func NewReaction(waits Waits, c clock.PassiveClock) *Reaction {
	return &Reaction{waits: waits, clock: c, since: map[types.UID]time.Time{}}
}

func (r *Reaction) Process(_ *cacontext.AutoscalingContext, s *corestatus.ScaleUpStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.since) >= maxTimed {
		maps.DeleteFunc(r.since, func(_ types.UID, since time.Time) bool { return r.clock.Since(since) > longestTimed })
	}
	for _, pod := range s.PodsTriggeredScaleUp {
		_, timed := r.since[pod.UID]
		_, c := podutil.GetPodCondition(&pod.Status, corev1.PodScheduled)
		runs := c != nil && c.Status == corev1.ConditionTrue // on a node that goes, and has waited for nothing
		if timed || podlist.RequestOf(pod) != "" || runs || len(r.since) >= maxTimed {
			continue
		}
		since := PendingSince(pod)
		r.since[pod.UID] = since
		r.waits.PodAsked(r.clock.Since(since))
	}
}

func (*Reaction) CleanUp() {}

// PodHandler watches for pods that are ready, ended or gone.
func (r *Reaction) PodHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, now any) {
			switch pod := now.(*corev1.Pod); {
			case podutil.IsPodTerminal(pod):
				r.forget(pod.UID)
			case pod.Spec.NodeName != "" && podutil.IsPodReady(pod):
				if since, timed := r.forget(pod.UID); timed {
					r.waits.PodReady(r.clock.Since(since))
				}
			}
		},
		DeleteFunc: func(last any) {
			if pod, ok := nodemeta.LastState(last).(*corev1.Pod); ok {
				r.forget(pod.UID)
			}
		},
	}
}

// forget ends the timing of a pod and returns when the pod became pending.
func (r *Reaction) forget(uid types.UID) (since time.Time, timed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, timed = r.since[uid]
	delete(r.since, uid)
	return since, timed
}

// PendingSince returns when the scheduler found no node for the pod, or when the pod was created.
func PendingSince(pod *corev1.Pod) time.Time {
	_, c := podutil.GetPodCondition(&pod.Status, corev1.PodScheduled)
	if c != nil && c.Status == corev1.ConditionFalse && !c.LastTransitionTime.IsZero() {
		return c.LastTransitionTime.Time
	}
	return pod.CreationTimestamp.Time
}
