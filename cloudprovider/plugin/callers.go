package plugin

import (
	"maps"
	"sync"
	"time"
)

// coreSilence is the longest time between two calls of a core at work. Its health check ends a core without a successful loop for as long
// (--max-failing-time, 15 minutes by default).
const coreSilence = 15 * time.Minute

// callers are the hosts whose processes have shown a certificate. The core's client of the expander can show none, so the host is known
// by the core's other connection.
type callers struct {
	mutex sync.Mutex
	last  map[string]time.Time // when a host last called with a certificate
}

func (c *callers) note(host string, now time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if maps.DeleteFunc(c.last, func(_ string, at time.Time) bool { return now.Sub(at) > coreSilence }); c.last == nil {
		c.last = map[string]time.Time{}
	}
	c.last[host] = now
}

// know reports whether the host has called with a certificate lately.
func (c *callers) know(host string, now time.Time) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return now.Sub(c.last[host]) <= coreSilence
}
