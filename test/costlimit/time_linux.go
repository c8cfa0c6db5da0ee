package costlimit

import (
	"syscall"
	"time"
)

// processorTime is how long the calling thread has run, however many others ran beside it.
func processorTime() time.Duration {
	const thisThread = 1 // RUSAGE_THREAD, getrusage(2)
	var u syscall.Rusage
	if err := syscall.Getrusage(thisThread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
