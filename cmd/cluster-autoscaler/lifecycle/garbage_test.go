package lifecycle

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHeapGetsItsPartOfContainerLimit(t *testing.T) {
	for text, want := range map[string]int64{"314572800\n": 251658240, "max\n": 0, "9223372036854771712\n": 0} { // 300 MiB, and none
		file := filepath.Join(t.TempDir(), "memory.max")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		assert.Equalf(t, want, heapLimit(file), "of %q the heap gets", text)
	}
	assert.EqualValues(t, 0, heapLimit(filepath.Join(t.TempDir(), "none")), "outside of a container the heap gets, want no limit")
}

func TestEnvironmentDecidesAboutGarbage(t *testing.T) {
	const ofTest = 77
	percent, limit := debug.SetGCPercent(ofTest), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	t.Setenv("GOGC", "77")
	t.Setenv("GOMEMLIMIT", "1GiB")
	if got := CollectGarbage(); got != 0 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("the limit is %d in spite of GOMEMLIMIT", got)
	}
	if got := debug.SetGCPercent(ofTest); got != ofTest {
		t.Errorf("garbage is collected at %d %% in spite of GOGC", got)
	}
	t.Setenv("GOGC", "")
	runtime.GC() // forget the heaps of other tests
	CollectGarbage()
	if got := debug.SetGCPercent(ofTest); got != smallPercent {
		t.Errorf("garbage is collected at %d %%, want %d", got, smallPercent)
	}
}

func TestLargeHeapMayHaveMoreGarbage(t *testing.T) {
	percent := debug.SetGCPercent(smallPercent)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	t.Setenv("GOGC", "")
	heap := make([]byte, 3*smallHeap)
	runtime.GC()
	AdjustGarbage()
	runtime.KeepAlive(heap)
	if got := debug.SetGCPercent(smallPercent); got < 70 || 80 < got {
		t.Errorf("with %d MiB in use, garbage is collected at %d %%, want about 75", len(heap)>>20, got)
	}
	for live, want := range map[uint64]int{1: 25, smallHeap: 25, 2 * smallHeap: 63, 10 * smallHeap: 93, 1000 * smallHeap: 100} {
		if got := garbagePercent(live); got != want {
			t.Errorf("with %d MiB in use, garbage is collected at %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestBurstMayHaveMoreGarbage(t *testing.T) {
	percent := debug.SetGCPercent(smallPercent)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	t.Setenv("GOGC", "")
	heap := make([]byte, smallHeap)
	runtime.GC()
	end := Burst()
	if got := debug.SetGCPercent(smallPercent); got < 300 || burstGarbage*100/smallHeap < got {
		t.Errorf("in a burst with %d MiB in use, garbage is collected at %d %%, want nearly %d", len(heap)>>20, got, burstGarbage*100/smallHeap)
	}
	debug.SetGCPercent(400)
	end()
	runtime.KeepAlive(heap)
	if got := debug.SetGCPercent(smallPercent); got < smallPercent || 30 < got {
		t.Errorf("after a burst garbage is collected at %d %%, want about %d", got, smallPercent)
	}
	t.Setenv("GOGC", "77")
	debug.SetGCPercent(77)
	Burst()
	if got := debug.SetGCPercent(smallPercent); got != 77 {
		t.Errorf("in a burst garbage is collected at %d %% in spite of GOGC", got)
	}
}
