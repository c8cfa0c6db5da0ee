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
	// retryLength is the same for the token of a retry past a failure that may be a previous leader's. At its end the failure is forgotten.
	retryLength = 2 * time.Minute
)

// untilAwayFromEdge returns how long to wait at the time until no edge of a window of the length is near, which is so long before it.
func untilAwayFromEdge(now time.Time, length, before time.Duration) time.Duration {
	since := time.Duration(now.UnixNano() % int64(length))
	switch {
	case since < edgeAfter:
		return edgeAfter - since
	case since > length-before:
		return length - since + edgeAfter
	}
	return 0
}

// AwayFromEdge waits, 25 s at most, until a process that starts now launches without a wait.
func AwayFromEdge(ctx context.Context) { wait(ctx, length, edgeBefore) }

// AwayFromRetryEdge waits until a process that starts now believes a failed launch for so long, which is below 110 s.
func AwayFromRetryEdge(ctx context.Context, believed time.Duration) { wait(ctx, retryLength, believed) }

func wait(ctx context.Context, length, before time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(untilAwayFromEdge(time.Now(), length, before)):
	}
}
