package leastcost

import (
	"time"

	"k8s.io/utils/clock"
)

// The parts of its time after which a plan's steps come to an end.
const (
	limitShare   = 0.2 // the limits that only the core knows are looked for
	programShare = 0.4 // the linear program is solved
	planShare    = 0.7 // nodes are filled, and packed anew, the rest is for the explanation
)

// timer bounds the time of a plan.
type timer struct {
	clock clock.PassiveClock
	start time.Time
	limit time.Duration
	cut   bool // a step came to an end for want of time
}

// past reports whether that share of the time is over. Whoever asks has more to do, so the plan is cut short then.
func (t *timer) past(share float64) bool {
	over := float64(t.clock.Since(t.start)) >= share*float64(t.limit)
	t.cut = t.cut || over
	return over
}
