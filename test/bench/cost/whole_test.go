package cost

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/wholeway"
)

// One mix of three workloads goes the whole way: plain pods, pods with a volume each, and a pod on a spot node with a GPU.
func TestWholeWayOfATinyMix(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	path := filepath.Join(t.TempDir(), "tiny.yaml")
	if err := os.WriteFile(path, []byte(`
name: tiny
groups:
- {type: m5.large}
- {type: c5.large}
- {type: g4dn.xlarge, capacityType: spot, taints: ["nvidia.com/gpu:NoSchedule"]}
pods:
- {name: web, count: 3, cpu: 800m, memory: 1Gi}
- {name: store, count: 2, cpu: 100m, memory: 2Gi, volumes: 1}
- {name: model, cpu: 1, memory: 2Gi, gpu: 1, tolerations: [nvidia.com/gpu]}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	require.Zerof(t, Main(t.Context(), []string{"-whole", "-mix", path, "-expanders", "least-cost", "-o", "json"}, &stdout, &stderr),
		"exit code: %s", &stderr)
	var r wholeReport
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	got := r.Mixes[0].Runs[0]
	// On a busy machine the pods may come in two parts, so that a node more is asked for, which kube-scheduler may leave empty.
	assert.Truef(t, got.Waiting <= 0 && got.Ratio >= 1 && got.Plan >= 1 && got.Nodes["g4dn.xlarge-spot"] == 1,
		"%+v, want no pod waiting, no ratio below 1, and one GPU node", got)
	assert.Truef(t, got.Raises >= 2 && got.Asked > 0 && got.Ready > got.Asked && got.Running > got.Asked,
		"%+v, want two raises or more, and after them the last node Ready and all pods running", got)
}

func TestWholeReportTakesTheMedianRepeat(t *testing.T) {
	results := []*wholeway.Result{
		{Bound: 2, PerHour: 2, Raises: 1},
		{Bound: 2, PerHour: 2.5, Raises: 2, Running: 1234 * time.Millisecond, Nodes: map[string]int{"a": 3, "b": 1}},
		{Bound: 2, PerHour: 4, Raises: 3},
	}
	good := wholeRun{Expander: "least-cost", Plan: 1.1}
	good.set(results)
	r := wholeReport{Mixes: []wholeMix{
		{Name: "first", Runs: []wholeRun{good, {Expander: "stock/random", Ratio: 1, Waiting: 1}}},
		{Name: "second", Runs: []wholeRun{{Expander: "least-cost", Ratio: 1.75}, {Expander: "stock/random", Error: "none"}}},
	}}
	r.finish([]string{"least-cost", "stock/random"})
	assert.Truef(t, len(r.Ratios) == 1 && r.Ratios[0] == (wholeRate{Expander: "least-cost", Plan: 1.1, Median: 1.5, Worst: 1.75}),
		"ratios %+v, want 1.5 and 1.75 of least-cost alone, since not all pods of stock/random ran", r.Ratios)
	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	for _, want := range []string{"2.500 (1.250)", "1.2 s", "could not be run"} {
		assert.Truef(t, strings.Contains(table.String(), want), "no %q in:\n%s", want, table.String())
	}
	if want := []float64{1, 1.25, 2}; len(good.Ratios) != 3 || good.Ratios[1] != want[1] || good.Raises != 2 {
		t.Errorf("%+v, want the figures of the second repeat and the ratios %v", good, want)
	}
}
