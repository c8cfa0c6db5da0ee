package tokenwindow

import (
	"context"
	"time"
)

// A new process delays its first launch by up to 10 s around the edge of a token's window (cloudprovider/asg, awaitPredecessor),
// because a previous leader's launch may be in progress under the token of the window before. Scripts that measure a first
// launch start away from the edges. The tests of cloudprovider/asg cover the delay.
const (
	length     = 10 * time.Minute
	edgeBefore = 15 * time.Second
	edgeAfter  = 10 * time.Second
)

// untilAwayFromEdge returns how long to wait at the time until no edge is near.
func untilAwayFromEdge(now time.Time) time.Duration {
	since := time.Duration(now.UnixNano() % int64(length))
	switch {
	case since < edgeAfter:
		return edgeAfter - since
	case since > length-edgeBefore:
		return length - since + edgeAfter
	}
	return 0
}

// AwayFromEdge waits, 25 s at most, until a process that starts now launches without a wait.
func AwayFromEdge(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(untilAwayFromEdge(time.Now())):
	}
}
