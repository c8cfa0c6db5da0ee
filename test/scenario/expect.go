package scenario

import (
	"context"
	"fmt"
	"time"
)

// pollInterval is the pause between two looks at a condition. Conditions read loopback servers and files of this machine.
const pollInterval = 100 * time.Millisecond

// condition reports whether it holds, and its observation, for the message if it never holds. An error ends the wait.
type condition func(ctx context.Context) (holds bool, saw string, err error)

// eventually waits until the condition holds. The error has the last observation.
func eventually(ctx context.Context, within time.Duration, what string, holds condition) error {
	script := ctx
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	last := "nothing"
	for {
		ok, saw, err := holds(ctx)
		switch {
		case ok && err == nil:
			return nil
		case script.Err() != nil:
			return fmt.Errorf("stopped waiting for %s: %w; saw %s last", what, context.Cause(script), last)
		case ctx.Err() != nil:
			return fmt.Errorf("waited %s for %s; saw %s last", within, what, last)
		case err != nil:
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		last = saw
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}
