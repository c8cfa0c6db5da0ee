package loop

import (
	"context"
	"time"

	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// Between two loops is a pause, whatever wakes the second. It bounds the load of the process if something wakes it without end. It is
// loopRest times the first loop, from shortPause to longPause.
const (
	shortPause = 10 * time.Millisecond
	longPause  = 100 * time.Millisecond
	loopRest   = 4
)

// WakeReason is why a loop runs. Only the log shows it.
type WakeReason string

// The reasons of the Trigger itself. A ProductiveLoop brings its own.
const (
	Start        WakeReason = "start"
	ScanInterval WakeReason = "scan interval"
	PodsPending  WakeReason = "unschedulable pods"
	NodeChanged  WakeReason = "node changed"  // it became empty, or takes pods that it refused
	NodeUnneeded WakeReason = "node unneeded" // for as long as it must be
	CloudChanged WakeReason = "cloud changed"
	Interruption WakeReason = "interruption"
)

// ProductiveLoop is a kind of loop after which the next one follows without delay.
type ProductiveLoop struct {
	Reason WakeReason
	// Last is the start time of the last such loop.
	Last func() time.Time
}

// Config says which events a Trigger waits for, and how long. The caller checks the durations.
type Config struct {
	ScanInterval time.Duration // the longest wait between loops
	SettleTime   time.Duration // a burst of pods is over once none came for this long, or for half of it if the scheduler has looked at all pods
	SettleLimit  time.Duration // a burst is cut off this long after its first pod
	PodDelay     time.Duration // pods younger than this are left alone by the loop (--new-pod-scale-up-delay), and wake none
	Tick         bool          // wait for the scan interval and interruptions alone (--frequent-loops-enabled=false)

	// Planned reports whether a node was asked for a pod, so that the scheduler's verdict about it needs no loop. Nil is for none. It is
	// called on the goroutine of the informer.
	Planned func(types.UID) bool
	// Coming is called with the first pod of each burst, on the goroutine of the informer. It must return at once.
	Coming func()
	// PodsOn returns the pods of a node by the store of the informer that has the EmptiedHandler.
	PodsOn func(node string) []*apiv1.Pod
	// Removal returns when the core may next remove a node, zero for never. The last loop began at ran, so the moment is later. Nil is
	// for a core that removes none.
	Removal func(ran time.Time) time.Time
	// Held returns when pods are due that the last loop left out for a while, zero for never. It is called as Removal is. Nil leaves out none.
	Held func(ran time.Time) time.Time
	// Changed wakes the loop when the state of the cloud changed. Nil never does. It is never closed.
	Changed <-chan struct{}
	// Interrupted wakes the loop when AWS is about to take an instance. Nil never does. It is never closed.
	Interrupted <-chan struct{}
	// Productive loops are followed without delay.
	Productive []ProductiveLoop
}

// Trigger knows when the next loop is due.
type Trigger struct {
	config Config
	clock  clock.Clock
	pods   *burst
	nodes  *nodeChanges
	ran    time.Time // start of the last loop
}

// New returns a Trigger that has not started yet: its first Wait returns at once.
func New(config Config, clock clock.Clock) *Trigger {
	if config.Tick {
		config.Removal, config.Held, config.Changed, config.Productive, config.Coming = nil, nil, nil, nil, nil
	}
	if config.Coming == nil {
		config.Coming = func() {}
	}
	return &Trigger{
		config: config,
		clock:  clock,
		pods:   newBurst(config.SettleTime/2, config.SettleTime, config.SettleLimit),
		nodes:  &nodeChanges{burst: newBurst(nodeSettleTime, nodeSettleTime, nodeSettleLimit)},
	}
}

// PodHandler returns the handler that wakes the Trigger for unschedulable pods. Add it to the informer whose lister the
// loop reads. Old pods of the informer's first listing are not counted, as the first loop sees them anyway. Young ones are, because a
// process may start in the middle of a burst.
func (t *Trigger) PodHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerDetailedFuncs{AddFunc: t.addPod, UpdateFunc: t.updatePod, DeleteFunc: t.deletePod}
}

// wake is when a loop is due, and why.
type wake struct {
	at     time.Time
	reason WakeReason
}

// or returns the sooner one of two wakes. The zero time is none.
func (w wake) or(at time.Time, reason WakeReason) wake {
	if at.IsZero() || !at.Before(w.at) {
		return w
	}
	return wake{at, reason}
}

// Wait blocks until the next loop is due and returns the reason. The loop before the last one began at since. A productive loop no older
// than since makes the next loop follow at once, so two loops follow each productive one. The stock autoscaler does the same, because its
// scale-up alternates between provisioning requests and other pods. The error is ctx's once ctx is done.
func (t *Trigger) Wait(ctx context.Context, since time.Time) (WakeReason, error) {
	began := t.clock.Now()
	next, earliest := wake{began, Start}, began
	if !t.ran.IsZero() {
		took := began.Sub(t.ran)
		t.nodes.rested = began.Add(nodeRest * took)
		next, earliest = t.next(began, since), began.Add(max(shortPause, min(loopRest*took, longPause)))
	}
	for {
		due := next
		if !t.config.Tick {
			due = t.changed(next)
		}
		if due.at.Before(earliest) {
			due.at = earliest
		}
		now := t.clock.Now()
		if !now.Before(due.at) {
			t.forget()
			return due.reason, ctx.Err()
		}
		woken, err := t.sleep(ctx, due, next.at.After(now))
		if err != nil {
			return "", err
		}
		if woken != "" {
			next = wake{t.clock.Now(), woken}
		}
	}
}

// next is when the next loop is due as the wait begins, changes of pods and nodes left aside.
func (t *Trigger) next(began, since time.Time) wake {
	for _, p := range t.config.Productive {
		if !p.Last().Before(since) {
			return wake{began, p.Reason}
		}
	}
	next := wake{began.Add(t.config.ScanInterval), ScanInterval}
	if t.config.Held != nil {
		next = next.or(t.config.Held(t.ran), PodsPending)
	}
	if t.config.Removal != nil {
		next = next.or(t.config.Removal(t.ran), NodeUnneeded)
	}
	return next
}

// changed is the next wake once the changes of nodes and the pods are taken into account. Pods that have come decide alone, because a loop
// in the middle of their burst would pack only part of them.
func (t *Trigger) changed(next wake) wake {
	if settled := t.pods.due(t.clock.Now()); !settled.IsZero() {
		return wake{settled, PodsPending}
	}
	return next.or(t.nodes.due(t.clock.Now()), NodeChanged)
}

// sleep returns when the wake is due or something happened that may move it. Changes of the cloud and interruptions count only
// with heedCloud. Once one has made the loop due, more of them must not keep the caller busy.
func (t *Trigger) sleep(ctx context.Context, due wake, heedCloud bool) (woken WakeReason, err error) {
	timer := t.clock.NewTimer(due.at.Sub(t.clock.Now()))
	defer timer.Stop()
	var cloud, interrupted <-chan struct{}
	if heedCloud {
		cloud, interrupted = t.config.Changed, t.config.Interrupted
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timer.C():
	case <-t.pods.arrived:
	case <-t.nodes.arrived:
	case <-interrupted:
		return Interruption, nil
	case <-cloud:
		return CloudChanged, nil
	}
	return "", nil
}

// forget drops all events that the loop about to start will see anyway.
func (t *Trigger) forget() {
	t.ran = t.clock.Now()
	t.pods.forget()
	t.nodes.forget()
	for _, seen := range []<-chan struct{}{t.config.Interrupted, t.config.Changed} {
		select {
		case <-seen:
		default:
		}
	}
}
