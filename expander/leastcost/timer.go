package leastcost

import (
	"time"

	"k8s.io/utils/clock"
)

// Shares of the time limit at which the steps of a plan end.
const (
	planShare = 0.7 // nodes are filled, and packed anew, the rest is for the explanation
)

// timer bounds the time of a plan.
type timer struct {
	clock clock.PassiveClock
	start time.Time
	limit time.Duration
	brief bool // the first good plan counts: other expanders have weighed the options
	cut   bool // a step came to an end for want of time
}

// past reports whether that share of the time is over. The caller still has work to do, so it marks the plan as cut short.
func (t *timer) past(share float64) bool {
	over := float64(t.clock.Since(t.start)) >= share*float64(t.limit)
	t.cut = t.cut || over
	return over
}
