package lifecycle

import (
	"cmp"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

const (
	// burstGarbage is the garbage that may pile up while much is allocated for a short time. A scale-up for 2,000 pods and 60 groups spent
	// two thirds of its time on collections before.
	burstGarbage = 128 << 20
	// usual is Go's own percentage of garbage.
	usual = 100
	// heapPercent is the heap's part of the container's memory limit. The rest is for pages of the program's file, which the kernel
	// counts, too, and Go does not.
	heapPercent = 80
)

// memoryMax has the memory limit of the container, or "max" without a limit (cgroup v2). memoryLimit is the same of cgroup v1, where no limit is
// a number that exceeds all memory. Outside of containers there are no such files.
const (
	memoryMax   = "/sys/fs/cgroup/memory.max"
	memoryLimit = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	allMemory   = 1 << 50
)

// LimitHeap has the runtime collect garbage more often where the heap comes near the container's memory limit. GOMEMLIMIT of the environment wins. It
// returns the limit of the heap in bytes, 0 without one of its own.
func LimitHeap() (limit int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit = cmp.Or(heapLimit(memoryMax), heapLimit(memoryLimit)); limit > 0 {
			debug.SetMemoryLimit(limit)
		}
	}
	return limit
}

// Burst has the runtime collect garbage less often until the end of a short time in which much is allocated. Call end then. The memory limit of
// the container stays, and GOGC of the environment wins. One goroutine calls Burst at a time.
func Burst() (end func()) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := int(burstGarbage * 100 / max(live[0].Value.Uint64(), 1<<20))
	if os.Getenv("GOGC") != "" || percent <= usual {
		return func() {}
	}
	debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(usual) }
}

// heapLimit returns the heap's part of the limit in the file, 0 if there is no limit or no file.
func heapLimit(file string) int64 {
	text, _ := os.ReadFile(file)
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || limit > allMemory {
		return 0
	}
	return limit / 100 * heapPercent
}
