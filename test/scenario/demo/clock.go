package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// roundClock prints moments as they happen, with the seconds since the round began, and nothing between rounds. Safe for concurrent use.
type roundClock struct {
	mu    sync.Mutex
	start time.Time // zero outside a round
}

func newRoundClock() *roundClock { return &roundClock{} }

func (c *roundClock) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = time.Now()
}

func (c *roundClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.start = time.Time{}
}

func (c *roundClock) print(m scenario.Moment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start.IsZero() || m.At.Before(c.start) {
		return
	}
	fmt.Printf("%s  %-19s  %-45s  %s\n", elapsed(m.At.Sub(c.start)), m.Kind, m.Object, m.Detail)
}
