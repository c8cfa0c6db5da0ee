package lifecycle

import (
	"context"
	"time"

	"k8s.io/klog/v2"
)

// Step ends one part of the process.
type Step struct {
	Name string
	// Limit bounds the time of the step. Past it the next step begins, whether this one has ended or not.
	Limit time.Duration
	// Do ends the part and returns when it has. Its context is done at the limit.
	Do func(ctx context.Context)
}

// End takes the steps in order, and no longer than their limits together. A step that overruns keeps its goroutine, because the process is about to
// exit, and End returns ErrUnfinished. The context gives the logger, and ends all steps early once it is done.
func End(ctx context.Context, steps ...Step) (err error) {
	for _, step := range steps {
		limited, cancel := context.WithTimeout(ctx, step.Limit)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			step.Do(limited)
		}()
		select {
		case <-ended:
		case <-limited.Done():
		}
		if limited.Err() != nil { // a step that ends because of its limit may have left something running
			klog.FromContext(ctx).Info("Gave up waiting for a part to end", "part", step.Name, "limit", step.Limit)
			err = ErrUnfinished
		}
		cancel()
	}
	return err
}
