package fakeaws

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
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

// eventLog is append-only. Readers keep their own place in it.
type eventLog struct {
	mu        sync.Mutex
	events    []Event
	changed   chan struct{} // closed and replaced at each append
	listeners []func(Event)
}

func newEventLog() *eventLog { return &eventLog{changed: make(chan struct{})} }

// add stamps the event with its number and the time.
func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Seq, e.Time = len(l.events), time.Now()
	l.events = append(l.events, e)
	close(l.changed)
	l.changed = make(chan struct{})
	for _, listen := range l.listeners {
		listen(l.events[len(l.events)-1])
	}
}

// since returns the events from number seq on, and a channel that closes when there are more.
func (l *eventLog) since(seq int) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq = min(max(seq, 0), len(l.events))
	return l.events[seq:len(l.events):len(l.events)], l.changed
}

// Events returns all events so far, oldest first.
func (s *Server) Events() []Event {
	events, _ := s.events.since(0)
	return append([]Event(nil), events...)
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

// Subscribe sends every event from number from on (0 is the first), in order and without a gap, however slow the reader is. The
// channel closes when ctx is done or the Server is closed.
func (s *Server) Subscribe(ctx context.Context, from int) <-chan Event {
	out := make(chan Event)
	started := s.spawn(func(stop <-chan struct{}) {
		defer close(out)
		for next := from; ; {
			events, more := s.events.since(next)
			for _, e := range events {
				select {
				case out <- e:
					next = e.Seq + 1
				case <-ctx.Done():
					return
				case <-stop:
					return
				}
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			case <-stop:
				return
			}
		}
	})
	if !started {
		close(out)
	}
	return out
}

// errClosed ends waits on a closed Server.
var errClosed = errors.New("fakeaws server is closed")

// WaitFor returns the first event, past ones included, that match accepts. It fails when ctx is done.
func (s *Server) WaitFor(ctx context.Context, match func(Event) bool) (Event, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for e := range s.Subscribe(ctx, 0) {
		if match(e) {
			return e, nil
		}
	}
	if err := context.Cause(ctx); err != nil {
		return Event{}, err
	}
	return Event{}, errClosed
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
