package main

import (
	"strings"
	"testing"
)

func TestBenchDrainsTwoNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var out strings.Builder
	if err := run(t.Context(), crowd{nodes: 2}, &out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"nodes warned at once      2, with 3 pods each\n", "ended with pods on them   0\n", "desired capacity          2 before,"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line %q in:\n%s", line, out.String())
		}
	}
}
