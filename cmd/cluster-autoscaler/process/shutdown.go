package process

import "time"

// The process promises to be gone 5 seconds after a signal to stop. Each limit bounds one part of the end.
const (
	loopEndLimit       = 1800 * time.Millisecond // the loop under way, and the AWS write it is in
	cleanUpLimit       = 500 * time.Millisecond  // the core's own, which deletes the status config map
	backgroundEndLimit = 1200 * time.Millisecond // readers, queue and controllers
	managerEndLimit    = time.Second             // the controller manager, part of the background

	workGrace    = 3600 * time.Millisecond // the three steps above
	releaseGrace = time.Second             // the lease is given back

	ExitLimit = 4800 * time.Millisecond // everything, whatever hangs
)

// These constants do not compile if the limits no longer add up.
const (
	_ = uint64(workGrace - loopEndLimit - cleanUpLimit - backgroundEndLimit)
	_ = uint64(backgroundEndLimit - managerEndLimit)
	_ = uint64(ExitLimit - workGrace - releaseGrace)
	_ = uint64(5*time.Second - ExitLimit)
)
