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
	// smallHeap is a heap in use of which garbage may take smallPercent before it is collected. Go's own default is 100 percent of any heap. With
	// 1,000 groups and no load, 50 took 15 MiB more than 25, and one percent less of a processor. With 5,000 nodes of ten pods, loops took
	// half as long again with 25 as with 100.
	smallHeap, smallPercent = 32 << 20, 25
	// burstGarbage is the garbage that may pile up while much is allocated for a short time. A scale-up for 2,000 pods and 60 groups spent
	// two thirds of its time on collections before.
	burstGarbage = 128 << 20
	// nearPercent is the least difference to the right percentage that is worth a change.
	nearPercent = 5
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

// CollectGarbage has the runtime collect garbage more often than by default, and still more often where the heap comes near the container's
// memory limit. GOGC and GOMEMLIMIT of the environment win. CollectGarbage returns the limit of the heap in bytes, 0 without one of its own.
func CollectGarbage() (limit int64) {
	AdjustGarbage()
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit = cmp.Or(heapLimit(memoryMax), heapLimit(memoryLimit)); limit > 0 {
			debug.SetMemoryLimit(limit)
		}
	}
	return limit
}

// AdjustGarbage has the runtime collect garbage less often the more of the heap is in use. Call it from time to time. GOGC of the environment
// wins.
func AdjustGarbage() { adjust(garbagePercent) }

// Burst has the runtime collect garbage less often until the end of a short time in which much is allocated. Call end then. The memory limit of
// the container stays, and GOGC of the environment wins. One goroutine calls Burst and AdjustGarbage.
func Burst() (end func()) {
	adjust(func(live uint64) int { return max(garbagePercent(live), int(burstGarbage*100/max(live, 1<<20))) })
	return AdjustGarbage
}

// adjust sets the percentage for the bytes in use.
func adjust(percent func(live uint64) int) {
	if os.Getenv("GOGC") != "" {
		return
	}
	now := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(now)
	is, right := int(now[0].Value.Uint64()), percent(now[1].Value.Uint64())
	if is < right-nearPercent || right+nearPercent < is {
		debug.SetGCPercent(right)
	}
}

// garbagePercent is the garbage that is collected at once, in percent of the bytes in use. It may take as much again as the part above
// smallHeap.
func garbagePercent(live uint64) int {
	if live <= smallHeap {
		return smallPercent
	}
	return int(100 - (100-smallPercent)*smallHeap/live)
}

// heapLimit returns the heap's part of the limit in the file, 0 if there is no limit.
func heapLimit(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || limit > allMemory {
		return 0
	}
	return limit / 100 * heapPercent
}
