package growth

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// It runs the smallest sizes alone. Exponents of such times say nothing, so it looks at the calls, which are exact.
func TestBenchMeasuresGroups(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the autoscaler four times")
	}
	var stdout, stderr bytes.Buffer
	code := Main(t.Context(), []string{"-only", "groups", "-divide", "5", "-window", "1s", "-o", "json"}, &stdout, &stderr)
	require.Truef(t, code == 0 || code == 3, "exit code %d: %s", code, stderr.String())
	var got report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout.String())
	}
	require.Truef(t, len(got.Axes) == 1 && cmp.Equal(got.Axes[0].Sizes, []int{25, 50, 100, 200}),
		"%s: want one axis with four sizes", stdout.String())
	figures := map[string]*figureReport{}
	for _, f := range got.Axes[0].Figures {
		figures[strings.TrimSuffix(f.Name+": "+f.Owner, ": ")] = f
		assert.Truef(t, len(f.Values) == steps, "%s has %v", f.Name, f.Values)
	}
	for _, name := range []string{"start to end of first loop", "live heap", "resident memory", "/status.json size", "/status"} {
		if f := figures[name]; f == nil || f.Values[steps-1] <= 0 {
			t.Errorf("no figure %q: %+v", name, f)
		}
	}
	// A profile has a sample each 10 ms, and a loop of so few groups may have none.
	for _, name := range []string{"a loop", "a loop: " + ours} {
		assert.Truef(t, figures[name] != nil, "no figure %q", name)
	}
	// One call reads a hundred groups, and another one two hundred launch templates.
	if calls := figures["AWS calls at the start"].Values; calls[3]-calls[0] > 2 {
		t.Errorf("calls at the start are %v, want two more for 200 groups than for 25 at most", calls)
	}
	if calls := figures["AWS calls for a reading"].Values; calls[3] > 2*calls[0]+2 {
		t.Errorf("calls for a reading are %v, want two for 200 groups", calls)
	}
}

func TestExponentOfPowers(t *testing.T) {
	for _, k := range []float64{0.5, 1, 2} {
		var values []float64
		for n := range steps {
			values = append(values, 3*math.Pow(float64(int(100)<<n), k))
		}
		if got := exponent(values); got != k {
			t.Errorf("exponent of %v is %v, want %v", values, got, k)
		}
	}
	for _, values := range [][]float64{{5, 5, 5, 5}, {5, 4, 3, 2}, {0, 0, 0, 0}} {
		if got := exponent(values); got != 0 {
			t.Errorf("exponent of %v is %v, want none", values, got)
		}
	}
}

func TestOnlyOurQuadraticPartsGrowTooFast(t *testing.T) {
	sizes := []int{1, 2, 4, 8}
	var runs [][][]figure
	for _, n := range sizes {
		x := float64(n)
		runs = append(runs, [][]figure{{
			{what: "a loop", unit: "ms", value: x * x},
			{what: "a loop", owner: theCore, unit: "ms", value: x * x},
			{what: "a loop", owner: "cloudprovider/square", unit: "ms", value: x * x},
			{what: "a loop", owner: "cloudprovider/line", unit: "ms", value: x},
			{what: "a loop", owner: "cloudprovider/seldom", unit: "ms", value: x * x, floor: 100},
		}})
	}
	r := newReport(1)
	r.add(axis{name: "nodes"}, sizes, runs)
	want := []string{"nodes: a loop, cloudprovider/square: 2.00, at the top 2.00"}
	assert.Empty(t, cmp.Diff(want, r.tooFast()), "too fast (-want +got)")
}

// traces is what go tool pprof -traces prints.
const traces = `File: cluster-autoscaler
Type: cpu
Duration: 10.1s, Total samples = 70ms
-----------+-------------------------------------------------------
      10ms   runtime.mallocgc
             github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg.(*Snapshot).Group
             k8s.io/autoscaler/cluster-autoscaler/core.(*StaticAutoscaler).RunOnce
-----------+-------------------------------------------------------
      20ms   runtime.mallocgc (inline)
             k8s.io/autoscaler/cluster-autoscaler/core.(*StaticAutoscaler).RunOnce
             github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process.(*Process).loop
-----------+-------------------------------------------------------
             bytes:  288B
      30ms   runtime.gcBgMarkWorker.func2
             runtime.systemstack
-----------+-------------------------------------------------------
      10ms   net/http.(*conn).serve
`

func TestTimeBelongsToInnermostPackage(t *testing.T) {
	got, err := splitTraces([]byte(traces), "ms")
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff(map[string]float64{"cloudprovider/asg": 10, theCore: 20}, got.inLoop), "in the loop (-want +got)")
	assert.Empty(t, cmp.Diff(map[string]float64{garbage: 30, noOwner: 10}, got.beside), "beside the loop (-want +got)")
}
