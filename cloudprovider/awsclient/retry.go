package awsclient

import (
	"math/rand/v2"
	"time"
)

// Pauses after a failed look-up, by cause: after the first failure, and at most after repeated ones. All look-ups keep to them.
// Readings that block a loop and writes do not.
var pauses = struct{ denied, unknown, throttled, other pause }{
	denied:    pause{30 * time.Second, 10 * time.Minute}, // until somebody allows it
	unknown:   pause{10 * time.Minute, time.Hour},        // the partition or the endpoint does not have the call
	throttled: pause{4 * time.Second, time.Minute},
	other:     pause{2 * time.Second, time.Minute},
}

type pause struct{ first, most time.Duration }

// jitter is the random part of a pause: processes that began together do not ask together for ever.
const jitter = 5

// RetryAfter returns the pause after a look-up that failed with the error for the n-th time in a row, n being failed. It doubles each time up to a
// bound, both by the cause, and is partly random. It is safe for concurrent use.
func RetryAfter(err error, failed int) time.Duration {
	p := pauses.other
	switch {
	case IsDenied(err):
		p = pauses.denied
	case IsUnsupported(err):
		p = pauses.unknown
	case IsThrottled(err):
		p = pauses.throttled
	}
	wait := min(p.first<<min(max(failed-1, 0), 10), p.most)
	return wait - rand.N(wait/jitter)
}
