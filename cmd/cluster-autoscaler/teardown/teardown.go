package teardown

import (
	"context"
	"time"

	"k8s.io/klog/v2"
)

// Step ends one part.
type Step struct {
	Name string
	// Limit is how long the step may take. Past it the next step begins, whether this one has ended or not.
	Limit time.Duration
	// Do ends the part and returns when it has. Its context is done at the limit.
	Do func(ctx context.Context)
}

// Run takes the steps in order and reports whether each ended within its limit. It takes no longer than their limits
// together. A step that overruns keeps its goroutine, because the process is about to exit. The context gives the
// logger, and ends all steps early once it is done.
func Run(ctx context.Context, steps ...Step) bool {
	complete := true
	for _, step := range steps {
		if !run(ctx, step) {
			klog.FromContext(ctx).Info("Gave up waiting for a part to end", "part", step.Name, "limit", step.Limit)
			complete = false
		}
	}
	return complete
}

// run reports whether the step ended within its limit.
func run(ctx context.Context, step Step) bool {
	ctx, cancel := context.WithTimeout(ctx, step.Limit)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		step.Do(ctx)
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	// A step that ends because of its limit has ended all the same, if it does so at once.
	select {
	case <-ended:
		return true
	default:
		return false
	}
}
