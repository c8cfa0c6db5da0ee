package drain

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// try is when a pod was last asked to go, and how often it was not let go.
type try struct {
	last    time.Time
	refused int
}

// pause is how long the pod is left alone.
func (t try) pause() time.Duration {
	return min(askFirst+time.Duration(max(0, t.refused-1))*askMore, askMost)
}

// round is one Drain under way. Used by one goroutine.
type round struct {
	*Drainer
	node   string
	known  []types.UID        // the pods to move that are not known to be gone; nil before the first look
	tried  map[types.UID]try  // pods that were asked to go
	moved  map[types.UID]bool // the pods that are on their way, and whether by force
	stuck  map[types.UID]bool // those that were told of
	owners map[Owner]bool

	mayNotDelete bool // the API server does not let us delete pods
}

func (r *round) run(ctx context.Context, plan func() Plan) (Result, error) {
	for {
		pods, err := r.look(ctx)
		now, p := r.Clock.Now(), plan()
		switch {
		case ctx.Err() != nil:
			return r.result(nil), ctx.Err()
		case err != nil:
			klog.FromContext(ctx).Error(err, "Could not look at the node's pods, trying again", "node", klog.KRef("", r.node))
		case len(pods) == 0:
			return r.result(nil), nil
		}
		if !p.Deadline.IsZero() && !now.Before(p.Deadline) {
			return r.result(r.known), nil
		}
		r.move(ctx, pods, p, now)
		if err := r.pause(ctx, pods, p, now); err != nil {
			return r.result(nil), err
		}
	}
}

// look lists the pods that are still to go. Once none of those found first is left it looks for others: the scheduler may have
// bound some while the node was being cordoned.
func (r *round) look(ctx context.Context) ([]corev1.Pod, error) {
	pods, err := r.remaining(ctx)
	if err == nil && len(pods) == 0 {
		pods, err = r.Pods(ctx, r.node)
	}
	if err != nil {
		return nil, err
	}
	r.known = make([]types.UID, 0, len(pods))
	for n := range pods {
		r.known = append(r.known, pods[n].UID)
	}
	return pods, nil
}

// remaining lists those of the known pods that are still there, by one call.
func (r *round) remaining(ctx context.Context) ([]corev1.Pod, error) {
	if len(r.known) == 0 {
		return nil, nil
	}
	list, err := r.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", r.node).String(), ResourceVersion: "0"}) // of its cache: the last look is not
	if err != nil {
		return nil, fmt.Errorf("list the pods of node %q: %w", r.node, err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		return !slices.Contains(r.known, pod.UID) || finished(&pod)
	}), nil
}

// result counts what became of the pods, lost being those that are still there.
func (r *round) result(lost []types.UID) Result {
	result := Result{Lost: len(lost), Owners: slices.Collect(maps.Keys(r.owners))}
	for uid, forced := range r.moved {
		switch {
		case slices.Contains(lost, uid):
		case forced:
			result.Forced++
		default:
			result.Evicted++
		}
	}
	return result
}

// move asks the pods to go that have not been asked, or were not let go a while ago.
func (r *round) move(ctx context.Context, pods []corev1.Pod, p Plan, now time.Time) {
	forcing := !p.Force.IsZero() && !now.Before(p.Force) && !r.mayNotDelete
	if p.HandsOff && !forcing {
		return
	}
	outcomes := make([]error, len(pods))
	var asked []int
	var calls errgroup.Group
	calls.SetLimit(evictionsAtOnce)
	for n := range pods {
		pod := &pods[n]
		if !r.due(pod, forcing, now) {
			continue
		}
		asked = append(asked, n)
		calls.Go(func() error {
			if forcing {
				outcomes[n] = r.delete(ctx, pod, p.Deadline.Sub(now))
			} else {
				outcomes[n] = r.helper(ctx).EvictPod(*pod, policyv1.SchemeGroupVersion)
			}
			return nil
		})
	}
	_ = calls.Wait()
	for _, n := range asked {
		r.note(ctx, &pods[n], outcomes[n], forcing, now)
	}
}

// due reports whether the pod is to be asked now. One that is on its way keeps its grace, even if that is longer than the node
// has: it could not be given more.
func (r *round) due(pod *corev1.Pod, forcing bool, now time.Time) bool {
	t := r.tried[pod.UID]
	return pod.DeletionTimestamp == nil && (forcing || now.Sub(t.last) >= t.pause())
}

// delete deletes the pod with its own grace, or what is left.
func (r *round) delete(ctx context.Context, pod *corev1.Pod, left time.Duration) error {
	grace := max(1, int64(math.Floor(left.Seconds())))
	if own := pod.Spec.TerminationGracePeriodSeconds; own != nil {
		grace = min(grace, max(1, *own))
	}
	return r.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &grace, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
}

// note takes down what came of asking a pod to go.
func (r *round) note(ctx context.Context, pod *corev1.Pod, err error, forced bool, now time.Time) {
	log := klog.FromContext(ctx)
	r.tried[pod.UID] = try{last: now, refused: r.tried[pod.UID].refused + 1}
	switch {
	case err == nil:
		r.moved[pod.UID] = forced
		if c := metav1.GetControllerOf(pod); c != nil {
			r.owners[Owner{pod.Namespace, c.UID}] = true
		}
		log.V(2).Info("Asked a pod to leave its node", "pod", klog.KObj(pod), "node", klog.KRef("", r.node), "forced", forced)
		if r.Moved != nil {
			r.Moved(pod, forced)
		}
	case apierrors.IsNotFound(err), apierrors.IsConflict(err): // gone, and maybe another by its name is there
	case apierrors.IsTooManyRequests(err):
		log.V(2).Info("A disruption budget holds a pod back", "pod", klog.KObj(pod), "node", klog.KRef("", r.node))
	case ctx.Err() != nil:
	default:
		r.mayNotDelete = r.mayNotDelete || forced && apierrors.IsForbidden(err)
		log.V(1).Info("Could not ask a pod to leave its node, trying again", "pod", klog.KObj(pod), "node", klog.KRef("", r.node), "err", err)
		if r.Stuck != nil && !r.stuck[pod.UID] {
			r.stuck[pod.UID] = true
			r.Stuck(pod, err)
		}
	}
}

// pause waits until it is time to look again.
func (r *round) pause(ctx context.Context, pods []corev1.Pod, p Plan, now time.Time) error {
	wait := again
	if slices.ContainsFunc(pods, func(pod corev1.Pod) bool { _, moved := r.moved[pod.UID]; return moved || pod.DeletionTimestamp != nil }) {
		wait = soon
	}
	for _, moment := range []time.Time{p.Force, p.Deadline} {
		if until := moment.Sub(now); until > 0 {
			wait = min(wait, until)
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.Clock.After(wait):
		return nil
	}
}
