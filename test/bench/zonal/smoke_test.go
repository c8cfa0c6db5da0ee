package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// It runs our autoscaler alone, in the shortest scenario, until it has launched. It leaves out stock, because building it takes
// minutes.
func TestBenchRunsOurAutoscaler(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var stdout, stderr bytes.Buffer
	if code := command(t.Context(), []string{"-only", "a", "-who", "ours", "-wait", "15s", "-o", "json"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var got report
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout.String())
	}
	if len(got.Runs) != 1 || got.Runs[0].Launched != 3 || got.Runs[0].WrongZone != 0 || got.Runs[0].Error != "" {
		t.Errorf("runs %+v, want one with three launches, none in a wrong zone; progress:\n%s", got.Runs, stderr.String())
	}
}
