package queue

import "time"

// Hide sets how long messages stay hidden, and the age at which that is renewed.
func (c *Consumer) Hide(visibility, renewAfter time.Duration) *Consumer {
	c.hide, c.renewAfter = visibility, renewAfter
	return c
}
