package interruption

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/drain"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// hookPrefix begins the names of the lifecycle hooks that the autoscaler completes. All other hooks are for other tools. The
// shipped rules of EventBridge send only these, too.
const hookPrefix = "asg-autoscaler"

// heartbeatEvery is the time between two extensions of a lifecycle action while its node is drained. The shortest timeout of a hook is 30
// seconds (EC2 Auto Scaling API reference, HeartbeatTimeout).
const heartbeatEvery = 15 * time.Second

// A reading of a group that takes longer than slowReading has heartbeats beside it.
const slowReading = 5 * time.Second

// Auto Scaling may end hundreds of instances at once, and would throttle a call for each. So a reading of a group waits readGather
// for other messages, and a look-up of a hook's timeout waits hookGather. One that fails is tried again after hookAgain.
const readGather, hookGather, hookAgain = 100 * time.Millisecond, time.Second, time.Minute

type hookOf struct{ group, hook string }

// A group's readings may lag behind its hook's message for hookSettle. hookPauses are the pauses between readings, and so
// between heartbeats, by the receptions of the message, until a reading shows what it says.
const hookSettle = 2 * time.Minute

var hookPauses = []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, heartbeatEvery}

// classifyHook drains an instance that waits to be terminated, stopped by its warm pool or rebooted, and then lets Auto Scaling go on.
func (h *Handler) classifyHook(ctx context.Context, m queue.Message, e event.Event, announced time.Time) (queue.Result, outcome) {
	g := h.Groups.Snapshot().Group(e.Group)
	if g == nil {
		return h.leaveToOthers(m, e, ownersTimeHook, ownersPauseHook)
	}
	id := e.Instances[0]
	instance, owner := h.Groups.Snapshot().Instance(id)
	switch {
	case instance == nil && !g.WarmPool && g.ReadAt.Sub(announced) > hookSettle && !h.drainer.Occupied(h.names(h.nodes(id))...):
		return h.leaveToOthers(m, e, ownersTimeHook, ownersPauseHook) // our group would show it if it waited
	case instance == nil || !isHeld(g, instance):
		recent, cancel := context.WithTimeout(ctx, hookTime-h.Clock.Now().Sub(announced)) // the action waits, whatever the readings show
		defer cancel()
		stop := h.heartbeats(recent, e, slowReading)
		err := h.readings.Join(ctx, e.Group, readGather)
		stop()
		if err != nil {
			_ = h.heartbeat(recent, e)
			return queue.Retry(retryLater), putBack(ctx)
		}
		instance, owner = h.Groups.Snapshot().Instance(id)
	}
	occupied := h.drainer.Occupied(h.names(h.nodes(id))...)
	switch {
	case instance == nil && !occupied: // of the warm pool, where it may have a node, or gone
		return h.complete(ctx, m, e, noNode)
	case instance == nil && !g.WarmPool, instance != nil && owner.Name != e.Group:
		return queue.Done(), stale // terminated or detached
	case !isHeld(g, instance) && h.Clock.Now().Sub(announced) < hookSettle:
		_ = h.heartbeat(ctx, e)
		return queue.Retry(hookPauses[min(max(m.Receives, 1), len(hookPauses))-1]), postponed
	case !isHeld(g, instance):
		return queue.Done(), stale // spared, or never meant
	case h.node(id) == nil || h.dealtWith(id):
		return h.complete(ctx, m, e, empty)
	}
	r := reasonFor(e, announced, h.Clock.Now())
	j, ok := h.begin(ctx, id, e.Group, r)
	if !ok {
		return queue.Retry(retryLater), putBack(ctx)
	}
	var look sync.WaitGroup
	defer look.Wait()
	awaited, over := context.WithCancel(ctx)
	defer over()
	if occupied {
		look.Go(func() { h.lengthen(ctx, awaited, j, r, hookOf{e.Group, e.Hook}) })
	}
	defer h.hooks.Add(-1)
	if h.hooks.Add(1) > hooksAtOnce {
		_ = h.heartbeat(ctx, e) // which logs it. The next return of the message is another
		return queue.Retry(retryLater), postponed
	}
	// The first one comes at once if the last leader's last one may be old.
	stop := h.heartbeats(ctx, e, heartbeatEvery-h.Clock.Now().Sub(announced))
	result, out := h.await(ctx, []*job{j}, "", mostHidden) // the message may be gone, and nothing else completes the action
	stop()
	if result == queue.Done() {
		if i, _ := h.Groups.Snapshot().Instance(id); i != nil && i.Lifecycle.Counts() {
			h.recall(id) // it stays, with another root volume, and may be interrupted
		}
		return h.complete(ctx, m, e, out)
	}
	return result, out
}

// isHeld reports whether Auto Scaling may keep an instance of the group for a terminating hook. One that the warm pool takes back waits
// there (Warmed:Pending:Wait), where readings do not show it (EC2 Auto Scaling user guide, warm pool instance lifecycle, read 2026-11).
func isHeld(g *group.Group, i *group.Instance) bool {
	if i == nil {
		return g.WarmPool
	}
	return i.Lifecycle.Leaving() || i.Lifecycle.ReplacesRootVolume()
}

// lengthen gives the drain of a job for a hook the hook's own timeout, counted from its beginning, if that is longer, and evicted pods their
// grace. Until awaited ends it asks again for a timeout that AWS could not state. Other messages share its calls, which therefore do not
// end with awaited.
func (h *Handler) lengthen(ctx, awaited context.Context, j *job, r reason, of hookOf) {
	timeout := h.timeouts.Join(ctx, of, hookGather)
	for timeout < 0 && awsclient.Pause(awaited, h.Clock, hookAgain) == nil {
		timeout = h.timeouts.Join(ctx, of, hookGather)
	}
	c, own := j.current(), max(timeout, hookTime)
	grace := min(h.longestGrace(j.instance)+time.Minute, hookMost, hookBeats*timeout)
	r.Timeout, r.Deadline, r.Said = c.Began.Add(own), c.Began.Add(max(own, grace)), h.Clock.Now()
	if c.ARN != r.ARN || !r.Deadline.After(c.drainBy()) || !h.has(j.instance) {
		return
	}
	j.escalate(r)
	for _, node := range h.nodes(j.instance) {
		h.Events.Eventf(node, corev1.EventTypeWarning, "Interruption", "Its lifecycle hook gives its pods time until %s",
			r.Deadline.UTC().Format(time.RFC3339))
		h.cordon(ctx, j, node, annotation{Excluded: true})
	}
}

// longestGrace returns the longest grace of the instance's pods that a drain moves. Nobody ends the pods of a node whose kubelet is silent.
func (h *Handler) longestGrace(instance string) (longest time.Duration) {
	for _, node := range h.names(slices.DeleteFunc(h.nodes(instance), nodemeta.Silent)) {
		for _, pod := range nodemeta.PodsOn(h.Pods.GetIndexer(), node) {
			if drain.Moves(pod, h.Clock.Now()) {
				grace := ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
				longest = max(longest, time.Duration(min(grace, int64(hookMost/time.Second)))*time.Second)
			}
		}
	}
	return longest
}

// heartbeatTimeout is the hook's own timeout, zero if it cannot be known, negative if AWS may state it later.
func (h *Handler) heartbeatTimeout(ctx context.Context, of hookOf, take func() []struct{}) time.Duration {
	take()
	out, err := h.Hooks.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: aws.String(of.group),
		LifecycleHookNames: []string{of.hook}})
	if err != nil && !awsclient.IsRefusedForGood(err) {
		klog.FromContext(ctx).V(1).Info("Could not read the timeout of a lifecycle hook, trying again", "group", of.group, "hook", of.hook,
			"err", awsclient.Brief(err), "in", hookAgain)
		return -1
	}
	if err != nil || len(out.LifecycleHooks) == 0 {
		klog.FromContext(ctx).V(1).Info("Could not read the timeout of a lifecycle hook, the drain gets ten minutes",
			"group", of.group, "hook", of.hook, "err", err, "remedy", "allow autoscaling:DescribeLifecycleHooks")
		return 0
	}
	return time.Duration(aws.ToInt32(out.LifecycleHooks[0].HeartbeatTimeout)) * time.Second
}

// heartbeats extends a lifecycle action after a pause and then again and again, until stop is called, ctx ends, or the action is over.
func (h *Handler) heartbeats(ctx context.Context, e event.Event, pause time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() {
		for ; ; pause = heartbeatEvery {
			sleep(ctx, h.Clock, pause)
			if ctx.Err() != nil || isOver(h.heartbeat(ctx, e)) {
				return
			}
		}
	})
	return func() { cancel(); beats.Wait() }
}

func (h *Handler) heartbeat(ctx context.Context, e event.Event) error {
	_, err := h.Hooks.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: aws.String(e.Group),
		LifecycleHookName: aws.String(e.Hook), InstanceId: aws.String(e.Instances[0]), LifecycleActionToken: tokenOf(e)})
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).V(1).Info("Could not extend a lifecycle action", "group", e.Group, "hook", e.Hook, "instance", e.Instances[0],
			"err", awsclient.Brief(err), "remedy", "allow autoscaling:RecordLifecycleActionHeartbeat")
	}
	return err
}

func tokenOf(e event.Event) *string {
	if e.Token == "" {
		return nil
	}
	return aws.String(e.Token)
}

// completions bounds the tries to complete an action. After them its message returns to the queue.
const completions = 5

// isOver reports whether AWS knows no such lifecycle action any more (observed, the API reference has no code for it).
func isOver(err error) bool {
	return awsclient.Code(err) == "ValidationError" && strings.Contains(strings.ToLower(err.Error()), "no active lifecycle action found")
}

// complete lets Auto Scaling go on with an instance. An action that is over already is no error. The message stays until one of
// the two is so. A group of the same name in another region or account may wait for its hook, of an instance that is unknown here.
func (h *Handler) complete(ctx context.Context, m queue.Message, e event.Event, out outcome) (queue.Result, outcome) {
	in := &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: aws.String(e.Group), LifecycleHookName: aws.String(e.Hook),
		InstanceId: aws.String(e.Instances[0]), LifecycleActionToken: tokenOf(e), LifecycleActionResult: aws.String("CONTINUE")}
	for try := range completions {
		_, err := h.Hooks.CompleteLifecycleAction(ctx, in)
		log := klog.FromContext(ctx).WithValues("group", e.Group, "hook", e.Hook, "instance", e.Instances[0])
		switch {
		case err == nil:
			log.V(1).Info("Completed a lifecycle action")
			return queue.Done(), out
		case isOver(err):
			log.V(1).Info("A lifecycle action is over already", "err", awsclient.Brief(err))
			if i, _ := h.Groups.Snapshot().Instance(e.Instances[0]); i == nil && out == noNode {
				return h.leaveToOthers(m, e, ownersTimeHook, ownersPauseHook)
			}
			return queue.Done(), out
		case ctx.Err() != nil:
			return queue.Retry(0), unfinished
		}
		log.Error(err, "Could not complete a lifecycle action", "remedy", "allow autoscaling:CompleteLifecycleAction")
		if out == noNode && awsclient.IsRefusedForGood(err) {
			return queue.Done(), out // no node waits, and AWS itself ends the action
		}
		sleep(ctx, h.Clock, time.Second<<try)
	}
	if ctx.Err() != nil {
		return queue.Retry(0), unfinished
	}
	return queue.Retry(retryLater), postponed
}
