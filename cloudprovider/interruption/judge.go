package interruption

import (
	"context"
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
	// comeAgain is the pause of a message that another piece of work has to end for.
	comeAgain = 15 * time.Second
)

// othersTurn are the pauses of a message that is not ours, by how often it has been received: first a chance for others at once.
var othersTurn = []time.Duration{0, 0, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second}

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
	case e.Kind != event.ScheduledChange && now.Sub(told) > staleAfter:
		return queue.Done(), stale
	}
	var jobs []*job
	what := notOurs
	for _, id := range e.Instances {
		instance, group := h.Groups.Snapshot().Instance(id)
		switch {
		case h.dealtWith(id):
			what = duplicate
		case instance == nil:
		case h.nothingToDo(e, instance):
			what = counted
		default:
			j, ok := h.begin(ctx, id, group.Name, causeOf(e, told, now))
			if !ok {
				return queue.Leave(comeAgain), leftToNext(ctx)
			}
			jobs = append(jobs, j)
		}
	}
	switch {
	case len(jobs) > 0:
		return h.await(ctx, jobs)
	case what == notOurs:
		return h.othersTurn(m, h.ownersTime)
	}
	return queue.Done(), what
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
	h.Wake()
	return queue.Done(), counted
}

// othersTurn leaves a message to other clusters that read the same queue, until it matters to nobody any more.
func (h *Handler) othersTurn(m queue.Message, until time.Duration) (queue.Verdict, outcome) {
	over := !m.Sent.IsZero() && m.Received.Sub(m.Sent) > until
	if over || m.Receives > 10*len(othersTurn) {
		return queue.Done(), notOurs
	}
	return queue.Leave(othersTurn[min(max(m.Receives, 1), len(othersTurn))-1]), leftToOthers
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
