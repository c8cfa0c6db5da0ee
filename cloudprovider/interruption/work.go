package interruption

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
)

const (
	// decisionTime is how long the eviction waits for the core to decide on the replacement, wakeAgain when it is asked once more.
	decisionTime, wakeAgain = 3 * time.Second, 500 * time.Millisecond
	// replacementTime is how long a planned drain waits for the replacement to be ready.
	replacementTime = 5 * time.Minute
	// elsewhereTime is how long an empty node is kept until its pods run elsewhere, elsewhereReserve what is left of its time then:
	// an instance that AWS takes before it is handed back is replaced twice.
	elsewhereTime, elsewhereReserve = 25 * time.Second, 15 * time.Second
	// joiningTime is how long an instance's node is waited for that is not known.
	joiningTime = 2 * time.Second
	// writeRetry is the pause after a write to a node that failed, writeTime how long it is tried.
	writeRetry, writeTime = 200 * time.Millisecond, 15 * time.Second
)

// work sees one instance through, from the cordon of its node until it is handed back.
func (h *Handler) work(ctx context.Context, j *job) outcome {
	node := h.joined(ctx, j.instance)
	if m, ok := markOf(node); ok { // its message may come to the next leader before that looks at the node
		j.resumed = m
		j.hurry(m.resumed(h.Clock.Now()))
	}
	c := j.current()
	if c.takesPool() && j.resumed.kind == "" {
		if i, _ := h.Groups.Snapshot().Instance(j.instance); i != nil {
			h.Groups.Interrupted(asg.Pool{InstanceType: i.Type, Zone: i.Zone}, "EC2 takes back spot instance "+i.ID)
		}
	}
	if node == nil {
		klog.FromContext(ctx).Info("An instance that has no node is about to go", "kind", c.kind, "reason", c.reason)
		if !h.handBack(ctx, j, nil) {
			return handBackFailed
		}
		return noNode
	}
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("node", klog.KRef("", node.Name)))
	h.write(ctx, node, func(n *corev1.Node) *corev1.Node {
		return marked(n, mark{cause: j.current(), handedBack: j.resumed.handedBack})
	})
	klog.FromContext(ctx).Info("Cordoned a node that is about to go", "kind", c.kind, "reason", c.reason,
		"deadline", c.by().UTC().Format(time.RFC3339), "resumed", j.resumed.kind != "")
	h.Events.Eventf(node, corev1.EventTypeWarning, "Interruption", "Cordoned and drained, by %s: %s",
		c.by().UTC().Format(time.RFC3339), c.reason)
	return h.drain(ctx, j, node)
}

// joined waits a little for the node of an instance; nil if there is none.
func (h *Handler) joined(ctx context.Context, instance string) *corev1.Node {
	for until := h.Clock.Now().Add(joiningTime); ; {
		if node := h.node(instance); node != nil || !h.Clock.Now().Before(until) || ctx.Err() != nil {
			return node
		}
		h.Clock.Sleep(100 * time.Millisecond)
	}
}

// write changes a node, on what the cache has of it or, if that is too old, on what the API server has. It tries until it
// succeeds, the node is gone, or the time for it is over: what follows does not depend on it. It needs no permission but to get
// and to update nodes.
func (h *Handler) write(ctx context.Context, node *corev1.Node, change func(*corev1.Node) *corev1.Node) {
	nodes := h.Cordons.CoreV1().Nodes()
	until := h.Clock.Now().Add(writeTime)
	for told := false; ctx.Err() == nil && h.Clock.Now().Before(until); {
		_, err := nodes.Update(ctx, change(node), metav1.UpdateOptions{})
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
		if !apierrors.IsConflict(err) {
			if !told && ctx.Err() == nil {
				told = true
				klog.FromContext(ctx).Error(err, "Could not write the node, trying again", "node", klog.KObj(node))
			}
			sleep(ctx, h.Clock, writeRetry)
		}
		fresh, err := nodes.Get(ctx, node.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || err == nil && fresh.UID != node.UID:
			return
		case err == nil:
			node = fresh
		}
	}
}

// drain empties the node of a job, and gives the instance back.
func (h *Handler) drain(ctx context.Context, j *job, node *corev1.Node) outcome {
	if h.drainer.Occupied(node.Name) {
		h.replaceFirst(ctx, j, node)
	}
	result, err := h.drainer.Drain(ctx, node.Name, func() drain.Plan { return h.plan(j) })
	h.metrics.evicted.Add(float64(result.Evicted + result.Forced))
	if err != nil {
		return leftBehind
	}
	c := j.current()
	now := h.Clock.Now()
	h.metrics.duration.Observe(now.Sub(c.began).Seconds())
	if result.Lost == 0 {
		h.metrics.timeLeft.Observe(max(0, c.by().Sub(now).Seconds()))
	}
	h.metrics.lost.Add(float64(result.Lost))
	klog.FromContext(ctx).Info("Drained a node", "kind", c.kind, "took", now.Sub(c.began).Round(time.Millisecond),
		"evicted", result.Evicted, "forced", result.Forced, "lost", result.Lost)
	if result.Lost == 0 && !result.Unseen {
		h.awaitElsewhere(ctx, j, result.Owners)
		late, err := h.drainLate(ctx, j, node, now)
		if err != nil {
			return leftBehind
		}
		result.Evicted, result.Forced, result.Lost, result.Unseen = result.Evicted+late.Evicted, result.Forced+late.Forced, late.Lost, late.Unseen
	}
	if (result.Lost > 0 || result.Unseen) && !j.current().leaves() {
		h.lift(ctx, node, "its pods could not be moved in time")
		return gaveUp
	}
	if !h.handBack(ctx, j, node) {
		return handBackFailed
	}
	switch {
	case result.Lost > 0 || result.Unseen:
		return lost
	case result.Forced > 0:
		return forced
	case result.Evicted > 0:
		return drained
	}
	return empty
}

// bindTime is how long after the cordon kube-scheduler may still bind a pod to the node, because it had chosen the node before.
const bindTime = time.Second

// drainLate looks once more before the instance goes, and moves the pods that came after the drain had found the node empty.
func (h *Handler) drainLate(ctx context.Context, j *job, node *corev1.Node, emptyAt time.Time) (drain.Result, error) {
	if wait := bindTime - h.Clock.Since(emptyAt); wait > 0 && j.current().by().Sub(h.Clock.Now()) > returnReserve {
		sleep(ctx, h.Clock, wait)
	}
	late, err := h.drainer.Drain(ctx, node.Name, func() drain.Plan { return h.plan(j) })
	h.metrics.evicted.Add(float64(late.Evicted + late.Forced))
	h.metrics.lost.Add(float64(late.Lost))
	return late, err
}

// plan is how the node of a job is drained, as of now.
func (h *Handler) plan(j *job) drain.Plan {
	c := j.current()
	p := drain.Plan{Deadline: c.by()}
	if c.leaves() && h.AtDeadline == Force {
		p.Force = c.force()
	}
	if node := h.node(j.instance); node != nil {
		p.HandsOff = drainedByOther(node)
	}
	return p
}

// replaceFirst has the core decide on the replacement of the node's pods. A planned drain waits until that is there, or as little time
// is left as after a warning. Where the group itself replaces instances at risk, that is left to it.
func (h *Handler) replaceFirst(ctx context.Context, j *job, node *corev1.Node) {
	if g := h.Groups.Snapshot().Group(j.group); g != nil && g.CapacityRebalance || drainedByOther(node) {
		j.decide()
		return
	}
	j.setDoomed(node.Name)
	if !h.awaitDecision(ctx, j) {
		klog.FromContext(ctx).V(1).Info("The replacement was not decided on in time, evicting all the same", "waited", decisionTime)
	}
	until := h.Clock.Now().Add(replacementTime)
	for c := j.current(); c.planned() && ctx.Err() == nil && h.Clock.Now().Before(earlier(until, c.by().Add(-notice))) && !h.replaced(); c = j.current() {
		sleep(ctx, h.Clock, time.Second)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// awaitDecision has the core's loop run until it has counted the node's pods: the first one may not have seen the cordon yet. It
// reports whether that was in time.
func (h *Handler) awaitDecision(ctx context.Context, j *job) bool {
	for until := h.Clock.Now().Add(decisionTime); h.Clock.Now().Before(until); {
		h.Wake()
		select {
		case <-j.decided:
			return true
		case <-h.Clock.After(wakeAgain):
		case <-ctx.Done():
			return true
		}
	}
	return false
}

// replaced reports whether every instance that was asked for has become a ready node.
func (h *Handler) replaced() bool {
	for _, g := range h.Groups.Snapshot().Groups() {
		if g.Missing() > g.Overdue {
			return false
		}
		for _, i := range g.Counted() {
			if node := h.node(i.ID); i.Lifecycle.Starting() || node == nil || !ready(node) {
				return false
			}
		}
	}
	return true
}

// awaitElsewhere waits until the pods that were moved run elsewhere, as far as the time allows.
func (h *Handler) awaitElsewhere(ctx context.Context, j *job, owners []types.UID) {
	until := h.Clock.Now().Add(elsewhereTime)
	for len(owners) > 0 && ctx.Err() == nil && h.belongs(j.instance) {
		if now := h.Clock.Now(); !now.Before(until) || j.current().by().Sub(now) < elsewhereReserve {
			return
		}
		sleep(ctx, h.Clock, time.Second) // their controllers take a moment, too
		if h.runElsewhere(owners) {
			return
		}
	}
}

// byStarting is the index of the pods that are still to become ready, by the UID of their controller. The informer keeps it once for
// all drains: a hundred of them look every second, and a controller may have twenty thousand pods.
const byStarting = "asg-autoscaler/starting"

var startingPods = cache.Indexers{byStarting: func(object any) ([]string, error) {
	if pod, ok := object.(*corev1.Pod); ok && starting(pod) {
		if c := metav1.GetControllerOf(pod); c != nil {
			return []string{string(c.UID)}, nil
		}
	}
	return nil, nil
}}

// runElsewhere reports whether all pods of these controllers are ready, apart from the ones on their way out.
func (h *Handler) runElsewhere(owners []types.UID) bool {
	return !slices.ContainsFunc(owners, func(owner types.UID) bool {
		keys, err := h.Pods.GetIndexer().IndexKeys(byStarting, string(owner))
		return err == nil && len(keys) > 0
	})
}

// starting reports whether a pod is to become ready and is not.
func starting(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	return !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// lift puts a node back into use.
func (h *Handler) lift(ctx context.Context, node *corev1.Node, why string) {
	h.write(ctx, node, unmarked)
	klog.FromContext(ctx).Info("Put a node back into use", "node", klog.KObj(node), "reason", why)
	h.Events.Eventf(node, corev1.EventTypeNormal, "InterruptionOver", "Put back into use: %s", why)
}
