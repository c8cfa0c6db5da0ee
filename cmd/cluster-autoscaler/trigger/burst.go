package trigger

import (
	"slices"
	"sync"
	"time"
)

// maxRipening bounds how many moments are remembered for pods that are still too young. Those beyond it are found by the
// loop of the scan interval.
const maxRipening = 1000

// burst remembers when unschedulable pods came since the last loop, and tells when their coming is over.
type burst struct {
	settleTime, settleLimit time.Duration

	// arrived holds a token when pods came that the waiter may not know of.
	arrived chan struct{}

	mu          sync.Mutex
	first, last time.Time   // of the pods since the last loop; zero if none came
	ripening    []time.Time // sorted, distinct: when pods that are still too young will count
}

func newBurst(settleTime, settleLimit time.Duration) *burst {
	return &burst{settleTime: settleTime, settleLimit: settleLimit, arrived: make(chan struct{}, 1)}
}

// add notes a pod that was seen at now and counts from ripe on.
func (b *burst) add(now, ripe time.Time) {
	b.mu.Lock()
	if ripe.After(now) {
		b.addRipening(ripe)
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

// addRipening notes a moment at which a pod will count. The caller holds the lock.
func (b *burst) addRipening(at time.Time) {
	i, known := slices.BinarySearchFunc(b.ripening, at, time.Time.Compare)
	if !known && len(b.ripening) < maxRipening {
		b.ripening = slices.Insert(b.ripening, i, at)
	}
}

// due returns when the burst is over, zero if no pod came, and when the next pod that is too young will count, zero if
// there is none.
func (b *burst) due(now time.Time) (settled, ripe time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.ripening) > 0 && !b.ripening[0].After(now) {
		b.addNow(b.ripening[0])
		b.ripening = slices.Delete(b.ripening, 0, 1)
	}
	if !b.first.IsZero() {
		settled = b.last.Add(b.settleTime)
		if limit := b.first.Add(b.settleLimit); limit.Before(settled) {
			settled = limit
		}
	}
	if len(b.ripening) > 0 {
		ripe = b.ripening[0]
	}
	return settled, ripe
}

// forget drops the pods that came; those that are still too young stay.
func (b *burst) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first, b.last = time.Time{}, time.Time{}
	select {
	case <-b.arrived:
	default:
	}
}
