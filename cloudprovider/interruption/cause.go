package interruption

import (
	"fmt"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

const (
	// notice is how long before a spot interruption EC2 tells of it, at best (EC2 user guide, spot instance interruption notices).
	notice = 2 * time.Minute
	// lastMoments is the least time a drain gets, however late its message.
	lastMoments = 5 * time.Second
	// endingTime is what an instance that is shutting down may still take.
	endingTime = 30 * time.Second
	// hookTime bounds the drain of an instance that waits for us: its hook's own limit is not told.
	hookTime = 10 * time.Minute
	// plannedTime bounds a drain that nothing hurries.
	plannedTime = 15 * time.Minute
	// turnTime is how long a planned drain keeps other planned drains of its group waiting: its replacement's time and its own.
	turnTime = replacementTime + plannedTime
	// staleAfter is how old news may be to be acted upon: by then the instance is long gone, or was spared and its node is back in use.
	staleAfter = notice + spareAfter
)

// cause is why an instance goes, and by when.
type cause struct {
	kind     event.Kind
	began    time.Time // when we heard of it
	deadline time.Time // when the instance goes, or the attempt ends
	reason   string    // for people
	// ends says of a scheduled change that AWS stops or terminates the instance at the deadline.
	ends bool
	// extended is the deadline of a drain that was taken up again after its time; zero if it was not. What stands on the node stays: by it
	// the node is put back into use.
	extended time.Time
}

// causeOf is what an event means for an instance. now bounds what a wrong clock can do.
func causeOf(e event.Event, told, now time.Time) cause {
	c := cause{kind: e.Kind, began: now}
	switch e.Kind {
	case event.SpotInterruption, event.ReservationEnd:
		c.deadline = within(told.Add(notice), now.Add(lastMoments), now.Add(notice))
		c.reason = fmt.Sprintf("EC2 takes the instance back (%s)", orUnknown(e.State))
	case event.StateChange:
		c.deadline, c.reason = now.Add(endingTime), "the instance is "+e.State
		if e.State == "stopped" || e.State == "terminated" {
			c.deadline = now.Add(lastMoments)
		}
	case event.ScheduledChange:
		c.deadline, c.reason = now.Add(plannedTime), "AWS plans a change of the instance ("+orUnknown(e.Code)+")"
		c.ends = endsInstance(e.Code) && e.Starts.After(now)
		if c.ends || e.Starts.After(c.deadline) {
			c.deadline = e.Starts
		}
	case event.TerminateHook:
		c.deadline, c.reason = now.Add(hookTime), fmt.Sprintf("Auto Scaling ends the instance, lifecycle hook %q", e.Hook)
	case event.Rebalance:
		c.deadline, c.reason = now.Add(plannedTime), "EC2 recommends to replace the instance"
	}
	if e.ID != "" {
		c.reason += ", event " + e.ID
	}
	return c
}

// endsInstance reports whether a scheduled change stops or terminates its instance, rather than to reboot it or to touch its network
// (EC2 user guide, scheduled events for instances, read 2026-11).
func endsInstance(code string) bool {
	return strings.Contains(code, "RETIREMENT") || strings.Contains(code, "INSTANCE_STOP") || strings.Contains(code, "INSTANCE_TERMINATION")
}

func within(at, least, most time.Time) time.Time {
	switch {
	case at.Before(least):
		return least
	case at.After(most):
		return most
	}
	return at
}

func orUnknown(word string) string {
	if word == "" {
		return "unknown"
	}
	return word
}

// final reports whether the instance goes whatever we do.
func (c cause) final() bool { return c.kind != event.Rebalance }

// planned reports whether nothing hurries: the replacement comes first, and the instance is there until it has.
func (c cause) planned() bool { return c.kind == event.Rebalance || c.kind == event.ScheduledChange }

// leaves reports whether the instance goes at the deadline. Otherwise the deadline is our own: pods that are still there then keep
// their node, and their budgets hold to the end.
func (c cause) leaves() bool {
	if c.planned() {
		return c.ends && c.extended.IsZero()
	}
	return true
}

// by is until when the node is drained.
func (c cause) by() time.Time {
	if c.extended.IsZero() {
		return c.deadline
	}
	return c.extended
}

// waitsForOthers reports whether the drain begins only once no other node of its group is drained. One that AWS ends soon cannot wait.
func (c cause) waitsForOthers(now time.Time) bool {
	return c.planned() && !(c.leaves() && c.by().Sub(now) < turnTime)
}

// holdsUpOthers reports whether drains that wait for others wait for this one. A planned drain that is stuck does not hold them up for
// ever.
func (c cause) holdsUpOthers(now time.Time) bool { return !c.planned() || now.Sub(c.began) < turnTime }

// takesPool reports whether the pool of the instance is short of capacity.
func (c cause) takesPool() bool { return c.kind == event.SpotInterruption }

// force is when what disruption budgets still hold back is deleted: with some seconds left to end in.
func (c cause) force() time.Time {
	return c.by().Add(-min(max(c.by().Sub(c.began)/8, 2*time.Second), 10*time.Second))
}

// outranks reports whether this cause sets the time for an instance that goes for the other one already.
func (c cause) outranks(o cause) bool {
	return c.final() && !o.final() || c.final() == o.final() && c.by().Before(o.by())
}
