package cost

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/simulate"
)

// measured runs the bench and parses its output.
func measured(t *testing.T, args ...string) report {
	var stdout, stderr bytes.Buffer
	require.Zerof(t, Main(t.Context(), append(args, "-o", "json"), &stdout, &stderr), "exit code: %s", &stderr)
	var r report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	return r
}

// The small mixes stand for the others here. They take a second each.
func TestLeastCostBeatsEveryStockExpander(t *testing.T) {
	for _, args := range [][]string{{"-mix", "testdata/shop.yaml"}, {"-only", "web-small,gpu-training,memory-heavy"}} {
		for _, m := range measured(t, args...).Mixes {
			ours := m.Runs[slices.Index(simulate.Expanders, "least-cost")]
			assert.Truef(t, ours.Ratio <= 1.15 && ours.Ratio >= 1, "mix %q: least-cost is at %v of the bound, want 1 to 1.15", m.Name, ours.Ratio)
			for _, run := range m.Runs {
				assert.Truef(t, run.Unplaced <= 0 && run.Ratio >= 1,
					"mix %q with %s: %d pods unplaced, at %v of the bound", m.Name, run.Expander, run.Unplaced, run.Ratio)
				assert.Truef(t, !slices.Contains(simulate.Stock, run.Expander) || run.PerHour > ours.PerHour,
					"mix %q: %s costs %v, least-cost %v", m.Name, run.Expander, run.PerHour, ours.PerHour)
			}
		}
	}
}

func TestSameMixCostsTheSameAgain(t *testing.T) {
	args := []string{"-only", "web-small", "-expanders", "least-cost"}
	first, again := measured(t, args...).Mixes[0].Runs[0], measured(t, args...).Mixes[0].Runs[0]
	assert.Truef(t, first.PerHour == again.PerHour && first.Raises == again.Raises,
		"%v in %d raises, then %v in %d", first.PerHour, first.Raises, again.PerHour, again.Raises)
}

func TestTableHasALinePerMix(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zerof(t, Main(t.Context(), []string{"-only", "web-small", "-expanders", "least-cost,random"}, &stdout, &stderr), "exit code: %s", &stderr)
	n := strings.Count(stdout.String(), "\nweb-small ")
	assert.Truef(t, n == 1, "%d lines for web-small, want one:\n%s", n, stdout.String())
}

func TestWrongUsageAndFilesThatCannotBeRead(t *testing.T) {
	twice := filepath.Join(t.TempDir(), "twice.yaml")
	require.NoError(t, os.WriteFile(twice, []byte("groups: [{name: a, type: m5.large}, {name: b, type: m5.large, price: 1}]\npods: [{cpu: 1}]"), 0o644))
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-o", "yaml"}, 2, "-o takes table or json"},
		{[]string{"mix.yaml"}, 2, "no arguments beside the flags"},
		{[]string{"-nonsense"}, 2, "flag provided but not defined"},
		{[]string{"-mix", "testdata/none.yaml"}, 1, "no such file"},
		{[]string{"-only", "web-small,none"}, 1, "not all of these are seeded mixes"},
		{[]string{"-only", "web-small", "-expanders", "best"}, 1, `expander "best" is none of least-cost`},
		{[]string{"-whole", "-repeats", "0"}, 2, "-repeats takes 1 or more"},
		{[]string{"-whole", "-mix", twice}, 1, `group "b": m5.large costs 1 here and 0.096 in another group`},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(context.Background(), tt.args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: exit code %d with %q, want %d with %q", tt.args, code, stderr.String(), tt.code, tt.want)
		}
	}
}
