//go:build !linux

package costlimit

import "time"

var begun = time.Now()

// processorTime is the time of the clock where a thread's own cannot be had.
func processorTime() time.Duration { return time.Since(begun) }
