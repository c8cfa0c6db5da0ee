package lifecycle

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// tokenTimeLabel keeps a TokenTime on the lease, in seconds since 1970.
const tokenTimeLabel = "asg-autoscaler.github.io/token-time"

// A time older than oldest says nothing of launches that may be under way. It stands still while launches follow each other.
const oldest = 10 * time.Minute

// TokenTime is the time by which leaders make the tokens of their launches. The lease keeps it, and the next leader goes on with it. So a launch
// that a killed leader may have begun has the same token when its successor asks for it again. It moves on while no launch can be under way, and
// never before the lease has it. It is safe for concurrent use.
type TokenTime struct {
	// Call is the longest that AWS may be at a launch after it was asked.
	Call time.Duration
	// Labels are written with each renewal of the lease, which alone may touch them.
	Labels map[string]string

	mu    sync.Mutex
	left  time.Time     // by the last holder, zero for none
	at    time.Time     // zero before the lease is taken
	used  time.Time     // last
	next  time.Time     // what a renewal is about to write, or may have written
	moved chan struct{} // closed once the lease has next. Nil while there is none
}

// find notes the time in the labels of the lease, which its last holder may have left.
func (t *TokenTime) find(labels map[string]string) {
	seconds, err := strconv.ParseInt(labels[tokenTimeLabel], 10, 64)
	at := time.Unix(seconds, 0)
	if err != nil || time.Since(at).Abs() > oldest {
		at = time.Time{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = at
}

// Use returns the time for a launch that begins now, and keeps it for as long as the launch may be under way. While a renewal moves the time, Use waits
// for it.
func (t *TokenTime) Use(ctx context.Context) (time.Time, error) {
	for {
		t.mu.Lock()
		at, moved := t.at, t.moved
		if moved == nil {
			t.used = time.Now()
		}
		t.mu.Unlock()
		if moved == nil {
			return at, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// beginRenewal has the renewal that follows write the next time, if it is due. The first one takes the lease, and goes on with the time left.
func (t *TokenTime) beginRenewal() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now().Truncate(time.Second)
	switch {
	case t.at.IsZero() && !t.left.IsZero():
		now = t.left
	case !t.at.IsZero() && (t.moved != nil || time.Since(t.used) < t.Call || now.Sub(t.at) < t.Call):
		return
	}
	t.next, t.moved = now, make(chan struct{})
	t.Labels[tokenTimeLabel] = strconv.FormatInt(now.Unix(), 10)
}

// endRenewal moves the time once the lease has it. A failed renewal may have written it, so launches wait for the next one.
func (t *TokenTime) endRenewal(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.moved == nil || err != nil {
		return
	}
	if t.at.IsZero() {
		t.used = time.Now() // a launch of the last holder may be under way
	}
	t.at = t.next
	close(t.moved)
	t.moved = nil
}
