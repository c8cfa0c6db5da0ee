package awsclient

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/utils/clock"
)

// jitter is the random part of a pause: processes that began together do not ask together for ever.
const jitter = 5

// MostDenials bounds the number of failures for RetryAfter where one look-up of one key is tried for all that AWS denies: a permission that is back is
// used within two minutes.
const MostDenials = 3

// RetryAfter returns the pause after a look-up that failed with the error for the n-th time in a row, n being failed. It doubles each time up to a
// bound, both by the cause, and is partly random. All look-ups keep to it. Readings that block a loop and writes do not. It is safe for concurrent use.
func RetryAfter(err error, failed int) time.Duration {
	first, most := 2*time.Second, time.Minute
	switch {
	case IsDenied(err), IsUnknownCall(err) && IsUncoded(err): // until somebody allows it, or a proxy's own answer ends
		first, most = 30*time.Second, 10*time.Minute
	case IsUnsupported(err): // the partition or the endpoint does not have the call
		first, most = 10*time.Minute, time.Hour
	case IsThrottled(err):
		first = 4 * time.Second
	}
	wait := min(first<<min(max(failed-1, 0), 10), most)
	return wait - rand.N(wait/jitter)
}

// Pause waits, but not beyond ctx, whose error it returns.
func Pause(ctx context.Context, c clock.Clock, d time.Duration) error {
	select {
	case <-ctx.Done():
	case <-c.After(d):
	}
	return ctx.Err()
}
