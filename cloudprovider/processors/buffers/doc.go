// Package buffers serves CapacityBuffer objects by the core's own controller and processors, and mends what these lack.
//
// It owns when a status is written: beside the loop, and only where it changes. The controller looks at a buffer again when the object
// that the buffer scales with changes, and rounds percentages up. The condition Fulfilled says whether the capacity is on Ready nodes. The
// package makes no AWS call. Run and the core's controller are its only goroutines.
package buffers
