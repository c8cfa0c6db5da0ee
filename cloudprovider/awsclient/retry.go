package awsclient

import (
	"math/rand/v2"
	"time"
)

// How long a look-up that failed is left alone, by cause: at first, and at the most after it failed again and again. All look-ups
// keep to it. Readings that something waits for and writes do not.
var pauses = struct{ denied, unknown, throttled, other pause }{
	denied:    pause{30 * time.Second, 10 * time.Minute}, // until somebody allows it
	unknown:   pause{10 * time.Minute, time.Hour},        // the partition or the endpoint does not have the call
	throttled: pause{4 * time.Second, time.Minute},
	other:     pause{2 * time.Second, time.Minute},
}

type pause struct{ first, most time.Duration }

// jitter is the part of a pause that is drawn by lot: processes that began together do not ask together for ever.
const jitter = 5

// RetryAfter is how long a look-up is left alone that failed with the error, so many times in a row: twice as long each time, up to a
// bound, both by the cause. A part of it is random. It is safe for concurrent use.
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
