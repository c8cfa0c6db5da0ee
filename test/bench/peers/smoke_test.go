package peers

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// It runs our autoscaler alone in the smallest case, because building the others takes minutes.
func TestBenchRunsOurAutoscaler(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var stdout, stderr bytes.Buffer
	require.Zerof(t, Main(t.Context(), []string{"-only", "several-2", "-peers", "ours", "-repeats", "1", "-o", "json"}, &stdout, &stderr),
		"exit code: %s", &stderr)
	var got report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout.String())
	}
	require.Truef(t, len(got.Cases) == 1 && len(got.Cases[0].Errors) == 0, "%+v, want one case without errors", got)
	figures := map[string]float64{}
	for _, f := range got.Cases[0].Figures {
		figures[f.Name] = f.Values[ours].median()
	}
	assert.Truef(t, figures["nodes"] == 2 && figures["calls that ask"] == 2 && figures["creation to all running"] >= bootTime.Seconds(),
		"%v, want two nodes after two calls, and pods that run once their nodes have booted", figures)
}
