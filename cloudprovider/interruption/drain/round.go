package drain

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// round is one Drain under way. One goroutine uses it. Calls run beside it and report through outcomes.
type round struct {
	*Drainer
	nodes     func() []string // of which the pods are moved
	deletions chan struct{}   // one token per deletion under way
	outcomes  chan outcome
	asking    map[types.UID]bool // pods with a call under way

	present []types.UID             // the pods to move at the last look
	alive   map[types.UID]time.Time // when a pod was last seen that nobody had deleted
	unseen  bool                    // the last look failed
	tried   map[types.UID]try       // pods whose eviction or deletion was tried
	moved   map[types.UID]bool      // pods on their way, and whether by force
	absent  map[types.UID]bool      // pods that the API server no longer has, whatever the cache shows
	stuck   map[types.UID]bool      // pods that Stuck was called with
	owners  map[types.UID]bool

	latecomers *Latecomers

	forcing      bool        // budgets no longer count
	mayNotDelete bool        // the API server forbids us to delete pods
	unmarked     atomic.Bool // the API server forbids us to mark pods, or does not answer
	markUntil    time.Time   // the rest of the time is for deletions alone
}

func (r *round) run(ctx context.Context, plan func() Plan) (Result, error) {
	calls, endCalls := context.WithCancel(ctx)
	defer endCalls()
	evictions, endEvictions := context.WithCancel(calls)
	defer endEvictions()
	for {
		unseen, looks := r.unseen, plan()
		r.latecomers = looks.Latecomers
		pods, err := r.look(ctx, looks.Deadline)
		now, p := r.Clock.Now(), plan()
		over := !p.Deadline.IsZero() && !now.Before(p.Deadline)
		switch {
		case ctx.Err() != nil:
			return r.end(ctx, endCalls), ctx.Err()
		case err != nil && unseen: // logged before
		case err != nil:
			klog.FromContext(ctx).Error(err, "Could not look at the pods, trying again", "nodes", r.nodes())
		case len(pods) == 0:
			return r.end(ctx, func() {}), nil // waits for the last answers, which say which pods were moved
		}
		if over {
			return r.end(ctx, endCalls), nil
		}
		before := r.forcing
		r.forcing = !r.mayNotDelete && !p.Force.IsZero() && !now.Before(p.Force)
		if r.forcing && !before { // deletions must not wait for evictions
			r.markUntil = now.Add(p.Deadline.Sub(now) / 4)
			endEvictions()
			r.settle(ctx)
			evictions = calls // for pods that we may not delete
		}
		due := r.due(pods, now)
		if p.HandsOff != nil && !r.forcing {
			due = slices.DeleteFunc(due, p.HandsOff)
		}
		if r.forcing {
			r.ask(calls, due, p.Deadline)
		} else {
			r.ask(evictions, due, time.Time{})
		}
		r.pause(ctx, pods, p)
	}
}

// end ends the calls under way and counts the pods by result.
func (r *round) end(ctx context.Context, endCalls func()) Result {
	endCalls()
	r.settle(ctx)
	result := Result{Unseen: r.unseen, Owners: slices.Collect(maps.Keys(r.owners))}
	left := slices.DeleteFunc(r.present, func(uid types.UID) bool { return r.absent[uid] })
	result.Lost = len(left)
	for uid, forced := range r.moved {
		switch {
		case slices.Contains(left, uid):
		case forced:
			result.Forced++
		default:
			result.Evicted++
		}
	}
	return result
}

func (r *round) settle(ctx context.Context) {
	for len(r.asking) > 0 {
		r.record(ctx, <-r.outcomes)
	}
}

// look finds the pods that are still to move. Where the cache shows none it asks the API server, because the cache may be
// behind. After a failed look the node does not count as empty. The list ends with the deadline at the latest.
func (r *round) look(ctx context.Context, deadline time.Time) (pods []*corev1.Pod, err error) {
	pods = r.cached(r.nodes())
	r.latecomers.see(pods, r.present == nil)
	pods = slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return !r.moves(pod) || r.absent[pod.UID] })
	if len(pods) == 0 {
		if left := deadline.Sub(r.Clock.Now()); !deadline.IsZero() && left < listTime {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, max(left, time.Second))
			defer cancel()
		}
		pods, err = r.listed(ctx, r.nodes())
		r.latecomers.see(pods, r.present == nil)
		pods = slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return !r.moves(pod) })
	}
	names := r.nodes() // another node may have got a name meanwhile
	pods = slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return !slices.Contains(names, pod.Spec.NodeName) })
	if r.unseen = err != nil; r.unseen {
		return nil, err
	}
	r.present = make([]types.UID, 0, len(pods))
	for _, pod := range pods {
		delete(r.absent, pod.UID)
		r.present = append(r.present, pod.UID)
	}
	return pods, nil
}

// moves is Moves, without latecomers that stay. The API server's clock may be minutes from ours, so a pod that was alive at an earlier look has
// its grace by ours.
func (r *round) moves(pod *corev1.Pod) bool {
	now := r.Clock.Now()
	alive, seen := r.alive[pod.UID]
	switch {
	case pod.DeletionTimestamp == nil:
		r.alive[pod.UID] = now
	case seen:
		ours := *pod
		ours.DeletionTimestamp = &metav1.Time{Time: alive.Add(time.Duration(ptr.Deref(pod.DeletionGracePeriodSeconds, 0)) * time.Second)}
		pod = &ours
	}
	return Moves(pod, now) && !r.latecomers.stays(pod)
}

// due are the pods to evict or delete now. A pod on its way keeps its grace, even if the instance ends sooner: nobody could
// give it more.
func (r *round) due(pods []*corev1.Pod, now time.Time) (due []*corev1.Pod) {
	for _, pod := range pods {
		t := r.tried[pod.UID]
		pause := min(askFirst+time.Duration(max(0, t.refused-1))*askMore, askMost)
		_, moved := r.moved[pod.UID]
		if moved {
			pause = askMost // the cache has yet to show it
		}
		if pod.DeletionTimestamp == nil && !r.asking[pod.UID] && (r.forcing && !moved || now.Sub(t.last) >= pause) {
			due = append(due, pod)
		}
	}
	return due
}

// ask starts the pods' evictions or, if budgets no longer count, their deletions before the deadline.
func (r *round) ask(ctx context.Context, pods []*corev1.Pod, deadline time.Time) {
	for _, pod := range pods {
		r.asking[pod.UID] = true
		forced, slots := r.forcing, []chan struct{}{r.deletions}
		if !forced {
			slots = r.evictionSlots(pod)
		}
		go func() {
			err := inTurn(ctx, slots, func() error { return r.call(ctx, pod, forced, deadline) })
			r.outcomes <- outcome{pod: pod, forced: forced, err: err}
		}()
	}
}

// inTurn makes the call while it has a token in each of the slots.
func inTurn(ctx context.Context, slots []chan struct{}, call func() error) error {
	for _, tokens := range slots {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case tokens <- struct{}{}:
			defer func() { <-tokens }()
		}
	}
	return call()
}

// call evicts or, if forced, deletes the pod. It isolates a panic to the pod.
func (r *round) call(ctx context.Context, pod *corev1.Pod, forced bool, deadline time.Time) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
			klog.FromContext(ctx).Error(err, "Moving a pod broke, it is tried again", "pod", klog.KObj(pod), "stack", string(debug.Stack()))
		}
	}()
	if forced {
		return r.delete(ctx, pod, deadline)
	}
	return r.evict(ctx, pod)
}

// pause waits until the next look, and records the answers that come meanwhile.
func (r *round) pause(ctx context.Context, pods []*corev1.Pod, p Plan) {
	wait := lookEvery
	if slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { _, moved := r.moved[pod.UID]; return moved || pod.DeletionTimestamp != nil }) {
		wait = lookSoon
	}
	now := r.Clock.Now()
	for _, moment := range []time.Time{p.Force, p.Deadline} {
		if until := moment.Sub(now); until > 0 {
			wait = min(wait, until)
		}
	}
	timer := r.Clock.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-r.outcomes:
			r.record(ctx, o)
			if left := wait - r.Clock.Since(now); o.err == nil && left > lookSoon {
				timer.Reset(lookSoon)
			}
		case <-timer.C():
			return
		}
	}
}
