package costlimit

import (
	"syscall"
	"time"
)

// processorTime is the calling thread's own run time.
func processorTime() time.Duration {
	const thisThread = 1 // RUSAGE_THREAD, getrusage(2)
	return used(thisThread)
}

// ProcessTime is the run time of the whole process, with that of the garbage collector.
func ProcessTime() time.Duration { return used(syscall.RUSAGE_SELF) }

func used(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
