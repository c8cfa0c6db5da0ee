package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// shortSeeds run in every test run, side by side. They read the groups each second, and have many kinds of faults, in both launch modes,
// with one replica and two, and with nearly everything that an account can have. The rest is for make chaos. Hurried plans have
// limits of milliseconds, of which the race detector beside other tests leaves too few.
var shortSeeds = []uint64{121, 170}

// shortZonalSeed is the one zonal plan among them. It has each of the zonal faults, and the permission back in the end.
const shortZonalSeed = 160

func TestAutoscalerRecoversFromChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("runs control planes for most of a minute")
	}
	require.NoError(t, scenario.LookAtSources("../../.."))
	binary, err := scenario.BuildAutoscaler(t.Context(), t.TempDir())
	require.NoError(t, err)
	for _, seed := range shortSeeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			runPlan(t, NewPlan(seed, false), binary)
		})
	}
	t.Run(fmt.Sprintf("zonal seed %d", shortZonalSeed), func(t *testing.T) {
		t.Parallel()
		runPlan(t, NewPlan(shortZonalSeed, true), binary)
	})
}

// A soak of half a minute has too few samples to judge growth, and all else of a soak.
func TestSoakOfHalfAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane for more than a minute")
	}
	require.NoError(t, scenario.LookAtSources("../../.."))
	binary, err := scenario.BuildAutoscaler(t.Context(), t.TempDir())
	require.NoError(t, err)
	result := runPlan(t, NewSoakPlan(1, 30*time.Second), binary)
	waited := 0.0 // seconds in which a sample kept the next one from beginning
	for _, s := range result.Samples {
		waited += s.Behind
	}
	if got := len(result.Samples); float64(got)+waited/sampleLeast.Seconds() < 3 {
		t.Fatalf("%d samples, which waited %.0f s for the groups, want one each five seconds beside that", got, waited)
	}
	for _, s := range result.Samples {
		assert.Truef(t, s.Resident > 0 && s.Goroutines > 0 && s.Calls > 0, "sample without memory, goroutines or calls: %+v", s)
	}
}

func runPlan(t *testing.T, p Plan, binary string) Result {
	t.Helper()
	lab, err := NewLab(t.Context(), Options{Dir: t.TempDir(), Binary: binary, Progress: t.Output()})
	require.NoError(t, err)
	defer func() { assert.NoError(t, lab.Close()) }()
	result, err := lab.Run(t.Context(), p)
	require.NoError(t, err)
	t.Log(result)
	if len(result.Violations) > 0 {
		t.Errorf("%s\n%s", p, left(t, lab.folder(p)))
	}
	return result
}

// logTail is how many bytes of a log are shown.
const logTail = 16 << 10

// left is a run's output for a reader: the violations, the events, and the end of each replica's log.
func left(t *testing.T, folder string) string {
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var text strings.Builder
	for _, entry := range entries {
		raw, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		require.NoError(t, err)
		if filepath.Ext(entry.Name()) == ".log" {
			raw = raw[max(0, len(raw)-logTail):]
		}
		fmt.Fprintf(&text, "%s:\n%s\n", entry.Name(), raw)
	}
	return text.String()
}
