package queue

import (
	"time"

	"golang.org/x/sync/semaphore"
)

// Hide sets how long messages stay hidden, and the age at which that is renewed.
func (c *Consumer) Hide(visibility, renewAfter time.Duration) *Consumer {
	c.hide, c.renewAfter = visibility, renewAfter
	return c
}

// Bound sets how many messages are handled at the same time.
func (c *Consumer) Bound(inFlight int64) *Consumer {
	c.slots = semaphore.NewWeighted(inFlight)
	return c
}
