package day

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// It runs our autoscaler alone, because building the others takes minutes. Its times prove nothing.
func TestBenchRunsOurAutoscalerThroughADay(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var stdout, stderr bytes.Buffer
	require.Zerof(t, Main(t.Context(), []string{"-only", "mixed", "-who", "ours-consolidate", "-minutes", "0.2", "-o", "json"}, &stdout, &stderr),
		"exit code: %s", &stderr)
	var got report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout.String())
	}
	require.Truef(t, len(got.Mixes) == 1 && len(got.Mixes[0].Runs) == 1, "%+v, want one mix with one run", got)
	run := got.Mixes[0].Runs[0]
	assert.Truef(t, run.Error == "" && run.Bill > 0 && run.Bound > 0 && run.PodHours > 0 && run.Launched != 0 && len(run.Hours) == 24,
		"%+v, want a bill, a bound, pod-hours, launched nodes and 24 hours", run)
}

func TestLoadIsTheSameForTheSameSeed(t *testing.T) {
	for _, p := range plans {
		var days []string
		for _, seed := range []uint64{1, 1, 2} {
			l, err := p.load(seed)
			require.NoError(t, err)
			days = append(days, fmt.Sprint(l.changes))
		}
		assert.Truef(t, days[0] == days[1] && days[0] != days[2], "%s: the day must depend on the seed, and on nothing else", p.name)
	}
}

func TestServicesAreLowAtNightAndHighAtNoon(t *testing.T) {
	l, err := plans[0].load(1)
	require.NoError(t, err)
	replicas, total := map[string]int{}, map[time.Duration]int{}
	changes := l.changes
	for at := time.Duration(0); at < day; at += time.Hour {
		for len(changes) > 0 && changes[0].at <= at {
			replicas[changes[0].workload] = changes[0].pods
			changes = changes[1:]
		}
		for _, n := range replicas {
			total[at] += n
		}
	}
	if night, noon := total[5*time.Hour], total[12*time.Hour]; len(replicas) != len(plans[0].services) || noon < 3*night || noon > 200 {
		t.Errorf("%d replicas at night and %d at noon of %d services, want three times as many at noon, and not too many for a small machine", night, noon, len(replicas))
	}
}

func TestMixesHaveAPodOfEachWorkloadAndPoolsOfEachTaint(t *testing.T) {
	for _, p := range plans {
		l, err := p.load(1)
		require.NoError(t, err)
		assert.Truef(t, len(l.mix.Pods) == len(p.services)+len(p.batches) && len(l.mix.Groups) == 2*len(p.types) && len(l.mix.DaemonSets) == len(p.daemons),
			"%s: %d pods, %d groups, %d DaemonSets", p.name, len(l.mix.Pods), len(l.mix.Groups), len(l.mix.DaemonSets))
		offers := 0
		for _, pool := range pools(l.mix) {
			offers += len(pool.Offers)
			spot := pool.CapacityType == "spot"
			assert.Truef(t, spot == (pool.Weight > 0), "%s: pool %q of %q has weight %d", p.name, pool.Name, pool.CapacityType, pool.Weight)
		}
		assert.Truef(t, offers == len(l.mix.Groups), "%s: %d offers of Karpenter's for %d groups", p.name, offers, len(l.mix.Groups))
	}
}

func TestTimesAreCompressedAlike(t *testing.T) {
	s := speedOf(24)
	if flags := s.flags(stockProgram); !slices.Equal(s.flags(ourProgram), append(flags, "--asg-consolidate-horizon=1m0s")) ||
		!slices.Contains(flags, "--scale-down-unneeded-time=10s") || !slices.Contains(flags, "--scan-interval=200ms") {
		t.Errorf("%v, want the same for ours and stock but for the horizon, ten minutes as 10 s, and no loop below 0.2 s", flags)
	}
	assert.Truef(t, s.boot() == time.Second && speedOf(240).boot() == 10*time.Second,
		"a node boots in %s and %s, want a minute of the day", s.boot(), speedOf(240).boot())
	assert.Truef(t, math.Abs(float64(s)-60) <= 1e-9, "24 minutes are %v times faster, want 60", s)
}
