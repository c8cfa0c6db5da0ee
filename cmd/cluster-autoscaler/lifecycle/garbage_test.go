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

func TestEnvironmentLimitsTheHeap(t *testing.T) {
	limit := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(limit) })
	t.Setenv("GOMEMLIMIT", "1GiB")
	got := LimitHeap()
	assert.Truef(t, got == 0 && debug.SetMemoryLimit(-1) == math.MaxInt64, "the limit is %d in spite of GOMEMLIMIT", got)
}

func TestBurstMayHaveMoreGarbage(t *testing.T) {
	percent := debug.SetGCPercent(usual)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	heap := make([]byte, 32<<20)
	for _, tt := range []struct {
		environment string
		least, most int
	}{{"", 200, 400}, {"77", usual, usual}} {
		t.Setenv("GOGC", tt.environment)
		debug.SetGCPercent(usual)
		runtime.GC()
		end := Burst()
		if got := debug.SetGCPercent(usual); got < tt.least || tt.most < got {
			t.Errorf("GOGC=%s: in a burst with %d MiB in use, garbage is collected at %d %%, want %d to %d", tt.environment, len(heap)>>20, got, tt.least, tt.most)
		}
		end()
		assert.Equalf(t, usual, debug.SetGCPercent(usual), "GOGC=%s: after a burst garbage is collected at", tt.environment)
	}
	runtime.KeepAlive(heap)
}
