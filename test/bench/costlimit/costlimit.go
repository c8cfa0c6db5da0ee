package costlimit

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Reading 64 KiB may allocate mostBytes, and take 50 ms on an idle machine without instrumentation. The race detector and a
// fuzzer's counters take ten times as long, so the guard is far above 50 ms. The inputs it catches take seconds or hours.
// Under the race detector more is allocated, too: one seed of user data takes 90 MiB (measured 2026-12).
const (
	mostBytes = 64 << 20 * detector
	guard     = time.Second
)

// Check runs do, which reads one input of at most 64 KiB, and reports an error if that costs too much. Nothing else may run in
// the process meanwhile, because it would be counted too.
func Check(t testing.TB, do func()) {
	runtime.LockOSThread() // whose time is taken
	defer runtime.UnlockOSThread()
	start := processorTime()
	allocated := Allocated(do)
	assert.Truef(t, allocated <= mostBytes, "reading it allocates %d MiB, want %d MiB at most", allocated>>20, mostBytes>>20)
	took := processorTime() - start
	assert.Truef(t, took <= guard, "reading it takes %v of processor time, want 50 ms at most on an idle machine", took)
}

// Allocated is how many bytes the process allocates while do runs.
func Allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
