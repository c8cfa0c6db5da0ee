package scenario

import (
	"slices"
	"sync"
	"time"
)

// Kind is the kind of a Moment, in words that a reader of the timeline understands.
type Kind string

// The kinds of Moment, in the order in which one pending pod causes them.
const (
	PodPending         Kind = "pod pending"         // the scheduler found no place for it
	GroupChosen        Kind = "group chosen"        // by the autoscaler, whose log gives the reason
	DesiredRaised      Kind = "desired raised"      // by whatever call
	LaunchFailed       Kind = "launch failed"       // as the group's scaling activity says
	InstanceLaunched   Kind = "instance launched"   // the group lists it
	NodeRegistered     Kind = "node registered"     // the Node object exists
	NodeReady          Kind = "node Ready"          // its Ready condition is true
	GPUPublished       Kind = "GPU published"       // the device plugin's resource shows in the node's status
	PodRunning         Kind = "pod Running"         // by its phase
	PodGone            Kind = "pod gone"            // the Pod object was deleted
	NodeTainted        Kind = "node tainted"        // marked for removal: nothing new is scheduled on it
	NodeDrained        Kind = "node drained"        // marked, and its last pod outside DaemonSets is gone
	TerminateRequested Kind = "terminate requested" // the caller is recorded with the group
	DesiredLowered     Kind = "desired lowered"     // by whatever call
	InstanceTerminated Kind = "instance terminated" // it has left the group
	NodeGone           Kind = "node gone"           // the Node object was deleted
	KilledUndrained    Kind = "killed undrained"    // an instance was terminated that nobody had drained, which is never right
)

// Moment is one event, as seen by an observer beside the autoscaler.
type Moment struct {
	At     time.Time
	Kind   Kind
	Object string // the pod ("namespace/name"), node, instance or Auto Scaling group it happened to
	Detail string // the rest of the story: sizes, reasons, may be empty
}

// Timeline collects Moments in the order in which they were observed. Safe for concurrent use.
type Timeline struct {
	mu        sync.Mutex
	moments   []Moment
	listeners []func(Moment)
}

// Add appends a moment and hands it to every listener before it returns.
func (t *Timeline) Add(m Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moments = append(t.moments, m)
	for _, listen := range t.listeners {
		listen(m)
	}
}

// Listen calls f for each later moment, one at a time. f must not call the Timeline.
func (t *Timeline) Listen(f func(Moment)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners = append(t.listeners, f)
}

// Since returns a copy of the moments at or after start, in order.
func (t *Timeline) Since(start time.Time) []Moment {
	t.mu.Lock()
	defer t.mu.Unlock()
	var since []Moment
	for _, m := range t.moments {
		if !m.At.Before(start) {
			since = append(since, m)
		}
	}
	return since
}

// First returns the earliest of moments with the kind.
func First(moments []Moment, kind Kind) (Moment, bool) {
	i := slices.IndexFunc(moments, func(m Moment) bool { return m.Kind == kind })
	if i < 0 {
		return Moment{}, false
	}
	return moments[i], true
}

// Last returns the latest of moments with the kind.
func Last(moments []Moment, kind Kind) (Moment, bool) {
	for _, m := range slices.Backward(moments) {
		if m.Kind == kind {
			return m, true
		}
	}
	return Moment{}, false
}

// Count returns how many of the moments have the kind.
func Count(moments []Moment, kind Kind) int {
	count := 0
	for _, m := range moments {
		if m.Kind == kind {
			count++
		}
	}
	return count
}
