package loop

import (
	"slices"
	"sync"
	"time"
)

// maxDelayed bounds the moments remembered for pods that do not count yet. The loop of the scan interval finds the others.
const maxDelayed = 1000

// burst remembers when unschedulable pods came since the last loop, and knows when their coming is over.
type burst struct {
	settleTime, settleLimit time.Duration

	// arrived holds a token when pods came that the waiter may not know of.
	arrived chan struct{}

	mu          sync.Mutex
	first, last time.Time   // of the pods since the last loop, zero if none came
	delayed     []time.Time // sorted, distinct: when pods that are still too young will count
}

func newBurst(settleTime, settleLimit time.Duration) *burst {
	return &burst{settleTime: settleTime, settleLimit: settleLimit, arrived: make(chan struct{}, 1)}
}

// add notes a pod that was seen at now and counts from the moment counts on.
func (b *burst) add(now, counts time.Time) {
	b.mu.Lock()
	if counts.After(now) {
		b.addDelayed(counts)
	} else {
		b.addNow(now)
	}
	b.mu.Unlock()
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// addNow notes a pod that counts. The caller holds the lock.
func (b *burst) addNow(at time.Time) {
	if b.first.IsZero() {
		b.first = at
	}
	if b.last.Before(at) {
		b.last = at
	}
}

// addDelayed notes a moment at which a pod will count. The caller holds the lock.
func (b *burst) addDelayed(at time.Time) {
	i, known := slices.BinarySearchFunc(b.delayed, at, time.Time.Compare)
	if !known && len(b.delayed) < maxDelayed {
		b.delayed = slices.Insert(b.delayed, i, at)
	}
}

// due returns when the burst is over, zero if no pod came, and when the next delayed pod will count, zero if there is none.
func (b *burst) due(now time.Time) (settled, delayed time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.delayed) > 0 && !b.delayed[0].After(now) {
		b.addNow(b.delayed[0])
		b.delayed = slices.Delete(b.delayed, 0, 1)
	}
	if !b.first.IsZero() {
		settled = b.last.Add(b.settleTime)
		if limit := b.first.Add(b.settleLimit); limit.Before(settled) {
			settled = limit
		}
	}
	if len(b.delayed) > 0 {
		delayed = b.delayed[0]
	}
	return settled, delayed
}

// forget drops the pods that came, except the pods that are still too young.
func (b *burst) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first, b.last = time.Time{}, time.Time{}
	select {
	case <-b.arrived:
	default:
	}
}
