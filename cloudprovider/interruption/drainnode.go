package interruption

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// The eviction waits decisionTime for the core to decide on the replacement. wakeAgain is the pause before the
	// core is woken once more.
	decisionTime, wakeAgain = 3 * time.Second, 500 * time.Millisecond
	// An empty node is kept until its pods run on other nodes, for podsReadyTime at most. podsReadyReserve is the time that must then
	// be left: an instance that AWS takes before it is terminated here is replaced twice. In a group at a limit it is kept for
	// podsReadyTimeFull, because a replacement may need its place. So is one that Capacity Rebalancing replaces only once it has ended.
	podsReadyTime, podsReadyTimeFull, podsReadyReserve = notice, 25 * time.Second, 15 * time.Second
	// joiningTime bounds the wait for the unknown node of an instance.
	joiningTime = 2 * time.Second
	// writeRetry is the pause after a failed write to a node, writeTime the bound of the tries. By default the API server waits ten seconds
	// for a webhook that hangs, and it stores nothing for a caller that has left. Evictions wait cordonTime for the cordon, and the cordon as
	// long for a reading of the group.
	writeRetry, writeTime, cordonTime = 200 * time.Millisecond, 15 * time.Second, 3 * time.Second
)

// begin begins or joins the job of an instance. Where it has much less time by that, or was planned for another reason, its nodes say so.
func (h *Handler) begin(ctx context.Context, instance, group string, r reason) (*job, bool) {
	j, changed, ok := h.jobs.begin(ctx, instance, group, r)
	if ok && r.poolIsShort() && j.short.CompareAndSwap(false, true) { // drained for another reason so far
		h.interrupted(instance)
	}
	if changed {
		for _, node := range h.nodes(instance) {
			m, _ := annotationOf(node)
			if m.Kind != event.Reboot && !m.Terminating.IsZero() && (r.Kind == event.StateChange || r.Kind == event.TerminateHook) {
				continue // by our own call
			}
			h.tell(node, j.group, "Cordoned and drained", j.current())
			h.cordon(ctx, j, node, annotation{Excluded: !j.current().planned()})
		}
	}
	return j, ok
}

const calledOff = "AWS has called its change off, or it is done"

// callOff ends the drain of an instance for a change that is done or called off, also one that no process has taken up.
func (h *Handler) callOff(ctx context.Context, instance string, r reason) {
	r.Deadline, r.Ends, r.over = r.Began, false, true
	if r.ARN == "" || !h.jobs.callOff(instance, r) {
		return
	}
	for _, node := range h.nodes(instance) {
		if m, _ := annotationOf(node); m.ARN == r.ARN && m.Terminating.IsZero() {
			h.restore(ctx, node, calledOff)
		}
	}
}

// tell says in an event and in the record why a node goes, and by when.
func (h *Handler) tell(node *corev1.Node, group, did string, r reason) {
	h.Events.Eventf(node, corev1.EventTypeWarning, "Interruption", "%s, by %s: %s",
		did, r.drainBy().UTC().Format(time.RFC3339), r.Text)
	h.Draining(node.Name, group, r.Text)
}

// work handles one instance, from the cordon of its node to its termination.
func (h *Handler) work(ctx context.Context, j *job) outcome {
	nodes := h.nodes(j.instance)
	for until := h.Clock.Now().Add(joiningTime); len(nodes) == 0 && h.Clock.Now().Before(until) && ctx.Err() == nil; {
		h.Clock.Sleep(100 * time.Millisecond)
		nodes = h.nodes(j.instance)
	}
	for _, node := range nodes {
		if m, ok := annotationOf(node); ok { // its message may reach the next leader before reconcile does
			j.resumed = m
			j.escalate(m.resumed(h.Clock.Now()))
		}
	}
	c := j.current()
	// The process that began the drain has noted the pool, this one may not have. After the cool-down its note would be over.
	if c.poolIsShort() && (!j.resumed.poolIsShort() || h.Clock.Since(j.resumed.Began) < cooldown.ShortestPoolCoolDown) {
		h.interrupted(j.instance)
	}
	if len(nodes) == 0 {
		out := h.endWithoutNode(ctx, j)
		if nodes = h.nodes(j.instance); len(nodes) == 0 {
			return cmp.Or(out, noNode)
		}
		c = j.current()
	}
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("node", klog.KRef("", nodes[0].Name)))
	planned := c.planned() // so its pods serve until they have a place, which may take weeks
	var late sync.WaitGroup
	defer late.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, node := range nodes {
		log, did := "Cordoned a node that is about to go", "Cordoned and drained"
		if !h.cordonSoon(ctx, j, node, annotation{Excluded: !planned}) {
			if j.current().planned() { // evicted pods would come back to the node
				return broken
			}
			log, did = "Could not cordon a node that is about to go, draining it all the same", "Could not be cordoned, drained all the same"
			j.decide() // the core does not count the pods of a node that is not cordoned
			late.Go(func() {
				for ctx.Err() == nil && !h.cordon(ctx, j, node, annotation{Excluded: true}) {
				}
			})
		}
		klog.FromContext(ctx).Info(log, "kind", c.Kind, "reason", c.Text,
			"deadline", c.drainBy().UTC().Format(time.RFC3339), "resumed", j.resumed.Kind != "")
		h.tell(node, j.group, did, c)
	}
	if c.Kind == event.Reboot && !j.resumed.Terminating.IsZero() { // an earlier leader has called EC2
		return h.terminate(ctx, j, nodes)
	}
	if h.drainer.Occupied(h.names(nodes)...) {
		if !h.replaceFirst(ctx, j, nodes) {
			return h.giveUp(ctx, j, nodes, "its pods found no place on other nodes in time")
		}
	}
	if planned {
		for _, node := range nodes {
			h.cordonSoon(ctx, j, node, annotation{Excluded: true})
		}
	}
	return h.drain(ctx, j, nodes)
}

// endWithoutNode terminates the instance of a job once it can be no node with another provider ID, and waits for its node while it may
// run: a hook of another tool may keep it running, and its node may come, or get its ID.
func (h *Handler) endWithoutNode(ctx context.Context, j *job) (out outcome) {
	log, c := klog.FromContext(ctx), j.current()
	log.Info("An instance that has no node is about to go", "kind", c.Kind, "reason", c.Text)
	over := func() bool { return len(h.nodes(j.instance)) > 0 || ctx.Err() != nil }
	for before := ""; !over(); sleep(ctx, h.Clock, time.Second) {
		cause, remedy := h.Elsewhere(j.instance) // any such node, until EC2 has shown the instance's names
		if cause == "" {
			out = h.terminate(ctx, j, nil)
			break
		}
		if cause != before {
			log.Info("Left the instance to AWS", "reason", cause, "remedy", remedy)
		}
		if before = cause; !h.mayRun(j) {
			break
		}
	}
	for out == "" && !over() && h.mayRun(j) {
		sleep(ctx, h.Clock, time.Second)
	}
	return out
}

// mayRun reports whether the instance of a job is known, and AWS ends it only later.
func (h *Handler) mayRun(j *job) bool {
	i, _ := h.Groups.Snapshot().Instance(j.instance)
	c := j.current()
	return i != nil && c.endsAtDeadline() && h.Clock.Now().Before(c.drainBy())
}

// cordon marks a node with the reason of the job. more says whether it leaves load balancers as well, and when termination began.
func (h *Handler) cordon(ctx context.Context, j *job, node *corev1.Node, more annotation) bool {
	return h.write(ctx, node, j.current().drainBy(), func(n *corev1.Node) *corev1.Node {
		more.reason, more.Group = j.current(), j.group
		return cordoned(n, more)
	})
}

// cordonSoon is cordon, and has little time unless the drain is planned: the instance goes whether its node is cordoned or not.
func (h *Handler) cordonSoon(ctx context.Context, j *job, node *corev1.Node, more annotation) bool {
	limit := writeTime
	if !j.current().planned() {
		limit = cordonTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return h.cordon(ctx, j, node, more)
}

// interrupted notes that the pool of the instance is short of capacity.
func (h *Handler) interrupted(instance string) {
	if i, _ := h.Groups.Snapshot().Instance(instance); i != nil {
		h.Groups.Interrupted(cooldown.Pool{InstanceType: i.Type, Zone: i.Zone}, "EC2 takes back spot instance "+i.ID)
	}
}

// write changes a node, first in the cache's version and, if that is too old, in the API server's. It tries until it succeeds,
// the node is gone, or its time is over: writeTime, or a quarter of the time until the deadline of the drain. It reports
// whether the node is gone or changed. It needs only the permissions to get and update nodes.
// A change of nil ends it.
func (h *Handler) write(ctx context.Context, node *corev1.Node, deadline time.Time, change func(*corev1.Node) *corev1.Node) (written bool) {
	ctx, cancel := context.WithTimeout(ctx, min(writeTime, max(time.Second, deadline.Sub(h.Clock.Now())/4)))
	defer cancel()
	for logged := false; ctx.Err() == nil; {
		changed := change(node)
		if changed == nil {
			return false
		}
		_, err := h.Cordons.CoreV1().Nodes().Update(ctx, changed, metav1.UpdateOptions{})
		if err == nil || apierrors.IsNotFound(err) {
			return true
		}
		if !apierrors.IsConflict(err) {
			if !logged && !errors.Is(ctx.Err(), context.Canceled) {
				logged = true
				klog.FromContext(ctx).Error(err, "Could not write the node, trying again", "node", klog.KObj(node))
			}
			sleep(ctx, h.Clock, writeRetry)
		}
		fresh, err := h.Cordons.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || err == nil && fresh.UID != node.UID:
			return true
		case err == nil:
			node = fresh
		default:
			sleep(ctx, h.Clock, writeRetry)
		}
	}
	return false
}

// names returns the names of the nodes. It leaves out a name that a newer node has got meanwhile, whose pods are not ours to move.
func (h *Handler) names(nodes []*corev1.Node) (names []string) {
	for _, node := range nodes {
		now, exists, _ := h.Nodes.GetStore().GetByKey(node.Name)
		if !exists || now.(*corev1.Node).UID == node.UID {
			names = append(names, node.Name)
		}
	}
	return names
}

// drain empties the nodes of a job, and terminates the instance.
func (h *Handler) drain(ctx context.Context, j *job, nodes []*corev1.Node) outcome {
	names, left := func() []string { return h.names(nodes) }, h.Clock.Now()
	result, err := h.drainer.Drain(ctx, names, func() drain.Plan { return h.plan(j) })
	h.metrics.evicted.Add(float64(result.Evicted + result.Forced))
	if err != nil {
		return unfinished
	}
	c := j.current()
	now := h.Clock.Now()
	h.metrics.duration.Observe(now.Sub(c.Began).Seconds())
	if result.Lost == 0 {
		h.metrics.timeLeft.Observe(max(0, c.drainBy().Sub(now).Seconds()))
	}
	klog.FromContext(ctx).Info("Drained a node", "kind", c.Kind, "took", now.Sub(c.Began).Round(time.Millisecond),
		"evicted", result.Evicted, "forced", result.Forced, "lost", result.Lost)
	if result.Lost == 0 && !result.Unseen {
		h.awaitPodsReady(ctx, j, result.Owners)
		c = j.current()
		until := c.drainBy().Sub(h.Clock.Now())
		wait := min(bindTime-h.Clock.Since(now), until-terminateReserve)
		// An instance that ends serves nobody. A node that joins has not passed the checks of load balancers yet.
		n := h.node(j.instance)
		joins := n != nil && !nodemeta.Ready(n) && h.Clock.Since(n.CreationTimestamp.Time) < time.Minute
		if c.Kind != event.StateChange && !joins {
			wait = max(wait, min(LeaveTime-h.Clock.Since(left), until-podsReadyReserve))
		}
		if wait > 0 {
			sleep(ctx, h.Clock, wait)
		}
		late, err := h.drainer.Drain(ctx, names, func() drain.Plan { return h.plan(j) }) // the pods that came after the node was found empty
		h.metrics.evicted.Add(float64(late.Evicted + late.Forced))
		if err != nil {
			return unfinished
		}
		result.Evicted, result.Forced, result.Lost, result.Unseen = result.Evicted+late.Evicted, result.Forced+late.Forced, late.Lost, late.Unseen
	}
	c = j.current()
	works := c.Kind != event.Reboot || slices.ContainsFunc(h.nodes(j.instance), nodemeta.Ready) // otherwise its pods are of no use
	if h.takenBack(j) != "" || (result.Lost > 0 || result.Unseen) && !c.endsAtDeadline() && works {
		return h.giveUp(ctx, j, nodes, "its pods could not be moved in time")
	}
	if c.Kind != event.Reboot { // whose pods the move did not wait for, because their node does not work
		h.metrics.lost.Add(float64(result.Lost))
	}
	switch out := h.terminate(ctx, j, nodes); {
	case out != "":
		return out
	case result.Lost > 0 || result.Unseen:
		return lost
	case result.Forced > 0:
		return forced
	case result.Evicted > 0:
		return drained
	}
	return empty
}

const (
	// Up to bindTime after the cordon, kube-scheduler may still bind a pod to the node, because it had chosen the node before.
	bindTime = time.Second
	// LeaveTime is how long load balancers may take until they send no more through the node. An ALB took 17 s
	// (aws-load-balancer-controller, issue 2366).
	LeaveTime = 20 * time.Second
)

func (h *Handler) plan(j *job) drain.Plan {
	c := j.current()
	p := drain.Plan{Deadline: c.drainBy(), Latecomers: &j.latecomers}
	if h.takenBack(j) != "" {
		p.Deadline = c.Began // no further pod is evicted
	} else if c.endsAtDeadline() && h.AtDeadline == Force {
		p.Force = c.forceBy()
	}
	if h.drainedByCore(j) {
		// The core may take minutes over each priority (--drain-priority-config). It evicts by name, also a pod that has come again on
		// another node, and takes one that is gone for evicted (evictPod, read 2026-11).
		p.HandsOff = func(pod *corev1.Pod) bool { return !c.endsAtDeadline() || comesAgain(pod) }
	}
	j.latecomers.Cordoned = slices.ContainsFunc(h.nodes(j.instance), tainted)
	return p
}

func (h *Handler) giveUp(ctx context.Context, j *job, nodes []*corev1.Node, why string) outcome {
	if j.abandoned = j.current(); j.abandoned.over { // another reason may come while the nodes are put back
		why = calledOff
	}
	why = cmp.Or(h.takenBack(j), why)
	for _, node := range nodes {
		for !h.restore(ctx, node, why) && h.takenBack(j) != "" && ctx.Err() == nil { // reconcile may not know the group
		}
	}
	return gaveUp
}

// restore puts a node back into use, and reports whether it could. If not, reconcile tries again while the node's group is ours.
func (h *Handler) restore(ctx context.Context, node *corev1.Node, why string) bool {
	var did string
	if !h.write(ctx, node, h.Clock.Now().Add(plannedTime), func(n *corev1.Node) *corev1.Node {
		did = "Put back into use"
		m, _ := annotationOf(n)
		n = uncordoned(n)
		if s, _ := move.StateOf(n); m.Kind == event.Reboot && s.AwaitsReboot(n) {
			s.Step, s.Began = move.Rebooted, time.Time{} // it is replaced
			n.Annotations[move.Annotation] = s.Text()
		}
		if n.Spec.Unschedulable {
			did = "No longer drained, but still cordoned by somebody else"
		}
		return n
	}) {
		return false
	}
	h.recall(nodemeta.InstanceOf(node))
	if n := h.node(nodemeta.InstanceOf(node)); n != nil && nodemeta.DrainedByCore(n) {
		return true // the core goes on with its removal
	}
	klog.FromContext(ctx).Info("The interruption of a node is over", "node", klog.KObj(node), "did", did, "reason", why)
	h.Events.Eventf(node, corev1.EventTypeNormal, "InterruptionOver", "%s: %s", did, why)
	return true
}
