//go:build !linux

package costlimit

import "time"

var begun = time.Now()

// processorTime is wall-clock time on systems that do not know a thread's own time.
func processorTime() time.Duration { return time.Since(begun) }
