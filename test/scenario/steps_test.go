package scenario

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTableShowsSlowestStepBesideAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var suite Suite
		add := func(name string, does map[string]time.Duration) *steps {
			s := &steps{name: name, began: time.Now()}
			suite.scripts = append(suite.scripts, s)
			for line, takes := range does {
				done := s.begin(strings.Fields(line))
				time.Sleep(takes)
				done()
			}
			return s
		}
		add("slow", map[string]time.Duration{
			"expect 60s running app=web 2": 12 * time.Second,
			"expect 10s desired web 2":     3 * time.Second,
			"repeat 3 round.txt":           40 * time.Second,
			"kubectl wait":                 20 * time.Second,
		}).end()
		add("plain", map[string]time.Duration{"kubectl apply": time.Second}).end()
		add("hangs", nil).begin([]string{"expect", "5m", "desired", "web", "9"})
		time.Sleep(30 * time.Second)
		want := "script, how long it took, its slowest step and what the step may take\n" +
			"hangs                      30.0 s  since 30.0 s in: expect 5m desired web 9\n" +
			"plain                       1.0 s\n" +
			"slow                       75.0 s    12.0 s of  60 s  expect 60s running app=web 2\n"
		assert.Empty(t, cmp.Diff(want, suite.String()), "table (-want +got)")
	})
}

func TestStepsOfRepeatedLinesAreKept(t *testing.T) {
	s := groupScript(t, 2)
	s.steps = &steps{began: time.Now()}
	require.NoError(t, s.lines("expect 7s desired g 2"))
	got := s.steps.slowest
	assert.Truef(t, got.words == "expect 7s desired g 2" && got.allowed == 7*time.Second && got.took > 0, "slowest step = %+v", got)
}

func TestScriptLimitNamesTheStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("the script has taken its limit"))
		defer cancel()
		err := eventually(ctx, time.Minute, "desired web 9", func(context.Context) (bool, string, error) { return false, "8", nil })
		assert.Truef(t, err != nil && err.Error() == "stopped waiting for desired web 9: the script has taken its limit; saw 8 last",
			"error %v, want one that names the step and the limit", err)
	})
}
