package interruption

import (
	"context"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/queue"
)

const (
	// ownersTime is how long a message that is not ours is left to other readers of the queue, ownersTimeHook if it is of a
	// lifecycle action: as long as there is anything its owner could do about it.
	ownersTime, ownersTimeHook = 150 * time.Second, 30 * time.Minute
	// deliveryTime is well above how long EventBridge tries to deliver an event, which is 24 hours (EventBridge user guide, retry
	// policy): one that seems older when it is put into the queue has a wrong time.
	deliveryTime = 48 * time.Hour
	// patience is how long a message waits for its work, before it is put back to be received again later.
	patience = 10 * time.Minute
	// turnAgain is the pause before a node that waits for others of its group is tried again.
	turnAgain = time.Second
	// comeAgain is the pause of a message that another piece of work has to end for.
	comeAgain = 15 * time.Second
)

// othersTurn are the pauses of a message that is not ours, by how often it has been received: first a chance for others at once. The
// last one is the rest of its time. So it is received eight times in all: the console of SQS suggests a dead-letter queue after ten.
var othersTurn = []time.Duration{0, 0, time.Second, 4 * time.Second, 15 * time.Second, 40 * time.Second}

// pauseAfter is the pause of a message that is put back, by how often it has been received.
func pauseAfter(m queue.Message, pauses []time.Duration) time.Duration {
	return pauses[min(max(m.Receives, 1), len(pauses))-1]
}

// judge decides what an event is to us, and sees it through.
func (h *Handler) judge(ctx context.Context, m queue.Message, e event.Event) (queue.Verdict, outcome) {
	now := h.Clock.Now()
	told := toldAt(m, e, now)
	switch {
	case e.Kind == event.TerminateHook:
		return h.judgeHook(ctx, m, e, told)
	case e.Group != "":
		return h.judgeActivity(m, e)
	case e.Kind == event.StateChange && !e.Ending():
		return queue.Done(), counted
	case e.Kind != event.ScheduledChange && e.Kind != event.Rebalance && now.Sub(told) > staleAfter: // those wait for their turn
		return queue.Done(), stale
	}
	jobs, what := h.beginAll(ctx, e, told)
	defer h.noteGivenUp(e, jobs)
	switch {
	case what == postponed:
		return queue.Leave(comeAgain), leftToNext(ctx)
	case len(jobs) > 0:
		return h.await(ctx, jobs)
	case what == notOurs:
		return h.othersTurn(m, h.ownersTime)
	}
	return queue.Done(), what
}

// beginAll begins the work on every instance of the event that is ours. An instance that has to wait for other nodes of its group is
// tried again until it has its turn, or the outcome is postponed. Its message stays out of sight meanwhile, and is not received once
// for every try.
func (h *Handler) beginAll(ctx context.Context, e event.Event, told time.Time) (jobs []*job, what outcome) {
	what = notOurs
	waiting := slices.Clone(e.Instances)
	for until := h.Clock.Now().Add(patience); ; sleep(ctx, h.Clock, turnAgain) {
		waiting = slices.DeleteFunc(waiting, func(id string) bool {
			instance, group := h.Groups.Snapshot().Instance(id)
			switch {
			case h.dealtWith(id):
				what = duplicate
			case h.givenUp(e, id):
				what = gaveUp
			case instance == nil:
			case h.nothingToDo(e, instance):
				what = counted
			default:
				j, ok := h.begin(ctx, id, group.Name, causeOf(e, told, h.Clock.Now()))
				if ok {
					jobs = append(jobs, j)
				}
				return ok
			}
			return true
		})
		switch {
		case len(waiting) == 0:
			return jobs, what
		case ctx.Err() != nil, !h.Clock.Now().Before(until):
			return nil, postponed
		}
	}
}

// toldAt is when the event was, by our clock. AWS's may be another: what counts is how long before it was received it was.
func toldAt(m queue.Message, e event.Event, now time.Time) time.Time {
	at := e.Time
	if at.IsZero() || !m.Sent.IsZero() && m.Sent.Sub(at) > deliveryTime {
		at = m.Sent
	}
	if at.IsZero() || m.Received.IsZero() {
		return now
	}
	return now.Add(-max(0, m.Received.Sub(at)))
}

// leftToNext is the outcome of a message that is put back: for the next leader, or to come again.
func leftToNext(ctx context.Context) outcome {
	if ctx.Err() != nil {
		return leftBehind
	}
	return postponed
}

// nothingToDo reports whether an event about an instance of ours is only counted.
func (h *Handler) nothingToDo(e event.Event, i *asg.Instance) bool {
	switch e.Kind {
	case event.Rebalance:
		return h.Rebalance != Drain || i.Lifecycle.Leaving() || h.node(i.ID) == nil
	case event.StateChange:
		node := h.node(i.ID)
		if !i.Lifecycle.Leaving() || node != nil && !drainedByCore(node) {
			return false
		}
		h.remember(i.ID) // the core, or Auto Scaling, has ended it, and its last message is still to come
		return true
	case event.ScheduledChange:
		return i.Lifecycle.Leaving()
	}
	return false
}

// judgeActivity counts what Auto Scaling says it did. A launch that failed is looked into at once.
func (h *Handler) judgeActivity(m queue.Message, e event.Event) (queue.Verdict, outcome) {
	if e.Kind != event.LaunchUnsuccessful {
		return queue.Done(), counted
	}
	if h.Groups.Snapshot().Group(e.Group) == nil {
		return h.othersTurn(m, h.ownersTime)
	}
	h.Groups.LaunchFailed(e.Group)
	h.Wake()
	return queue.Done(), counted
}

// othersTurn leaves a message to other clusters that read the same queue, until it matters to nobody any more.
func (h *Handler) othersTurn(m queue.Message, until time.Duration) (queue.Verdict, outcome) {
	if m.Sent.IsZero() {
		m.Sent = m.Received // and so it is not deleted before it has come again
	}
	left := until - m.Received.Sub(m.Sent)
	switch {
	case left < 0, m.Receives > 2*len(othersTurn):
		return queue.Done(), notOurs
	case m.Receives > len(othersTurn):
		return queue.Leave(left + time.Second), leftToOthers
	}
	return queue.Leave(min(pauseAfter(m, othersTurn), left+time.Second)), leftToOthers
}

// await returns when all jobs have ended.
func (h *Handler) await(ctx context.Context, jobs []*job) (queue.Verdict, outcome) {
	timer := h.Clock.NewTimer(patience)
	defer timer.Stop()
	worst := jobs[0]
	for _, j := range jobs {
		select {
		case <-j.done:
			switch j.outcome {
			case leftBehind:
				return queue.Leave(0), leftBehind
			case handBackFailed:
				return queue.Leave(comeAgain), handBackFailed
			}
			if severity[j.outcome] > severity[worst.outcome] {
				worst = j
			}
		case <-timer.C():
			return queue.Leave(comeAgain), postponed
		case <-ctx.Done():
			return queue.Leave(0), leftBehind
		}
	}
	return queue.Done(), worst.outcome
}

// severity orders the outcomes of several instances of one event.
var severity = map[outcome]int{noNode: 1, empty: 2, drained: 3, gaveUp: 4, forced: 5, lost: 6}
