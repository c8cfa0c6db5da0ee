package fakeaws

import (
	"container/heap"
	"fmt"
	"slices"
	"sync"
	"time"
)

// An EventKind is the kind of an Event.
type EventKind string

// Kinds of events about groups, instances and their Nodes, in the usual order.
const (
	DesiredChanged     EventKind = "DesiredChanged"     // By names the caller, From and To are the capacities
	LaunchFailed       EventKind = "LaunchFailed"       // Message is the activity's status message
	Launched           EventKind = "Launched"           // the instance is listed as Pending
	InService          EventKind = "InService"          // the EC2 instance runs
	NodeRegistered     EventKind = "NodeRegistered"     // the Node was created
	NodeReady          EventKind = "NodeReady"          // its Ready condition was seen to be true
	GPUPublished       EventKind = "GPUPublished"       // its extended resources were published
	TaintsLifted       EventKind = "TaintsLifted"       // the agents took its start-up taints off
	TerminateRequested EventKind = "TerminateRequested" // by TerminateInstanceInAutoScalingGroup
	ScaleInKill        EventKind = "ScaleInKill"        // Auto Scaling chose this instance itself, because desired fell
	HookCompleted      EventKind = "HookCompleted"      // by CompleteLifecycleAction, Message is hook and result
	Announced          EventKind = "Announced"          // EC2 announced something to EventBridge, Message is its kind and time
	Reclaimed          EventKind = "Reclaimed"          // the instance was taken from outside: spot, or a person
	Terminated         EventKind = "Terminated"         // the instance has left the group
	NodeDeleted        EventKind = "NodeDeleted"        // its Node was deleted
	NodeFailed         EventKind = "NodeFailed"         // the cluster refused an operation on the Node, Message is the reason
	GroupCreated       EventKind = "GroupCreated"
	GroupUpdated       EventKind = "GroupUpdated" // From and To are minimum and maximum
	GroupDeleted       EventKind = "GroupDeleted"
	TagsChanged        EventKind = "TagsChanged"
	TemplateDeleted    EventKind = "TemplateDeleted"
	Replaced           EventKind = "Replaced"           // AZRebalance, a refresh or an update terminates the instance, By names it
	Refused            EventKind = "Refused"            // a Deed was refused, Message is the reason
	ProcessesSuspended EventKind = "ProcessesSuspended" // Message lists them
	ProcessesResumed   EventKind = "ProcessesResumed"
)

// An Event is one event. Fields that do not apply are zero.
type Event struct {
	Seq          int       `json:"seq"` // from 0, without gaps
	Time         time.Time `json:"time"`
	Kind         EventKind `json:"kind"`
	Group        string    `json:"group,omitempty"`
	Instance     string    `json:"instance,omitempty"`
	InstanceType string    `json:"instanceType,omitempty"`
	CapacityType string    `json:"capacityType,omitempty"` // on-demand or spot
	Zone         string    `json:"zone,omitempty"`
	Node         string    `json:"node,omitempty"`
	By           string    `json:"by,omitempty"` // API action and access key, or "admin"
	From         int       `json:"from,omitempty"`
	To           int       `json:"to,omitempty"`
	Message      string    `json:"message,omitempty"`
}

// eventLog is append-only.
type eventLog struct {
	mu        sync.Mutex
	events    []Event
	listeners []func(Event)
}

// add stamps the event with its number and the time.
func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Seq, e.Time = len(l.events), time.Now()
	l.events = append(l.events, e)
	for _, listen := range l.listeners {
		listen(l.events[len(l.events)-1])
	}
}

// Events returns all events so far, oldest first.
func (s *Server) Events() []Event {
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	return slices.Clone(s.events.events)
}

// Listen calls f for every event, past ones included, one at a time. AWS stands still meanwhile: the call that caused the event
// is answered after f returns. So f sees the cluster of that moment, and must not call the Server.
func (s *Server) Listen(f func(Event)) {
	l := s.events
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		f(e)
	}
	l.listeners = append(l.listeners, f)
}

// String is one line for a person.
func (e Event) String() string {
	text := e.Time.Format("15:04:05.000") + " " + string(e.Kind)
	for _, part := range []struct{ name, value string }{
		{"group", e.Group}, {"instance", e.Instance}, {"type", e.InstanceType}, {"capacity", e.CapacityType},
		{"zone", e.Zone}, {"node", e.Node}, {"by", e.By},
	} {
		if part.value != "" {
			text += fmt.Sprintf(" %s=%q", part.name, part.value)
		}
	}
	if e.From != e.To {
		text += fmt.Sprintf(" %d→%d", e.From, e.To)
	}
	if e.Message != "" {
		text += fmt.Sprintf(" %q", e.Message)
	}
	return text
}

// A timeline runs functions at their time, one after the other, on the goroutine that calls run.
type timeline struct {
	mu    sync.Mutex
	queue tasks
	next  uint64
	wake  chan struct{}
}

type task struct {
	at  time.Time
	seq uint64 // keeps tasks of the same instant in order
	do  func()
}

func newTimeline() *timeline { return &timeline{wake: make(chan struct{}, 1)} }

// after runs do in d from now. A negative d means never.
func (t *timeline) after(d time.Duration, do func()) {
	if d < 0 {
		return
	}
	t.mu.Lock()
	t.next++
	heap.Push(&t.queue, task{at: time.Now().Add(d), seq: t.next, do: do})
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run blocks until stop is closed. Tasks not due by then are dropped.
func (t *timeline) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, wait := t.pop()
		if due != nil {
			due()
			continue
		}
		timer.Reset(wait)
		select {
		case <-stop:
			return
		case <-t.wake:
		case <-timer.C:
		}
	}
}

// pop takes the first task that is due, or returns the time until one is.
func (t *timeline) pop() (func(), time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(t.queue[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&t.queue).(task).do, 0
}

// tasks is a heap ordered by time.
type tasks []task

func (q tasks) Len() int { return len(q) }
func (q tasks) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}
func (q tasks) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *tasks) Push(x any)   { *q = append(*q, x.(task)) }
func (q *tasks) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
