package loop

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// judgeTime is what the scheduler is given for a pod. It needs milliseconds, but a busy API server ends its watch of pods at times, and
// then it sees none for 0.8 s to 1.6 s.
const judgeTime = 20 * time.Millisecond

// burst remembers when unschedulable pods came since the last loop, and knows when their coming is over.
//
// A pod that comes later can change any raise, so the loop waits until no pod is likely to follow. The scheduler has yet to look at
// some that exist. It takes milliseconds for each, and settleTime allows for a slow one. Others do not exist yet. A controller makes
// them in batches that grow, 1, 2, 4 and so on, one batch right after the other, so the next one exists by the time the scheduler has
// judged the last one. Half of settleTime is enough to see that none does: with it, thirty bursts of 20 pods made no more raises than with
// the whole of it. Where the scheduler has yet to look at many, the API server is busy, and verdicts come with pauses. So each of them
// that is younger than settleLimit adds judgeTime.
//
// The loop counts a pod without its own verdict once the scheduler found no node for another pod of its controller. So such a pod comes
// when it is created.
//
// Pods that a controller has just begun to want are certain to come, and are awaited for settleLimit. Once every controller has all its
// pods and the loop counts them, no pod follows, unless another controller comes. So the time in which nothing came counts from the last
// controller, and not from its pods.
//
// A burst that has lasted long is likely to go on, because pauses come between the pods of several controllers. So nothing must have come
// for half of the time that it has lasted. Where pods keep coming, settleLimit ends the wait.
type burst struct {
	lull        time.Duration // how long nothing must have come once no pod is awaited
	settleTime  time.Duration // the same while pods are awaited
	settleLimit time.Duration // since the first pod
	owners      *owners

	// arrived holds a token when something happened that the waiter may not know of.
	arrived chan struct{}

	mu          sync.Mutex
	first, last time.Time          // of the pods since the last loop, zero if none came
	makers      map[types.UID]bool // the controllers of these pods, "" for pods without one
	controllers map[types.UID]bool // whose pods the coming loop counts with or without verdicts
	awaited     map[types.UID]bool // pods that the scheduler has yet to look at. Some schedulers hold back thousands for hours
	young       []unjudgedPod      // that have been awaited for less than settleLimit, the oldest first, with some that were judged since
}

type unjudgedPod struct {
	pod, controller types.UID // JointController
	since           time.Time
}

func newBurst(lull, settleTime, settleLimit time.Duration) *burst {
	return &burst{lull: lull, settleTime: settleTime, settleLimit: settleLimit, owners: &owners{by: map[types.UID]owner{}, lacking: map[types.UID]time.Time{}}, arrived: make(chan struct{}, 1),
		makers: map[types.UID]bool{}, controllers: map[types.UID]bool{}, awaited: map[types.UID]bool{}}
}

// add notes something without a controller that was seen now and counts at once.
func (b *burst) add(now time.Time) { _ = b.addOf("", "", now) }

// addOf notes a pod of the controller. Unless joint is "", the coming loop counts all its pods with it. It reports whether the pod begins a
// burst.
func (b *burst) addOf(controller, joint types.UID, now time.Time) (begins bool) {
	b.mu.Lock()
	begins = b.first.IsZero()
	if joint != "" {
		b.controllers[joint] = true
	}
	b.makers[controller], b.last = true, later(b.last, now)
	if begins {
		b.first = now
	}
	b.mu.Unlock()
	b.wakeWaiter()
	return begins
}

// counts reports whether the coming loop counts all pods of the controller.
func (b *burst) counts(controller types.UID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.controllers[controller]
}

// await notes that the scheduler has yet to look at the pod.
func (b *burst) await(now time.Time, pod, controller types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.awaited[pod] {
		b.awaited[pod] = true
		b.young = append(b.ages(now), unjudgedPod{pod, controller, now})
	}
}

// ages returns young without the pods that have become too old. The caller holds the lock.
func (b *burst) ages(now time.Time) []unjudgedPod {
	old := 0
	for old < len(b.young) && now.Sub(b.young[old].since) >= b.settleLimit {
		old++
	}
	return b.young[old:]
}

// judged notes that the scheduler has looked at the pod, or never will.
func (b *burst) judged(pod types.UID) {
	b.mu.Lock()
	known := b.awaited[pod]
	delete(b.awaited, pod)
	over := known && len(b.awaited) == 0
	b.mu.Unlock()
	if over {
		b.wakeWaiter()
	}
}

func (b *burst) wakeWaiter() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// due returns when the burst is over, zero if no pod came.
func (b *burst) due(now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first.IsZero() {
		return time.Time{}
	}
	b.young = b.ages(now)
	lasted := b.last.Sub(b.first) / 2
	needed, awaited := b.owners.need(now, b.settleLimit)
	settled := b.last.Add(max(b.quiet(), lasted))
	if b.whole() {
		settled = sooner(settled, later(b.last, needed.Add(max(b.lull, lasted))))
	}
	return sooner(later(settled, awaited), b.first.Add(b.settleLimit))
}

// quiet returns how long no pod must have come. The caller holds the lock.
func (b *burst) quiet() time.Duration {
	quiet := b.lull
	if len(b.awaited) > 0 {
		quiet = b.settleTime
	}
	for _, pod := range b.young {
		if quiet >= b.settleLimit {
			break
		}
		if b.awaited[pod.pod] {
			quiet += judgeTime
		}
	}
	return quiet
}

// whole reports whether the controllers of the pods that came have all their pods, and the coming loop counts every pod that the scheduler has
// yet to look at and may look at soon. The caller holds the lock.
func (b *burst) whole() bool {
	for _, pod := range b.young {
		if b.awaited[pod.pod] && !b.controllers[pod.controller] {
			return false
		}
	}
	for controller := range b.makers {
		if !b.owners.complete(controller) {
			return false
		}
	}
	return true
}

func later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }

func sooner(a, b time.Time) time.Time { return slices.MinFunc([]time.Time{a, b}, time.Time.Compare) }

// forget drops the pods that came, except the pods that are not judged.
func (b *burst) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first, b.last = time.Time{}, time.Time{}
	clear(b.makers)
	clear(b.controllers)
	select {
	case <-b.arrived:
	default:
	}
}
