package asg

import "golang.org/x/sync/errgroup"

// parallel runs do for 0 to n-1, at most limit at a time, and waits for all.
func parallel(n, limit int, do func(int)) {
	var calls errgroup.Group
	calls.SetLimit(limit)
	for i := range n {
		calls.Go(func() error { do(i); return nil })
	}
	_ = calls.Wait()
}
