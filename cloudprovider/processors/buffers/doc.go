// Package buffers serves CapacityBuffer objects by the core's own controller and processors, and mends what these lack.
//
// It owns when a status is written: beside the loop, and only where it changes. Percentages are rounded up. A change of the object that
// a buffer scales with counts at once. The condition Fulfilled says whether the capacity is on Ready nodes. The package makes no AWS call.
package buffers
