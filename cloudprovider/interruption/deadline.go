package interruption

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption/event"
)

const (
	// EC2 warns notice before a spot interruption, at best (EC2 user guide, spot instance interruption notices).
	notice = 2 * time.Minute
	// minDrainTime is the least time a drain gets, however late its message.
	minDrainTime = 5 * time.Second
	// An instance that is shutting down may still take shutdownTime.
	shutdownTime = 30 * time.Second
	// hookTime is the least time for the drain of an instance that waits for us. Heartbeats extend a shorter timeout of its hook.
	hookTime = 10 * time.Minute
	// However many heartbeats it gets, an instance waits for a hook no longer than hookMost, or hookBeats times the hook's timeout
	// (EC2 Auto Scaling API reference, LifecycleHook, GlobalTimeout, read 2026-11).
	hookMost, hookBeats = 48 * time.Hour, 100
	// plannedTime bounds a planned drain.
	plannedTime = 15 * time.Minute
	// A planned drain delays other planned drains of its group for turnTime: five minutes more than it mostly may take.
	turnTime = 5*time.Minute + plannedTime
	// staleAfter is the age at which an event is ignored. By then the instance is terminated, or was spared and its node is
	// back in use.
	staleAfter = notice + sparedAfter
)

// reason is the cause and the deadline of a termination. The annotation has it as JSON.
type reason struct {
	Kind event.Kind `json:"kind"`
	Text string     `json:"reason"` // for people
	// Ends means that AWS stops or terminates the instance at the deadline of a scheduled change.
	Ends     bool      `json:"ends,omitempty"`
	Deadline time.Time `json:"deadline"`      // when the instance is terminated, or the drain given up
	Began    time.Time `json:"began"`         // when the message came
	ARN      string    `json:"arn,omitempty"` // of the scheduled change, or the name of the lifecycle hook
	Said     time.Time `json:"said,omitzero"` // when AWS said so, by its clock, or when a hook's timeout was read, by ours
	over     bool      // the change is done or called off
	// Timeout is when the hook's own timeout ends. The deadline may be later, for the grace of evicted pods.
	Timeout time.Time `json:"timeout,omitzero"`
	// extended is the deadline of a drain that was taken up again after its deadline, otherwise zero. The deadline in the
	// annotation stays, and by it the node is put back into use.
	extended time.Time
}

// reasonFor is the reason that an event gives for an instance. now bounds the effect of a wrong clock.
func reasonFor(e event.Event, announced, now time.Time) reason {
	r := reason{Kind: e.Kind, Began: now}
	switch e.Kind {
	case event.SpotInterruption, event.ReservationEnd:
		r.Deadline = now.Add(min(max(announced.Add(notice).Sub(now), minDrainTime), notice))
		if e.Starts.After(r.Deadline) { // as for a capacity block (EC2 user guide, Monitor Capacity Blocks using EventBridge, read 2026-12)
			r.Deadline = e.Starts
		}
		r.Text = fmt.Sprintf("EC2 takes the instance back (%s)", cmp.Or(e.State, "unknown"))
	case event.StateChange:
		r.Deadline, r.Text = now.Add(shutdownTime), "the instance is "+e.State
		if e.State == "stopped" || e.State == "terminated" {
			r.Deadline = now.Add(minDrainTime)
		}
	case event.ScheduledChange:
		r.Deadline, r.Text = now.Add(plannedTime), "AWS plans a change of the instance ("+cmp.Or(e.Code, "unknown")+")"
		// Other changes reboot the instance or touch its network (EC2 user guide, scheduled events for instances, read 2026-11).
		ends := func(word string) bool { return strings.Contains(e.Code, word) }
		r.Ends = slices.ContainsFunc([]string{"RETIREMENT", "INSTANCE_STOP", "INSTANCE_TERMINATION"}, ends) && e.Starts.After(now)
		if r.Ends || e.Starts.After(r.Deadline) {
			r.Deadline = e.Starts
		}
		r.ARN, r.Said = e.ARN, e.Time
	case event.TerminateHook:
		r.Deadline, r.Text, r.ARN = now.Add(hookTime), "Auto Scaling ends the instance", e.Hook
		if e.State == event.ReplaceRootVolume {
			r.Text = "Auto Scaling replaces the root volume of the instance"
		}
		r.Text += fmt.Sprintf(", lifecycle hook %q", e.Hook)
	case event.Rebalance:
		r.Deadline, r.Text = now.Add(plannedTime), "EC2 recommends to replace the instance"
	}
	if e.ID != "" {
		r.Text += ", event " + e.ID
	}
	return r
}

// planned reports whether there is no hurry: the replacement comes first, and the instance stays until it is there.
func (r reason) planned() bool {
	return r.Kind == event.Rebalance || r.Kind == event.ScheduledChange || r.Kind == event.Reboot
}

// placedBy returns the end of a planned drain's wait for a place for its pods. The instance of a reboot stays, and may be the only one that AWS
// has of its type. So its pods leave in any case then, if their budgets let them.
func (r reason) placedBy() time.Time {
	if r.Kind == event.Reboot {
		return r.drainBy().Add(-plannedTime / 2)
	}
	return r.drainBy().Add(-notice)
}

// evictsAll reports whether pods are evicted, too, that have no place when the time for places is over.
func (r reason) evictsAll() bool { return r.endsAtDeadline() || r.Kind == event.Reboot }

// endsAtDeadline reports whether the instance ends at the deadline. Otherwise the deadline is our own. Pods that are still
// there then keep their node, and their budgets hold to the end. An earlier version wrote Ends for reboots.
func (r reason) endsAtDeadline() bool {
	if r.planned() {
		return r.Ends && r.Kind != event.Reboot && r.extended.IsZero()
	}
	return true
}

func (r reason) drainBy() time.Time {
	if r.extended.IsZero() {
		return r.Deadline
	}
	return r.extended
}

// forceBy returns when pods are deleted that disruption budgets still hold back: some seconds before the drain's deadline, or before its
// hook's own timeout ends.
func (r reason) forceBy() time.Time {
	by := r.drainBy()
	if r.extended.IsZero() && !r.Timeout.IsZero() && r.Timeout.Before(by) {
		by = r.Timeout
	}
	return by.Add(-min(max(by.Sub(r.Began)/8, 2*time.Second), 10*time.Second))
}

// waitsForOthers reports whether the drain begins only once no other node of its group is drained. An instance that AWS ends
// soon cannot wait. Reboots have the budgets of moves.
func (r reason) waitsForOthers(now time.Time) bool {
	return r.planned() && r.Kind != event.Reboot && !(r.endsAtDeadline() && r.drainBy().Sub(now) < turnTime)
}

// holdsUpOthers reports whether planned drains wait for this one. A planned drain that is stuck does not hold them up for ever.
func (r reason) holdsUpOthers(now time.Time) bool { return !r.planned() || now.Sub(r.Began) < turnTime }

// updates reports whether AWS has said this later than the other one, about the same change.
func (r reason) updates(o reason) bool { return r.ARN != "" && r.ARN == o.ARN && r.Said.After(o.Said) }

// outranks reports whether this reason replaces the other one as the reason of a job. The latest word about a change
// counts. Otherwise deadlines decide within a rank only: a drain that may be given up must not, by its earlier deadline, give up the
// drain of an instance that ends.
func (r reason) outranks(o reason) bool {
	if r.updates(o) || o.updates(r) {
		return r.updates(o)
	}
	return cmp.Or(cmp.Compare(r.rank(), o.rank()), o.drainBy().Compare(r.drainBy())) > 0
}

// rank is 2 if the instance ends at the deadline, 1 for another change that AWS has planned, 0 for advice, and less for a reboot of our own.
func (r reason) rank() int {
	switch {
	case r.Kind == event.Reboot:
		return -1
	case r.endsAtDeadline():
		return 2
	case r.Kind == event.ScheduledChange:
		return 1
	}
	return 0
}

func (r reason) poolIsShort() bool { return r.Kind == event.SpotInterruption }
