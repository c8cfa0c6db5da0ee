package queue

import "time"

// Hide has messages come into sight again so much later, and renews that after the other time.
func (c *Consumer) Hide(visibility, renewAfter time.Duration) *Consumer {
	c.hide, c.renewAfter = visibility, renewAfter
	return c
}
