package leastcost

import (
	"time"

	"k8s.io/utils/clock"
)

// planShare of the time limit is for the plan, the rest is for the explanation.
const planShare = 0.7

type timer struct {
	clock clock.PassiveClock
	start time.Time // of one plan: what it is made from may take any time
	limit time.Duration
	brief bool // the first good plan counts: other expanders have weighed the options
	cut   bool // a step came to an end for want of time
}

// past reports whether the time for the plan is over. The caller still has work to do, so it marks the plan as cut short.
func (t *timer) past() bool {
	over := float64(t.clock.Since(t.start)) >= planShare*float64(t.limit)
	t.cut = t.cut || over
	return over
}
