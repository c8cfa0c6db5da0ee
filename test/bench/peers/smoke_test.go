package peers

import (
	"bytes"
	"encoding/json"
	"testing"
)

// It runs our autoscaler alone in the smallest case, because building the others takes minutes.
func TestBenchRunsOurAutoscaler(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var stdout, stderr bytes.Buffer
	if code := Main(t.Context(), []string{"-only", "several-2", "-peers", "ours", "-repeats", "1", "-o", "json"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var got report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout.String())
	}
	if len(got.Cases) != 1 || len(got.Cases[0].Errors) > 0 {
		t.Fatalf("%+v, want one case without errors", got)
	}
	figures := map[string]float64{}
	for _, f := range got.Cases[0].Figures {
		figures[f.Name] = f.Values[ours].median()
	}
	if figures["nodes"] != 2 || figures["calls that ask"] != 2 || figures["creation to all running"] < bootTime.Seconds() {
		t.Errorf("%v, want two nodes after two calls, and pods that run once their nodes have booted", figures)
	}
}
