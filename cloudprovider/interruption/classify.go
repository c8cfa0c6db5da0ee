package interruption

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ledger"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

const (
	// deliveryTime is well above the 24 hours for which EventBridge tries to deliver an event (EventBridge user guide, retry
	// policy). An event that seems older when SQS receives it has a wrong time.
	deliveryTime = 48 * time.Hour
	// mostRetention is the longest time for which SQS keeps a message (SQS developer guide, read 2026-11).
	mostRetention = 14 * 24 * time.Hour
	// A message waits for its work for patience before it returns to the queue. One of a lifecycle hook, which may last two days, waits
	// for mostHidden, the longest time for which SQS hides a message.
	patience, mostHidden = 10 * time.Minute, 12 * time.Hour
	// turnAgain is the pause between two tries of a node that waits for other nodes of its group.
	turnAgain = time.Second
	// plannedAtOnce and hooksAtOnce bound the messages of planned drains and of lifecycle hooks that are handled at once. They may
	// wait for hours, and a warning must find a free slot of the queue's 3000. plannedLater is the pause of the other planned drains.
	// The other drains of hooks go on, and each return of their message is a heartbeat.
	plannedAtOnce, hooksAtOnce, plannedLater = 500, 400, 5 * time.Minute
	// retryLater is the pause of a message that waits for another job to end.
	retryLater = 15 * time.Second
)

// classify decides what to do about an event, and returns once that is done.
func (h *Handler) classify(ctx context.Context, m queue.Message, e event.Event) (queue.Result, outcome) {
	now := h.Clock.Now()
	announced := eventTime(m, e, now)
	e.Starts = startTime(m, e, now)
	switch {
	case e.Kind == event.TerminateHook && !strings.HasPrefix(e.Hook, hookPrefix):
		return queue.Done(), otherHook
	case e.Kind == event.TerminateHook:
		return h.classifyHook(ctx, m, e, announced)
	case e.Group != "":
		return h.classifyActivity(m, e)
	case e.Kind == event.StateChange && !e.Ending():
		return queue.Done(), counted
	case e.Kind != event.ScheduledChange && e.Kind != event.Rebalance && // they wait for their turn
		now.Sub(announced) > staleAfter && !e.Starts.After(now):
		return queue.Done(), stale
	}
	if reasonFor(e, announced, now).waitsForOthers(now) {
		defer h.planned.Add(-1)
		if h.planned.Add(1) > plannedAtOnce {
			return queue.Retry(plannedLater), postponed
		}
	}
	jobs, unknown, out := h.beginAll(ctx, e, announced)
	result := queue.Done()
	switch {
	case out == postponed:
		return queue.Retry(retryLater), putBack(ctx)
	case len(jobs) > 0:
		result, out = h.await(ctx, jobs, e.ARN, patience)
	}
	if !unknown || result != queue.Done() {
		return result, out
	}
	until, most := h.ownersTime, ownersPause
	if e.Kind == event.ScheduledChange || e.Starts.After(now) { // we may have kept it for long
		until, most = ownersTimeHook, ownersPauseHook
	}
	result, left := h.leaveToOthers(m, e, until, most)
	if len(jobs) == 0 {
		out = left
	}
	return result, out
}

// beginAll begins a job for every instance of the event that is in our groups. An instance that has to wait for its node, or for
// other nodes of its group, is tried again until its turn comes, or the outcome is postponed. Its message stays hidden meanwhile, so
// that it is not received once for every try. unknown reports that some instances are in no group of ours.
func (h *Handler) beginAll(ctx context.Context, e event.Event, announced time.Time) (jobs []*job, unknown bool, out outcome) {
	for _, id := range e.Over {
		switch i, _ := h.Groups.Snapshot().Instance(id); {
		case i == nil:
			unknown = true
			continue
		case !i.Lifecycle.Leaving():
			h.callOff(ctx, id, reasonFor(e, announced, h.Clock.Now()))
		}
		out = healthOver
	}
	waiting := slices.Clone(e.Instances)
	var reading sync.WaitGroup
	defer reading.Wait()
	if e.Kind == event.StateChange {
		h.readAgain(ctx, &reading, e.Instances[0])
	}
	for until := h.Clock.Now().Add(patience); ; sleep(ctx, h.Clock, turnAgain) {
		waiting = slices.DeleteFunc(waiting, func(id string) bool {
			instance, group := h.Groups.Snapshot().Instance(id)
			r := reasonFor(e, announced, h.Clock.Now())
			switch {
			case h.dealtWith(id):
				out = duplicate
			case instance == nil:
				unknown = true
			case h.nothingToDo(e, announced, instance, group):
				out = counted
			case h.gaveUp(id, r):
				out = gaveUp
			case r.waitsForOthers(h.Clock.Now()) && h.node(id) == nil: // it has time to join the cluster
				return false
			default:
				j, ok := h.begin(ctx, id, group.Name, r)
				if ok {
					jobs = append(jobs, j)
				}
				return ok
			}
			return true
		})
		switch {
		case len(waiting) == 0:
			return jobs, unknown, out
		case ctx.Err() != nil, !h.Clock.Now().Before(until):
			return nil, unknown, postponed
		}
	}
}

// readAgain reads the group of an instance that the last reading shows in service, together with other messages. Auto Scaling may
// have ended the instance since then. It launches another in its place, and the core must count on that one for the pods. A slow reading
// goes on beside the drain.
func (h *Handler) readAgain(ctx context.Context, reading *sync.WaitGroup, instance string) {
	i, group := h.Groups.Snapshot().Instance(instance)
	if i == nil || i.Lifecycle != "InService" {
		return
	}
	waiting, read := context.WithTimeout(ctx, cordonTime)
	reading.Go(func() {
		defer read()
		if err := h.readings.Join(ctx, group.Name, readGather); err != nil {
			klog.FromContext(ctx).V(1).Info("Could not read the group of an instance that ends, its last reading counts", "group", group.Name,
				"instance", instance, "err", awsclient.Brief(err))
		}
	})
	<-waiting.Done()
}

// eventTime is the time of the event by our clock. AWS's clock may differ, so it counts back from the reception by the event's
// age.
func eventTime(m queue.Message, e event.Event, now time.Time) time.Time {
	at := e.Time
	seen := m.Sent
	if seen.IsZero() { // as from a queue that states no attributes, which may have kept the message
		seen = m.Received.Add(-mostRetention)
	}
	if at.IsZero() || seen.Sub(at) > deliveryTime {
		at = m.Sent
	}
	if at.IsZero() || m.Received.IsZero() {
		return now
	}
	return now.Add(-max(0, m.Received.Sub(at)))
}

// startTime is when the event's change starts by our clock. SQS's answer names whole seconds, so a small difference means nothing.
func startTime(m queue.Message, e event.Event, now time.Time) time.Time {
	behind := m.Received.Sub(now)
	if e.Starts.IsZero() || m.Received.IsZero() || behind.Abs() <= ledger.ClockSkew {
		return e.Starts
	}
	return e.Starts.Add(-behind)
}

// putBack is the outcome of a message that returns to the queue, for the next leader or for a later try.
func putBack(ctx context.Context) outcome {
	if ctx.Err() != nil {
		return unfinished
	}
	return postponed
}

// nothingToDo reports whether an event about an instance of our groups is only counted.
func (h *Handler) nothingToDo(e event.Event, announced time.Time, i *group.Instance, g *group.Group) bool {
	switch e.Kind {
	case event.Rebalance: // Capacity Rebalancing has its own replacement first, and then ends the instance
		return h.Rebalance != Drain || g.CapacityRebalance || g.LeftAlone(h.Clock.Now(), true).Down || i.Lifecycle.Leaving() || h.node(i.ID) == nil
	case event.StateChange:
		node := h.node(i.ID)
		if !i.Lifecycle.Leaving() && node == nil {
			return true // AWS replaces it. A decrement would hide that, and the core would launch the group again, for ever
		}
		startedAgain := node != nil && nodemeta.ReadySince(node).After(announced)
		if strings.HasPrefix(e.State, "stop") && (startedAgain || g.WarmPool && i.Lifecycle.Counts()) {
			return true // a warm pool may have stopped it before it joined the group
		}
		if !i.Lifecycle.Leaving() || node != nil && !nodemeta.DrainedByCore(node) {
			return false
		}
		h.remember(i.ID, false) // the core or Auto Scaling ended it, and its last message is still to come
		return true
	case event.ScheduledChange: // an instance without a node has then been rebooted, or its end has a message of its own
		return i.Lifecycle.Leaving() || h.node(i.ID) == nil && !e.Starts.After(h.Clock.Now())
	}
	return false
}

// classifyActivity counts Auto Scaling's activities. A failed launch is looked into at once.
func (h *Handler) classifyActivity(m queue.Message, e event.Event) (queue.Result, outcome) {
	if e.Kind != event.LaunchUnsuccessful {
		return queue.Done(), counted
	}
	if h.Groups.Snapshot().Group(e.Group) == nil {
		return h.leaveToOthers(m, e, h.ownersTime, ownersPause)
	}
	h.Groups.LaunchFailed(e.Group)
	h.Wake()
	return queue.Done(), counted
}

const (
	// Other readers of the queue get ownersTime for a message about an unknown instance, and ownersTimeHook for a
	// lifecycle action: as long as the instance's owner can still act on it. The last pauses are ownersPause and ownersPauseHook,
	// because each of several clusters may be the next reader.
	ownersTime, ownersTimeHook   = 150 * time.Second, 30 * time.Minute
	ownersPause, ownersPauseHook = 15 * time.Second, 2 * time.Minute
	// A message without any time is left to others so many times, if its receptions are counted.
	ownersTimes = 12
)

// leaveToOthers leaves a message to other clusters that read the same queue, until it is too old to matter to any of them. The pauses
// grow with its age, because a queue may not count the receptions.
func (h *Handler) leaveToOthers(m queue.Message, e event.Event, until, most time.Duration) (queue.Result, outcome) {
	if m.Sent.IsZero() {
		m.Sent = e.Time
	}
	age := m.Received.Sub(m.Sent)
	left := until - age
	switch {
	case m.Sent.IsZero() && m.Receives <= ownersTimes:
		return queue.Retry(most), leftToOthers
	case m.Sent.IsZero(), left < 0:
		return queue.Done(), notOurs
	}
	return queue.Retry(min(max(age/2, time.Second), most, left+time.Second)), leftToOthers
}

// await returns when all jobs have ended, or patience is over. The message is about the scheduled change with the ARN, "" for another event.
func (h *Handler) await(ctx context.Context, jobs []*job, arn string, patience time.Duration) (queue.Result, outcome) {
	timer := h.Clock.NewTimer(patience)
	defer timer.Stop()
	worst := jobs[0]
	for _, j := range jobs {
		select {
		case <-j.done:
			switch j.outcome {
			case unfinished:
				return queue.Retry(0), unfinished
			case gaveUp:
				// It gave up one change. Another one has its turn now, or is over, too. AWS may have said that the instance ends, meanwhile, or
				// that the change is on again.
				c := j.current()
				if arn == "" || arn != j.abandoned.ARN || c.endsAtDeadline() || c.Said.After(j.abandoned.Said) {
					return queue.Retry(0), postponed
				}
			case terminateFailed, broken:
				// The annotation of a planned drain is enough to end it, or to put its node back into use at its deadline.
				if j.outcome == broken || !j.current().planned() {
					return queue.Retry(retryLater), j.outcome
				}
			}
			if severity[j.outcome] > severity[worst.outcome] {
				worst = j
			}
		case <-timer.C():
			return queue.Retry(retryLater), postponed
		case <-ctx.Done():
			return queue.Retry(0), unfinished
		}
	}
	return queue.Done(), worst.outcome
}

// severity orders the outcomes of several instances of one event.
var severity = map[outcome]int{noNode: 1, empty: 2, drained: 3, gaveUp: 4, forced: 5, lost: 6, terminateFailed: 7}
